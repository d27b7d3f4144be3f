"""Tables of fits with several factors against dense algebra on their rows, node by node."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError

from .dense_fit import DenseFit, solve_densely
from .several import FORMULAS, PRIORS, fit_several, make_data


@pytest.fixture(scope="module", params=list(FORMULAS))
def dense(request: pytest.FixtureRequest) -> DenseFit:
    return solve_densely(fit_several(request.param))


def _label(group: object, kind: str, effect: int, level: int) -> str:
    names, labels, name = group.names, group.labels, group.name  # type: ignore[attr-defined]
    inner = "" if names == ("Intercept",) else f", {names[effect]}"
    return f"{kind}[{name}={labels[level]}{inner}]"


def test_effects_of_every_factor(dense: DenseFit) -> None:
    table = dense.fit.summary(effects=True)
    seen = 0
    for factor, group in enumerate(dense.fit.fitted.model.groups):
        for effect in range(len(group.names)):
            for level in range(group.n_levels):
                for kind in ("u", "theta"):
                    vector = dense.theta(factor, effect, level)
                    if kind == "u":
                        vector = (np.arange(dense.n_unknown) == dense.effect(factor, effect, level)).astype(float)
                    mean, sd, _ = dense.mixture(vector)
                    line = table.loc[_label(group, kind, effect, level)]
                    assert abs(line["mean"] - mean) < 1e-5 * sd
                    assert line["sd"] == pytest.approx(sd, rel=1e-5)
                    seen += 1
    assert seen == len(table) - len(dense.fit.summary())
    assert not table.index.duplicated().any()


def test_groups_of_each_factor(dense: DenseFit) -> None:
    """Raw estimates are least squares on the group's own rows, the rest at posterior means: by dense least squares."""
    fit, data = dense.fit, make_data()
    design = fit.fitted.model.design
    measured = design.measurements
    weights = np.ones(len(measured.response))
    for given in (measured.precision, measured.counts):
        weights = weights if given is None else weights * given
    sigma = fit.fitted.hyper.value_weights @ fit.fitted.hyper.value_points.residual_sd
    posterior_mean = dense.mean @ dense.weights
    names = design.population.names
    for factor, group in enumerate(fit.fitted.model.groups):
        table = fit.groups(group.name)
        assert list(table.index.names) == [group.name, "coefficient"][: table.index.nlevels]
        left = measured.response - (0.0 if measured.offset is None else measured.offset)
        common = [k for k, name in enumerate(names) if name not in group.names]
        left = left - design.population.values[:, common] @ posterior_mean[common]
        for other, beside in enumerate(fit.fitted.model.groups):
            if other == factor:
                continue
            for effect in range(len(beside.names)):
                places = dense.effect(other, effect, 0) + beside.codes
                left = left - posterior_mean[places] * beside.values[:, effect]
        covariance = np.einsum("ijn,n->ij", dense.covariance, dense.weights)
        covariance += np.cov(dense.mean, aweights=dense.weights, ddof=0)
        for level in range(group.n_levels):
            rows = group.codes == level
            columns = group.values[rows]
            inverse = np.linalg.inv(columns.T @ (columns * weights[rows, None]))
            project = inverse @ (columns * weights[rows, None]).T
            slopes = project @ design.population.values[rows][:, common]
            spread = inverse * sigma**2 + slopes @ covariance[np.ix_(common, common)] @ slopes.T
            for effect, name in enumerate(group.names):
                key = group.level_keys[0][level] if len(group.level_keys) == 1 else group.labels[level]
                line = table.loc[key] if table.index.nlevels == 1 else table.loc[(key, name)]
                assert line["raw"] == pytest.approx((project @ left[rows])[effect], rel=1e-6, abs=1e-6)
                assert line["raw_sd"] == pytest.approx(np.sqrt(spread[effect, effect]), rel=1e-5)
                raw_rows = np.ones(len(rows)) if measured.counts is None else measured.counts
                assert line["n"] == raw_rows[rows].sum()
                mean, sd, _ = dense.mixture(dense.theta(factor, effect, level))
                assert abs(line["mean"] - mean) < 1e-5 * sd
                assert 0.0 <= line["weight"] <= 1.0
    assert len(data["y"]) == len(measured.response)


def test_weights_of_intercepts_follow_their_formula() -> None:
    fit = fit_several("three")
    points, weights = fit.fitted.hyper.points, fit.fitted.hyper.weights
    for factor, group in enumerate(fit.fitted.model.groups):
        n = np.bincount(group.codes)[:, None]
        variance = points.effect_root[factor, factor] ** 2
        expected = (n * variance / (n * variance + points.residual_sd**2)) @ weights
        np.testing.assert_allclose(fit.groups(group.name)["weight"], expected, rtol=1e-9)


def test_draws_of_all_and_of_some_agree_with_the_tables(dense: DenseFit) -> None:
    """Means within 5 Monte Carlo errors, sds within 6 %; the sum over factors too, which has their correlation."""
    fit, n = dense.fit, 8000
    table, draws = fit.summary(effects=True), fit.draws(n, seed=6)
    assert list(draws) == list(table.index)
    for name, line in table.iterrows():
        assert abs(draws[name].mean() - line["mean"]) < 5 * line["sd"] / np.sqrt(n), name
        assert abs(draws[name].std() / line["sd"] - 1) < 0.06, name
    first = [(factor, 0, 0) for factor in range(len(fit.fitted.model.groups))]
    vector = np.zeros(dense.n_unknown)
    names = [_label(fit.fitted.model.groups[factor], "u", 0, 0) for factor, _, _ in first]
    for place in first:
        vector[dense.effect(*place)] = 1.0
    vector[0] = 1.0
    mean, sd, _ = dense.mixture(vector)
    some = fit.draws(n, seed=8, parameters=[*names, "Intercept"])
    assert list(some) == [*names, "Intercept"]
    total = np.sum(list(some.values()), axis=0)
    assert abs(total.mean() - mean) < 5 * sd / np.sqrt(n)
    assert abs(total.std() / sd - 1) < 0.06


@pytest.mark.parametrize("call", ["groups", "pooling", "covariance", "differences"])
def test_a_factor_must_be_named_and_known(call: str) -> None:
    fit = fit_several("nested")
    with pytest.raises(DataError, match=r"2 grouping factors \('batch', 'batch:cask'\): name the one that is meant"):
        getattr(fit, call)()
    with pytest.raises(DataError, match=r"'batch:casks' is not a grouping factor .* did you mean 'batch:cask'"):
        getattr(fit, call)("batch:casks")
    assert len(getattr(fit, call)("batch"))


def test_printing_stays_in_the_terminal() -> None:
    text = repr(fit_several("three"))
    assert max(map(len, text.splitlines())) <= 100
    assert "4 groups of batch, 12 of batch:cask, 6 of plate" in text
    assert "sd(batch:cask)" in text


def test_long_names_stay_in_the_terminal() -> None:
    data = make_data()
    long = {"plate": "plate of the second series, as labelled", "sample": "sample that was taken on the day"}
    renamed = {long.get(name, name): values for name, values in data.items()}
    formula = f"y ~ x + (x | `{long['plate']}`) + (1 | `{long['plate']}`:`{long['sample']}`)"
    text = repr(pp.fit(formula, renamed, priors=PRIORS))
    assert max(map(len, text.splitlines())) <= 100
    assert "LKJ" in text
    assert "HalfNormal(1)" in text
