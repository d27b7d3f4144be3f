"""No pooling where the rows do not determine a group's own coefficients, and estimates that use no priors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool import errors

FLAT = {"coefficients": "Flat"}


def make_rows(size: int = 4) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    n = 6 * size
    return {
        "y": rng.normal(size=n),
        "x": rng.normal(size=n),
        "z": rng.normal(size=n),
        "g": np.repeat(list("abcdef"), size),
    }


class TestRanks:
    def test_fewer_rows_than_coefficients(self) -> None:
        with pytest.raises(
            errors.IdentificationError,
            match=r"6 of 6 groups of g \(such as 'a', 'b'.*cannot tell Intercept, x, z apart",
        ):
            pp.fit("y ~ x + z + (x + z | g)", make_rows(2), pooling="none", priors=FLAT)

    def test_one_group_with_collinear_columns(self) -> None:
        data = make_rows()
        data["z"][4:8] = 2.0 - 3.0 * data["x"][4:8]
        with pytest.raises(errors.IdentificationError, match=r"1 of 6 groups of g \(such as 'b'\)"):
            pp.fit("y ~ x + z + (x + z | g)", data, pooling="none", priors=FLAT)
        with pytest.raises(errors.IdentificationError, match="stand beside Normal ones"):
            pp.fit("y ~ x + z + (x + z | g)", data, pooling="none", priors={"Intercept": "Flat", "x": "Flat"})

    def test_without_intercept(self) -> None:
        data = make_rows()
        data["z"][4:8] = -3.0 * data["x"][4:8]
        with pytest.raises(errors.IdentificationError, match="cannot tell x, z apart"):
            pp.fit("y ~ 0 + x + z + (0 + x + z | g)", data, pooling="none", priors=FLAT)

    def test_far_off_columns_are_apart(self) -> None:
        data = make_rows()
        data["x"] += 2e4
        fit = pp.fit("y ~ x + z + (x + z | g)", data, pooling="none", priors=FLAT)
        assert np.isfinite(fit.groups()["raw"]).all()


def test_mean_of_a_coefficient_outside_the_population_part() -> None:
    with pytest.raises(errors.PriorError, match=r"prior for x: .* mean of 5 .* write x there too"):
        pp.fit("y ~ 1 + (1 + x | g)", make_rows(), pooling="none", priors={"x": "Normal(5, 0.01)"})
    fit = pp.fit("y ~ 1 + (1 + x | g)", make_rows(), pooling="none", priors={"x": "Normal(0, 0.01)"})
    assert np.allclose(fit.groups().xs("x", level="coefficient")["mean"], 0.0, atol=0.02)


class TestEmpiricalBayes:
    SCHOOLS = pp.datasets.eight_schools()

    def fit(self, estimator: Any, **options: Any) -> Any:
        return pp.fit(
            "effect ~ 1 + (1 | school)",
            self.SCHOOLS,
            standard_error="se",
            method="empirical_bayes",
            estimator=estimator,
            **options,
        )

    def test_priors_are_not_used(self) -> None:
        plain = self.fit("reml")
        with pytest.warns(
            errors.PriorWarning, match=r"\(Intercept\) are ignored, and the answer does not depend"
        ) as caught:
            given = self.fit("reml", priors={"Intercept": "Normal(50, 1)"})
        assert len(caught) == 1
        assert given.groups().equals(plain.groups())

    def test_a_saved_fit_loads_without_a_warning(self, tmp_path: Any) -> None:
        path = self.fit("reml").save(tmp_path / "fit.nc")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert pp.load(path).engine.evidence == self.fit("reml").engine.evidence

    @pytest.mark.parametrize(
        ("estimator", "evidence"),
        [
            ("ml", ["log likelihood"]),
            ("reml", ["restricted log likelihood"]),
            ("moments", []),
            ("dersimonian_laird", []),
        ],
    )
    def test_evidence_and_a_variance_at_0(self, estimator: str, evidence: list[str]) -> None:
        engine = self.fit(estimator).engine
        assert list(engine.evidence) == evidence
        assert "; ;" not in str(engine)
        assert engine.reason.endswith("sd(school) is estimated at 0: an estimate, not a finding")

    def test_a_variance_above_0(self) -> None:
        fit = pp.fit("y ~ x + (1 | g)", spread_rows(), method="empirical_bayes")
        assert "at 0" not in fit.engine.reason


def spread_rows() -> dict[str, Any]:
    data = make_rows()
    return data | {"y": data["y"] + 5.0 * np.repeat(np.arange(6.0), 4)}


def test_a_flat_coefficient_that_only_another_prior_determines() -> None:
    """The answer was silently wrong: an sd of 457 where the slope's prior says 723."""
    rng = np.random.default_rng(1)
    data = {"y": rng.normal(size=6), "x": 1000 + rng.normal(size=6), "g": list("abcdef"), "se": [0.01] * 6}
    with pytest.raises(pp.errors.IdentificationError, match="fewer independent rows"):
        pp.fit(
            "y ~ x + (x | g)",
            data,
            standard_error="se",
            pooling="none",
            priors={"Intercept": "Flat", "x": "Normal(0, 723)"},
        )
