"""Pictures of latent fits: on the response's scale, in its bounds, with what is infinite or undetermined left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import partialpool as pp
from partialpool.outputs.plots.panels import Panel, find_intervals, gather_panels
from partialpool.outputs.plots.picture import POOLED

KINDS = ["shrinkage", "forest"]
BINOMIAL: dict[str, Any] = {"family": "binomial", "trials": "visits"}
ROUGH = {"accuracy": 0.1}
EB = {"method": "empirical_bayes"}


def make_shop(n: int, seed: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    visits = rng.integers(2, 60, n)
    return {
        "purchases": rng.binomial(visits, rng.beta(1.5, 12.0, n)),
        "visits": visits,
        "store": np.array([f"s{k:03d}" for k in range(n)]),
        "x": rng.normal(size=n),
    }


def make_roads() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    road = np.arange(24) % 8
    km = rng.uniform(0.5, 9.0, 24)
    return {
        "accidents": rng.poisson(km * np.exp(rng.normal(-1.0, 0.7, 8))[road]),
        "km": km,
        "road": road,
        "area": np.array(list("nnsseeww"))[road],
        "x": rng.normal(size=24),
        "hours": rng.lognormal(0.3, 0.5, 24),
        "sick": np.where(rng.random(24) < 0.4, "yes", "no"),
    }


POISSON: dict[str, Any] = {"family": "poisson", "exposure": "km"}
CASES: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "binomial": (lambda: make_shop(9), "purchases ~ 1 + (1 | store)", BINOMIAL | ROUGH),
    "beta": (lambda: make_shop(9), "purchases ~ 1 + (1 | store)", BINOMIAL | ROUGH | {"population": "beta"}),
    "80 groups": (lambda: make_shop(80), "purchases ~ 1 + (1 | store)", BINOMIAL | ROUGH),
    "500 groups": (lambda: make_shop(500), "purchases ~ 1 + (1 | store)", BINOMIAL | {"population": "beta"}),
    "no successes": (lambda: make_shop(8) | {"purchases": [0] * 8}, "purchases ~ 1 + (1 | store)", BINOMIAL | ROUGH),
    "covariate": (lambda: make_shop(9), "purchases ~ x + (1 | store)", BINOMIAL | {"link": "probit"} | EB),
    "slopes": (make_roads, "accidents ~ x + (x | road)", POISSON | EB),
    "mixture": (lambda: make_shop(9), "purchases ~ 1 + (1 | store)", BINOMIAL | {"population": "mixture(2)"}),
    "rates": (make_roads, "accidents ~ 1 + (1 | road)", POISSON | ROUGH | {"population": "gamma"}),
    "nested": (make_roads, "accidents ~ 1 + (1 | area/road)", POISSON | EB),
    "median": (make_roads, "hours ~ 1 + (1 | road)", {"family": "lognormal"} | ROUGH),
    "identity": (make_roads, "hours ~ 1 + (1 | road)", {"family": "student_t(nu=4)"} | EB),
    "labels": (make_roads, "sick ~ 1 + (1 | road)", {"family": "bernoulli"} | EB),
    "unpooled": (lambda: make_shop(9), "purchases ~ 1 + (1 | store)", BINOMIAL | ROUGH | {"pooling": "none"}),
}


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    return {name: pp.fit(formula, make(), **arguments) for name, (make, formula, arguments) in CASES.items()}


@pytest.fixture(scope="module")
def panels(fits: dict[str, Any]) -> dict[str, Panel]:
    return {name: gather_panels(fit.fitted, len(fit.fitted.model.groups) - 1)[0] for name, fit in fits.items()}


def _texts(figure: Any) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(CASES))
def test_every_kind_of_fit_draws(fits: dict[str, Any], name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    fit = fits[name]
    figure = getattr(fit.plot, kind)(path, factor=fit.fitted.model.groups[-1].name)
    assert path.read_bytes().startswith(b"\x89PNG")
    width, height = figure.get_size_inches()
    assert width <= 15
    assert height <= 18


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("binomial", "p (purchases / visits)"),
        ("beta", "p (purchases / visits)"),
        ("covariate", "p (purchases / visits) where other columns are 0"),
        ("slopes", "log rate (accidents / km) (intercept)"),
        ("rates", "rate (accidents / km)"),
        ("median", "median (hours)"),
        ("identity", "hours"),
        ("labels", "p (sick = yes)"),
    ],
)
def test_axes_say_what_is_on_them(panels: dict[str, Panel], name: str, expected: str) -> None:
    assert panels[name].axis_label == expected


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("slopes", "500 groups")])
def test_points_and_intervals_are_those_of_the_table(fits: dict[str, Any], panels: dict[str, Panel], name: str) -> None:
    fit, panel = fits[name], panels[name]
    factor = len(fit.fitted.model.groups) - 1
    table = fit.groups(fit.fitted.model.groups[factor].name, quantiles=(0.05, 0.25, 0.75, 0.95))
    for column in ("raw", "raw_sd", "mean", "weight"):
        np.testing.assert_allclose(getattr(panel, column), table[column], rtol=1e-9, err_msg=column)
    n = min(len(table), 20)
    ends = find_intervals(fit.fitted, factor, np.arange(n)[::-1])[0, ::-1]
    np.testing.assert_allclose(ends, table[["q5", "q25", "q75", "q95"]][:n], rtol=1e-6)
    assert np.all(np.diff(ends, axis=1) >= 0.0)


@pytest.mark.parametrize("name", ["binomial", "beta", "rates", "median", "mixture"])
def test_the_population_is_that_of_a_prediction(fits: dict[str, Any], panels: dict[str, Panel], name: str) -> None:
    fit, panel = fits[name], panels[name]
    unseen = "unseen" if fit.fitted.model.groups[0].name == "store" else 99
    predicted = fit.predict(
        {fit.fitted.model.groups[0].name: [unseen]}, quantiles=(0.05, 0.25, 0.75, 0.95), **sizes(name)
    )
    for quantity, shown in (("new group mean", panel.new_group), ("population average", panel.population)):
        line = predicted[predicted["quantity"] == quantity].iloc[0]
        assert shown is not None
        for end in ("q5", "q25", "q75", "q95"):
            assert getattr(shown, end) == pytest.approx(line[end], abs=0.12 * line["sd"]), (quantity, end)


def sizes(name: str) -> dict[str, Any]:
    return {"trials": 1} if name in ("binomial", "beta", "mixture") else {"exposure": 1} if name == "rates" else {}


def test_raw_intervals_of_counts_are_within_their_bounds(panels: dict[str, Panel]) -> None:
    for name in ("binomial", "80 groups", "rates"):
        panel = panels[name]
        inside = np.isfinite(panel.raw_low)
        assert inside.any()
        assert np.all((panel.raw_low <= panel.raw) | ~inside)
        assert np.all((panel.raw_high >= panel.raw) | ~inside)
        assert np.nanmin(panel.raw_low) > 0.0
    assert np.nanmax(panels["binomial"].raw_high) < 1.0


def test_groups_without_successes_stand_at_zero_without_a_raw_interval(
    fits: dict[str, Any], panels: dict[str, Panel]
) -> None:
    panel = panels["no successes"]
    assert panel.raw.tolist() == [0.0] * 8
    assert np.isnan(panel.raw_low).all()
    figure = fits["no successes"].plot.shrinkage()
    assert "without interval at a bound, and arrows to where the population draws them" in _texts(figure)
    low, high = figure.axes[0].get_xlim()
    assert low > -0.05
    assert high < 1.01


@pytest.mark.parametrize("name", ["80 groups", "500 groups"])
def test_no_tick_stands_beyond_the_bounds(fits: dict[str, Any], name: str) -> None:
    figure = fits[name].plot.shrinkage()
    assert all(0.0 <= tick <= 1.0 for tick in figure.axes[0].get_xticks())
    assert "trials = " in _texts(figure)


def test_trials_and_weights_stand_beside_the_groups(fits: dict[str, Any]) -> None:
    text = _texts(fits["binomial"].plot.shrinkage())
    assert "trials" in text
    assert "weight" in text
    for size in make_shop(9)["visits"]:
        assert str(size) in text
    assert "exposure" in _texts(fits["rates"].plot.forest())


def test_without_pooling_there_is_no_population(panels: dict[str, Panel]) -> None:
    assert panels["unpooled"].population is None
    assert panels["unpooled"].new_group is None


def test_a_population_of_points_is_drawn_as_such() -> None:
    """A group whose quantiles are all on one point is not drawn as if it were known."""
    values = np.append(np.linspace(-1.0, 1.0, 5), np.linspace(9.0, 11.0, 5))
    data = {"y": values, "se": np.ones(10), "g": np.arange(10)}
    fit = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", population="nonparametric")
    groups = fit.groups()
    flat = int(np.sum(groups["q95"] == groups["q5"]))
    assert flat > 0
    for figure in (fit.plot.shrinkage(), fit.plot.forest()):
        (hollow,) = [
            line
            for line in figure.axes[0].lines
            if line.get_markerfacecolor() == "white" and line.get_color() == POOLED
        ]
        assert len(hollow.get_xdata()) == flat
        assert "the population's 2 points" in [text.get_text() for text in figure.legends[0].get_texts()]
        assert any("hollow" in text.get_text() for text in figure.texts)


def test_an_axis_far_outside_the_data_says_so() -> None:
    rng = np.random.default_rng(3)
    data = {"y": rng.poisson(4.0, 40), "year": rng.integers(2000, 2010, 40), "g": np.repeat(np.arange(5), 8)}
    fit = pp.fit("y ~ year + (1 | g)", data, family="poisson", method="empirical_bayes")
    near = pp.fit("y ~ center(year) + (1 | g)", data, family="poisson", method="empirical_bayes")
    for kind in ("shrinkage", "forest"):
        texts = [text.get_text() for text in getattr(fit.plot, kind)().axes[0].texts]
        sds = data["year"].mean() / data["year"].std()
        assert f"year = 0 is {sds:,.0f} sds from its mean: center(year)" in texts
        assert not any("sds" in text.get_text() for text in getattr(near.plot, kind)().axes[0].texts)
