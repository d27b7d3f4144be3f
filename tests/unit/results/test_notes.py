"""Notes under tables of groups: where numbers are reported far outside the data, and quantiles of few points."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp

RNG = np.random.default_rng(2)
GROUP = np.repeat(np.arange(6), 8)
YEAR = RNG.integers(2000, 2012, len(GROUP))
ETA = 1.0 + 0.08 * (YEAR - 2005) + 0.4 * RNG.standard_normal(6)[GROUP]
ROWS = {
    "g": GROUP,
    "year": YEAR,
    "y": ETA + 0.3 * RNG.standard_normal(len(GROUP)),
    "count": RNG.poisson(np.exp(ETA)),
}


def _fit(formula: str, **options: str) -> pp.Posterior:
    return pp.fit(formula, ROWS, method="empirical_bayes", **options)


def _notes(table) -> list[str]:
    return table.attrs.get("notes", [])


@pytest.mark.parametrize(("response", "family"), [("y", "gaussian"), ("count", "poisson")])
def test_a_zero_far_outside_the_data_is_noted_with_a_remedy(response: str, family: str) -> None:
    fit = _fit(f"{response} ~ year + (1 | g)", family=family)
    sds = YEAR.mean() / YEAR.std()
    for table in (fit.groups(), fit.pooling(), fit.summary(effects=True)):
        (note,) = _notes(table)
        assert note.startswith(f"groups are where year = 0, {sds:,.0f} sds from its mean of {YEAR.mean():.5g}: write ")
        assert "center(year) in the formula" in note
        assert "predict()" in note
    assert "center(year)" in str(fit.groups())
    assert not _notes(fit.summary())


def test_the_remedy_ends_the_note_and_gives_groups_where_the_data_lie() -> None:
    centred = _fit("y ~ center(year) + (1 | g)")
    assert not _notes(centred.groups())
    at_mean = _fit("y ~ year + (1 | g)").predict({"g": np.arange(6), "year": np.full(6, YEAR.mean())})
    at_mean = at_mean[at_mean["quantity"] == "group mean"]
    np.testing.assert_allclose(centred.groups()["mean"], at_mean["mean"], rtol=1e-5)


def test_slopes_are_not_at_zero() -> None:
    fit = _fit("y ~ year + (year | g)")
    (note,) = _notes(fit.groups())
    assert note.startswith("lines of the Intercept are where year = 0")
    printed = " ".join(str(fit).split())
    assert "the Intercept and sd(g, Intercept) are where year = 0" in printed
    assert "write center(year) in the formula" in printed
    assert not _notes(_fit("y ~ center(year) + (0 + center(year) | g)").groups())


def test_a_zero_among_the_data_is_not_far() -> None:
    """A dummy that is 1 in all rows but one has its zero in the data, many sds from its mean."""
    rows = {**ROWS, "often": np.append(0.0, np.ones(len(GROUP) * 4 - 1))}
    rows |= {name: np.tile(ROWS[name], 4) for name in ("g", "y")}
    assert rows["often"].mean() / rows["often"].std() > 10.0
    assert not _notes(pp.fit("y ~ often + (1 | g)", rows, method="empirical_bayes").groups())


@pytest.fixture(scope="module")
def support() -> pp.Posterior:
    values = np.append(np.linspace(-1.0, 1.0, 6), np.linspace(9.0, 11.0, 6))
    data = {"y": values, "se": np.ones(12), "g": np.arange(12)}
    return pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", population="nonparametric")


def test_quantiles_of_few_points_are_called_so(support: pp.Posterior) -> None:
    groups = support.groups()
    flat = groups["q95"] - groups["q5"] == 0.0
    assert flat.any()  # and yet none of the groups is known
    tables = [groups, support.pooling(), support.predict({"g": [0]}), support.contrast("g", 0, 1)]
    for table in [*tables, support.differences("g", to=0), support.summary(effects=True)]:
        (note,) = _notes(table)
        assert note.startswith("quantiles are among the 2 points of the estimated population: an interval of no width")


def test_one_point_is_an_estimate() -> None:
    schools = pp.datasets.eight_schools()
    fit = pp.fit("effect ~ 1 + (1 | school)", schools, standard_error="se", population="nonparametric")
    (note,) = _notes(fit.groups())
    assert "one point" in note
    assert "an estimate, not a finding" in note
