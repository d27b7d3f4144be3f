"""No, complete and partial pooling side by side, with several factors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import PriorWarning

from .several import PRIORS, fit_several, make_data


@pytest.mark.parametrize(
    ("name", "factor", "without"),
    [
        ("three", "plate", "y ~ x + (1 | batch/cask)"),
        ("three", "batch", "y ~ x + (1 | batch:cask) + (1 | plate)"),
        ("three", "batch:cask", "y ~ x + (1 | batch) + (1 | plate)"),
        ("crossed slopes", "plate", "y ~ x + z + (1 | sample)"),
    ],
)
def test_complete_pooling_is_a_fit_without_the_factor(name: str, factor: str, without: str) -> None:
    fit = fit_several(name)
    table, groups = fit.pooling(factor), fit.groups(factor)
    expected = pp.fit(without, make_data(), priors=PRIORS).summary()
    group = fit.fitted.model.groups[fit.fitted.check_factor(factor)]
    for k, effect in enumerate(group.names):
        lines = table if len(group.names) == 1 else table.xs(effect, level="coefficient")
        assert len(lines) == group.n_levels
        np.testing.assert_allclose(lines["complete"], expected.loc[effect, "mean"], rtol=1e-9)
        np.testing.assert_allclose(lines["complete_sd"], expected.loc[effect, "sd"], rtol=1e-9)
        assert k < 2
    np.testing.assert_array_equal(table[["none", "none_sd"]], groups[["raw", "raw_sd"]])
    np.testing.assert_allclose(table[["partial", "partial_sd"]], groups[["mean", "sd"]], rtol=1e-12)
    np.testing.assert_array_equal(table["weight"], groups["weight"])


def test_an_effect_of_no_population_column_deviates_from_zero() -> None:
    fit = fit_several("independent slopes")
    again = pp.fit("y ~ 1 + (x || plate) + (0 + x | sample)", make_data(), priors=PRIORS)
    assert (again.pooling("sample")["complete"] == 0.0).all()
    assert (fit.pooling("sample")["complete"] != 0.0).all()


@pytest.mark.parametrize("estimator", ["ml", "reml"])
def test_estimates_are_compared_with_estimates(estimator: Any) -> None:
    """Empirical Bayes without a factor maximises the same likelihood."""
    arguments: dict[str, Any] = {"method": "empirical_bayes", "estimator": estimator}
    fit = pp.fit("y ~ x + (1 | plate) + (1 | sample)", make_data(), **arguments)
    expected = pp.fit("y ~ x + (1 | sample)", make_data(), **arguments).summary()
    table = fit.pooling("plate")
    np.testing.assert_allclose(table["complete"], expected.loc["Intercept", "mean"], rtol=1e-9)


def test_the_cautions_of_priors_are_said_once() -> None:
    """Warnings are errors in tests: the second fit of the same priors gives none."""
    priors = {**PRIORS, "sd(plate)": "InverseGamma(0.001, 0.001, on='variance')"}
    with pytest.warns(PriorWarning, match="prior for sd"):
        fit = pp.fit("y ~ x + (1 | plate) + (1 | sample)", make_data(), priors=priors)
    assert len(fit.pooling("sample")) == 5
