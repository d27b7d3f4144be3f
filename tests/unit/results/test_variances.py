"""Variance components and their proportions, covariances: formulas, quadrature, draws, infinite moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError
from partialpool.results.variances import typical_sampling_variance

from .several import PRIORS, fit_several, make_data

SCHOOLS = pp.datasets.eight_schools()
SE = np.array(SCHOOLS["se"])


def fit_schools(**arguments: Any) -> Any:
    return pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", **arguments)


def test_schools_against_quadrature() -> None:
    """The variance and I^2 on a fine grid of the sd, integrated by the midpoint rule."""
    prior = pp.HalfCauchy(5)
    fit = fit_schools(priors={"Intercept": "Flat", "sd(school)": prior})
    tau = (np.arange(200_000) + 0.5) * 1e-3
    y, v = np.array(SCHOOLS["effect"]), SE**2 + tau[:, None] ** 2
    centre = (y / v).sum(axis=1) / (1 / v).sum(axis=1)
    log_density = -0.5 * (np.log(v) + (y - centre[:, None]) ** 2 / v).sum(axis=1) - 0.5 * np.log((1 / v).sum(axis=1))
    density = np.exp(log_density - log_density.max()) / (1 + (tau / 5) ** 2)
    density /= density.sum()
    w = SE**-2.0
    typical = 7 * w.sum() / (w.sum() ** 2 - (w**2).sum())
    share = tau**2 / (tau**2 + typical)
    table = fit.variances(quantiles=(0.05, 0.5, 0.95))
    assert list(table.index) == ["school", "typical sampling", "total"]
    line = table.loc["school"]
    mean = density @ tau**2
    assert line["mean"] == pytest.approx(mean, rel=1e-4)
    assert line["proportion"] == pytest.approx(density @ share, rel=1e-5)
    assert line["proportion_sd"] == pytest.approx(np.sqrt(density @ (share - density @ share) ** 2), rel=1e-4)
    below = np.cumsum(density)
    for name, probability in (("q5", 0.05), ("q50", 0.5), ("q95", 0.95)):
        quantile = tau[np.searchsorted(below, probability)]
        assert line[name] == pytest.approx(quantile**2, rel=2e-3)
        assert line[f"proportion_{name}"] == pytest.approx(quantile**2 / (quantile**2 + typical), rel=2e-3)
    np.testing.assert_allclose(table["mean"]["typical sampling"], typical, rtol=1e-12)
    np.testing.assert_allclose(table["mean"]["total"], mean + typical, rtol=1e-4)
    assert np.isnan(table.loc["total", "proportion"])


def test_typical_sampling_variance() -> None:
    """Equal standard errors give their square; in units of 1e-200 as in others."""
    assert typical_sampling_variance(np.full(5, 4.0)) == pytest.approx(0.25, rel=1e-14)
    spread = typical_sampling_variance(SE**-2.0)
    assert SE.min() ** 2 < spread < SE.max() ** 2
    assert typical_sampling_variance(SE**-2.0 * 1e200) == pytest.approx(spread * 1e-200, rel=1e-12)


@pytest.mark.parametrize("method", ["auto", "importance"])
def test_the_intraclass_correlation_agrees_with_draws(method: str) -> None:
    """An sd and sigma on a grid, where its nodes are far apart, and on a lattice."""
    data = {"y": make_data()["y"], "g": make_data()["plate"]}
    fit = pp.fit("y ~ 1 + (1 | g)", data, priors=PRIORS, method=method)  # type: ignore[arg-type]
    probabilities, n = (0.025, 0.25, 0.5, 0.75, 0.975), 100_000
    table = fit.variances(quantiles=probabilities)
    draws = fit.draws(n, parameters=["sd(g)", "sigma"], seed=1)
    variance, residual = draws["sd(g)"] ** 2, draws["sigma"] ** 2
    pairs = {
        "g": (variance, variance / (variance + residual)),
        "residual": (residual, residual / (variance + residual)),
    }
    for component, (own, share) in pairs.items():
        line = table.loc[component]
        for start, values in (("", own), ("proportion_", share)):
            below = [np.mean(values < line[f"{start}q{100 * p:g}"]) for p in probabilities]
            np.testing.assert_allclose(below, probabilities, atol=0.008 if method == "auto" else 0.015)
        assert abs(share.mean() - line["proportion"]) < 0.02 * line["proportion_sd"]
        assert share.std() == pytest.approx(line["proportion_sd"], rel=0.02)
    assert table["proportion"].sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", ["crossed slopes", "independent slopes", "three", "weights, counts, offset"])
def test_components_are_averages_over_the_raw_rows(name: str) -> None:
    """z' Sigma z of every row, at every node, from sds and correlations."""
    fit, counts = fit_several(name), make_data()["k"] if name == "weights, counts, offset" else np.ones(90)
    values = dict(zip(fit.fitted.hyper.space.names, fit.fitted.hyper.values.T, strict=True))
    weights = fit.fitted.hyper.value_weights
    table = fit.variances()
    parts = {}
    for group in fit.fitted.model.groups:
        single = group.names == ("Intercept",)
        total = np.zeros(len(weights))
        for i, first in enumerate(group.names):
            sd = values[f"sd({group.name})"] if single else values[f"sd({group.name}, {first})"]
            if not single:
                line = table.loc[(group.name, first)]
                assert line["mean"] == pytest.approx(weights @ sd**2, rel=1e-9)
                assert np.isnan(line["proportion"])
            for j, second in enumerate(group.names):
                other = values[f"sd({group.name})"] if single else values[f"sd({group.name}, {second})"]
                pair = f"cor({group.name}, {group.names[min(i, j)]}, {group.names[max(i, j)]})"
                correlation = 1.0 if i == j else values.get(pair, 0.0)
                total += np.average(group.values[:, i] * group.values[:, j], weights=counts) * sd * other * correlation
        parts[group.name] = total
    parts["residual"] = values["sigma"] ** 2
    parts["total"] = np.sum(list(parts.values()), axis=0)
    for component, own in parts.items():
        key = (
            component if table.index.nlevels == 1 else (component, "" if component in ("residual", "total") else "all")
        )
        line = table.loc[key]
        assert line["mean"] == pytest.approx(weights @ own, rel=1e-9)
        assert line["sd"] == pytest.approx(np.sqrt(weights @ (own - weights @ own) ** 2), rel=1e-7)
        if component != "total":
            share = own / parts["total"]
            assert line["proportion"] == pytest.approx(weights @ share, rel=1e-9)
            order = np.argsort(share)
            middle = share[order][np.searchsorted(np.cumsum(weights[order]), 0.5)]
            assert line["proportion_q50"] == pytest.approx(middle, rel=1e-3)


@pytest.mark.parametrize(
    ("n_groups", "mean_exists", "sd_exists"), [(4, False, False), (5, True, False), (6, True, False), (7, True, True)]
)
def test_moments_that_do_not_exist_are_infinite(n_groups: int, mean_exists: bool, sd_exists: bool) -> None:
    """Under a flat sd and a flat mean the posterior falls like sd^-(J - 1): E sd^r exists for r < J - 2."""
    data = {"y": [1.0, 5.0, -3.0, 2.0, 8.0, 0.0, 3.0][:n_groups], "se": [1.0] * n_groups, "g": list(range(n_groups))}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", priors={"Intercept": "Flat", "sd": "Flat"})
    line = fit.variances().loc["g"]
    assert np.isfinite(line["mean"]) == mean_exists
    assert np.isfinite(line["sd"]) == sd_exists
    assert np.isfinite(line[["q5", "q95", "proportion", "proportion_sd"]].to_numpy(float)).all()
    covariance = fit.covariance("g")
    assert np.isfinite(covariance.loc[("cov", "Intercept", "Intercept"), "mean"]) == mean_exists
    assert np.isfinite(covariance.loc[("sd", "Intercept", "Intercept"), "sd"]) == mean_exists


def test_an_estimate_has_no_spread() -> None:
    data = pp.datasets.sleepstudy()
    fit = pp.fit("Reaction ~ Days + (Days | Subject)", data, method="empirical_bayes")
    table = fit.variances()
    assert table["mean"].notna().all()
    assert table[["sd", "q5", "q95", "proportion_q50"]].isna().all(axis=None)
    assert table.loc[("Subject", "Intercept"), "mean"] == pytest.approx(24.7405**2, rel=1e-3)  # lme4
    assert table.loc[("residual", ""), "mean"] == pytest.approx(25.5918**2, rel=1e-3)
    covariance = fit.covariance()
    assert covariance.loc[("cor", "Intercept", "Days"), "mean"] == pytest.approx(0.066, abs=1e-3)
    assert covariance["sd"].isna().all()


def test_estimates_of_nested_factors_are_lme4s() -> None:
    """lmer(strength ~ 1 + (1 | batch/cask), casks) of lme4 1.1."""
    fit = pp.fit("strength ~ 1 + (1 | batch/cask)", pp.datasets.casks(), method="empirical_bayes")
    table = fit.variances()
    sds = np.array([1.9220257, 2.9424197, 1.5710399])
    names = ["batch", "batch:cask", "residual"]
    np.testing.assert_allclose(table.loc[names, "mean"], sds**2, rtol=2e-6)
    np.testing.assert_allclose(table.loc[names, "proportion"], sds**2 / np.sum(sds**2), rtol=2e-6)
    assert table["proportion_sd"].isna().all()


@pytest.mark.parametrize("pooling", ["complete", "none"])
def test_without_a_population_there_is_nothing_to_divide(pooling: Any) -> None:
    fit = fit_schools(pooling=pooling)
    with pytest.raises(DataError, match="pooling='partial'"):
        fit.variances()
    with pytest.raises(DataError, match="pooling='partial'"):
        fit.covariance()


def test_covariances_agree_with_the_summary() -> None:
    fit = fit_several("crossed slopes")
    table, summary = fit.covariance("plate"), fit.summary()
    assert list(table.index) == [
        ("sd", "Intercept", "Intercept"),
        ("sd", "x", "x"),
        ("cor", "Intercept", "x"),
        ("cov", "Intercept", "Intercept"),
        ("cov", "Intercept", "x"),
        ("cov", "x", "x"),
    ]
    assert list(table.index.names) == ["kind", "coefficient", "with"]
    names = ["sd(plate, Intercept)", "sd(plate, x)", "cor(plate, Intercept, x)"]
    np.testing.assert_allclose(table.iloc[:3], summary.loc[names], rtol=1e-9)
    values = dict(zip(fit.fitted.hyper.space.names, fit.fitted.hyper.values.T, strict=True))
    product = np.prod([values[name] for name in names], axis=0)
    mean = fit.fitted.hyper.value_weights @ product
    line = table.loc[("cov", "Intercept", "x")]
    assert line["mean"] == pytest.approx(mean, rel=1e-9)
    assert line["sd"] == pytest.approx(np.sqrt(fit.fitted.hyper.value_weights @ (product - mean) ** 2), rel=1e-9)


def test_independent_effects_have_no_correlation() -> None:
    table = fit_several("independent slopes").covariance("plate")
    assert list(table.index) == [
        ("sd", "Intercept", "Intercept"),
        ("sd", "x", "x"),
        ("cov", "Intercept", "Intercept"),
        ("cov", "x", "x"),
    ]
    alone = fit_several("independent slopes").covariance("sample")
    assert list(alone.index) == [("sd", "x", "x"), ("cov", "x", "x")]


def test_units_of_a_slope_do_not_matter() -> None:
    """A factor's component is in the response's units, whatever those of its columns."""
    data = make_data()
    priors = {**PRIORS, "coefficients": "Flat()", "sd": "HalfNormal(1)"}
    near = pp.fit("y ~ x + (0 + x | plate) + (1 | sample)", data, priors=priors).variances()
    units = {**data, "x": np.asarray(data["x"]) * 1e6}
    priors = {**priors, "sd(plate, x)": "HalfNormal(1e-6)"}
    far = pp.fit("y ~ x + (0 + x | plate) + (1 | sample)", units, priors=priors).variances()
    columns = ["mean", "proportion", "proportion_q50"]
    np.testing.assert_allclose(
        far.loc[("plate", "all"), columns].to_numpy(float),
        near.loc[("plate", "all"), columns].to_numpy(float),
        rtol=0.02,
    )
