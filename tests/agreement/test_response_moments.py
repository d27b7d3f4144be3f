"""Means and sds on the response's scale: printed where they exist, '-' where they do not, whatever digits a sum gives.

That they do not exist is seen by brute force: a sum over sds up to a limit grows without end as the limit does.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.cli.json_report import write_json

Y = [1, 2, 0.5, 3, 1, 0.2, 4, 1, 2, 9, 9, 9]
CENSORED = ["none"] * 9 + ["right"] * 3
COUNTS = {"y": [3, 4, 2, 9, 0, 0, 3, 4], "g": [0, 0, 1, 1, 2, 2, 3, 3]}


def censored_fit(prior: str, **more: Any) -> pp.Posterior:
    data = {"y": Y, "g": range(12), "c": CENSORED}
    return pp.fit("y ~ 1 + (1 | g)", data, family="exponential", censored="c", priors={"sd(g)": prior}, **more)


def partial_moment(order: int, observed: bool, most: float, rate: float | None) -> float:
    """The posterior moment of exp(theta) of one group at 9, right-censored or observed, its sd tau up to ``most`` under
    Exponential(rate) or, without one, HalfNormal(1/4), theta ~ N(0, tau): by a dense grid of both, in logs."""
    tau = np.linspace(0.02, most, 120)[:, None]
    theta = np.linspace(-20.0, 30.0 + 2.5 * most**2, 4001)
    logs = -0.5 * (theta / tau) ** 2 - np.log(tau) - 9.0 * np.exp(-theta) - theta * observed
    logs = logs - (rate * tau if rate else 8.0 * tau**2)
    peak = (logs + order * theta).max()
    top = np.exp(logs + order * theta - peak).sum() / np.exp(logs - logs.max()).sum()
    return float(np.log(top) + peak - logs.max())


@pytest.mark.parametrize(
    ("order", "observed", "rate", "exists"),
    [
        (1, False, 1.0, False),
        (1, True, 1.0, True),
        (2, True, 1.0, False),
        (1, False, None, True),
        (2, True, None, True),
    ],
)
def test_by_brute_force(order: int, observed: bool, rate: float | None, exists: bool) -> None:
    grown = [partial_moment(order, observed, most, rate) for most in (4.0, 8.0, 12.0)]
    assert (grown[2] - grown[1] < 0.1) is exists
    groups = censored_fit(f"Exponential({rate})" if rate else "HalfNormal(0.25)").groups()
    column = "mean" if order == 1 else "sd"
    assert np.isfinite(groups[column].iloc[0 if observed else 11]) == exists


def test_no_warning_and_the_median_leads() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = censored_fit("Exponential(1)")
        groups, predicted = fit.groups(), fit.predict({"g": [0, 11, 99]})
        lines = fit.summary(effects=True)
    assert list(groups.columns[-4:]) == ["q5", "q50", "q95", "weight"]
    assert groups["mean"].isna().tolist() == [False] * 9 + [True] * 3
    assert groups["sd"].isna().all()
    assert groups[["q5", "q50", "q95"]].notna().all(axis=None)
    assert np.isnan(lines.loc["mean[g=11]", "mean"])
    assert np.isfinite(lines.loc["theta[g=11]", "mean"])
    assert "rows that do not bound it from above" in " ".join(str(groups).split())
    assert fit.pooling()["partial_q50"].notna().all()
    table = json.loads(write_json(fit, effects=False, written=()))["groups"]
    assert all(line["q50"] == pytest.approx(groups["q50"].iloc[k]) for k, line in enumerate(table))
    assert "Exponential(1) on sd(g)" in " ".join(str(groups).split())
    spread = predicted.set_index("quantity", append=True)
    assert spread.xs("population average", level=1)[["mean", "sd"]].isna().all(axis=None)
    assert np.isfinite(spread.loc[(0, "group mean"), "mean"])
    assert np.isnan(spread.loc[(1, "group mean"), "mean"])
    differences = fit.differences("g", to=0, scale="response")
    assert differences["mean"].isna().sum() == 3
    assert differences["sd"].isna().all()


@pytest.mark.parametrize(
    ("prior", "new", "average"),
    [
        (None, 0, 0),
        ("HalfCauchy(1)", 0, 0),
        ("Exponential(3)", 0, 0),
        ("HalfNormal(2)", 0, 0),
        ("HalfNormal(0.8)", 1, 1),
        ("HalfNormal(0.6)", 1, 2),
        ("HalfNormal(0.4)", 2, 2),
        ("Uniform(0, 3)", 2, 2),
    ],
)
def test_averages_over_the_population(prior: str | None, new: int, average: int) -> None:
    """With tau beyond its data HalfNormal(b): exp(k^2 tau^2 / 2) against exp(-tau^2 / 2 b^2) for a new group's moment
    of order k, exp(k tau^2 / 2) for the average's."""
    fit = pp.fit("y ~ 1 + (1 | g)", COUNTS, family="poisson", priors={"sd(g)": prior} if prior else None)
    lines = fit.predict({"g": [99]}).set_index("quantity")[["mean", "sd"]]
    assert lines.loc["new group mean"].notna().sum() == new
    assert lines.loc["new group, new observation"].notna().sum() == new
    assert lines.loc["population average"].notna().sum() == average
    assert np.isfinite(lines.loc["at the average", "mean"])
    # under HalfCauchy(1) a dense grid has 38.9; the nodes have 27.2, of which 16 carry the square
    assert np.isnan(lines.loc["at the average", "sd"]) == (prior in (None, "HalfCauchy(1)"))
    assert fit.groups()[["mean", "sd"]].notna().all(axis=None)
    assert list(fit.groups().columns[-3:]) == ["q5", "q95", "weight"]


def test_logit_and_conjugate_means_exist() -> None:
    data = {**COUNTS, "n": [10] * 8}
    for more in ({"family": "binomial", "trials": "n"}, {"family": "poisson", "population": "gamma"}):
        fit = pp.fit("y ~ 1 + (1 | g)", data, **more)
        assert fit.predict({"g": [0, 99], "n": [10, 10]})[["mean", "sd"]].notna().all(axis=None)
        assert fit.groups()[["mean", "sd"]].notna().all(axis=None)


def test_estimates_have_their_means() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", COUNTS, family="poisson", method="empirical_bayes")
    assert fit.predict({"g": [99]})["mean"].notna().all()


def test_a_constant_gamma_response_is_refused() -> None:
    data = {"y": [2.0] * 8, "g": [0, 0, 1, 1, 2, 2, 3, 3]}
    with pytest.raises(pp.errors.DataError, match=r"response 'y' is constant \(2 in every row\)"):
        pp.fit("y ~ 1 + (1 | g)", data, family="gamma")
    assert pp.fit("y ~ 1 + (1 | g)", data, family="gamma(shape=4)").summary()["mean"].notna().all()
