"""Pictures: every kind of fit draws, says what it shows, and leaves matplotlib's state alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError, OutputError
from partialpool.outputs.plots.panels import find_intervals, gather_panels

KINDS = ["shrinkage", "forest"]


@pytest.fixture(scope="module")
def fits() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    many = {"y": rng.normal(size=1000), "s": rng.uniform(0.3, 2.0, 1000), "g": np.arange(1000)}
    some = {name: values[:85] for name, values in many.items()}
    three = {"y": [1.0, 4.0, 2.5], "s": [1.0, 1.0, 2.0], "g": ["$x$ & <b>", "a_label_" * 9, "ü"]}
    group, x = np.arange(60) // 5, np.r_[np.zeros(20), rng.normal(size=40)]
    own = rng.normal(size=(2, 12))[:, group]
    unequal = {"y": own[0] + own[1] * x + 0.5 * rng.normal(size=60), "x": x, "g": group}
    known = {"standard_error": "s"}
    return {
        "three": pp.fit("y ~ 1 + (1 | g)", three, **known, priors={"sd(g)": "Flat()", "Intercept": "Flat()"}),
        "eight": pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), standard_error="se"),
        "slopes": pp.fit("Reaction ~ Days + (Days | Subject)", pp.datasets.sleepstudy()),
        "undetermined": pp.fit("y ~ x + (x | g)", unequal),
        "no population column": pp.fit("y ~ 0 + x + (1 | g)", unequal),
        "85": pp.fit("y ~ 1 + (1 | g)", some, **known),
        "1000": pp.fit("y ~ 1 + (1 | g)", many, **known),
        "unpooled": pp.fit("hours ~ 1 + (1 | school)", pp.datasets.homework(), size="n", sd="sd", pooling="none"),
        "plug-in": pp.fit(
            "effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), standard_error="se", method="empirical_bayes"
        ),
    }


def _texts(figure: Any) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["three", "eight", "slopes", "undetermined", "no population column", "85", "1000", "unpooled", "plug-in"]
)
def test_every_kind_of_fit_draws(fits: dict[str, Any], name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    figure = getattr(fits[name].plot, kind)(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [entry.name for entry in tmp_path.iterdir()] == ["picture.png"]
    width, height = figure.get_size_inches()
    assert width <= 15
    assert height <= 18


def test_one_panel_for_each_coefficient(fits: dict[str, Any]) -> None:
    figure = fits["slopes"].plot.shrinkage()
    assert [axis.get_xlabel() for axis in figure.axes] == ["Reaction (intercept)", "Reaction per unit of Days"]


def test_points_stand_where_the_table_says(fits: dict[str, Any]) -> None:
    table = fits["eight"].groups().sort_values("raw")
    axis = fits["eight"].plot.shrinkage().axes[0]
    raw, pooled = (line.get_xdata() for line in axis.lines[-2:])
    np.testing.assert_allclose(raw, table["raw"])
    np.testing.assert_allclose(pooled, table["mean"])
    assert [label.get_text() for label in axis.get_yticklabels()] == list(table.index)


def test_the_new_groups_interval_is_that_of_a_prediction(fits: dict[str, Any]) -> None:
    panel = gather_panels(fits["eight"].fitted, 0)[0]
    predicted = fits["eight"].predict({"school": ["unseen"]}, quantiles=(0.05, 0.25, 0.75, 0.95))
    line = predicted[predicted["quantity"] == "new group mean"].iloc[0]
    new = panel.new_group
    assert new is not None
    np.testing.assert_allclose(
        [new.mean, new.q5, new.q25, new.q75, new.q95], line[["mean", "q5", "q25", "q75", "q95"]].astype(float)
    )


def test_a_selection_says_so(fits: dict[str, Any]) -> None:
    assert "the 30 lowest and the 30 highest of 85 groups" in _texts(fits["85"].plot.forest())
    assert "25 more" in _texts(fits["85"].plot.forest())
    assert "85 groups, all drawn" in _texts(fits["85"].plot.shrinkage())
    assert "1,000 groups: lines for 250 of them" in _texts(fits["1000"].plot.shrinkage())


def test_a_dollar_sign_in_a_label_is_not_mathematics(fits: dict[str, Any]) -> None:
    figure = fits["three"].plot.shrinkage()
    labels = [text for text in figure.findobj(matplotlib.text.Text) if "$" in text.get_text() and text.get_visible()]
    assert labels
    assert not any(text.get_parse_math() for text in labels)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_fit_gives_the_same_file(fits: dict[str, Any], tmp_path: Path, ending: str) -> None:
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    fits["eight"].plot.shrinkage(first)
    fits["eight"].plot.shrinkage(str(second))
    assert first.read_bytes() == second.read_bytes()


def test_a_notebook_shows_the_figure(fits: dict[str, Any]) -> None:
    assert fits["eight"].plot.forest()._repr_png_().startswith(b"\x89PNG")


def test_pyplot_and_the_backend_are_left_alone(fits: dict[str, Any], tmp_path: Path) -> None:
    code = (
        "import sys, matplotlib; params = matplotlib.rcParams;"
        "state = lambda: {name: params[name] for name in params if name != 'backend'}; before = state();"
        "import partialpool as pp;"
        "fit = pp.fit('effect ~ 1 + (1 | school)', pp.datasets.eight_schools(), standard_error='se');"
        "fit.plot.shrinkage('a.png'); fit.plot.forest('b.png');"
        "assert 'matplotlib.pyplot' not in sys.modules; assert state() == before"
    )
    environment = {
        "PYTHONPATH": str(Path(pp.__file__).parents[1]),
        "HOME": str(tmp_path),
        "MPLCONFIGDIR": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment, capture_output=True)


def test_a_fit_without_groups_has_no_picture(fits: dict[str, Any], tmp_path: Path) -> None:
    fit = pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), standard_error="se", pooling="complete")
    with pytest.raises(DataError, match="no groups"):
        fit.plot.shrinkage(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_matplotlib_names_the_extra(fits: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partialpool.outputs.output_paths.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"pip install 'partialpool\[plot\]'"):
        getattr(fits["eight"].plot, kind)()


@pytest.mark.parametrize("name", ["eight", "slopes", "undetermined", "plug-in", "unpooled"])
def test_the_intervals_are_those_of_the_table(fits: dict[str, Any], name: str) -> None:
    table = fits[name].groups(quantiles=(0.05, 0.25, 0.75, 0.95))
    n_groups = fits[name].fitted.model.groups[0].n_levels
    shown = find_intervals(fits[name].fitted, 0, np.arange(n_groups)[::-1])[:, ::-1]
    expected = table[["q5", "q25", "q75", "q95"]].to_numpy().reshape(n_groups, -1, 4).transpose(1, 0, 2)
    np.testing.assert_allclose(shown, expected, rtol=0, atol=2e-3 * table["sd"].max())


# --- several factors ---


@pytest.fixture(scope="module")
def towns() -> Any:
    """Simulated: four towns and five years, slopes between towns."""
    rng = np.random.default_rng(5)
    town, year, x = rng.integers(0, 4, 80), rng.integers(0, 5, 80), rng.normal(size=80)
    own = rng.normal(size=(2, 4))[:, town]
    y = own[0] + own[1] * x + rng.normal(size=5)[year] + 0.5 * rng.normal(size=80)
    names = np.array(["North", "South", "East", "West"])
    return pp.fit("y ~ x + (x | town) + (1 | year)", {"y": y, "x": x, "town": names[town], "year": 2000 + year})


@pytest.mark.parametrize("kind", KINDS)
def test_one_factors_groups_are_drawn(towns: Any, kind: str, tmp_path: Path) -> None:
    draw = getattr(towns.plot, kind)
    with pytest.raises(DataError, match=r"2 grouping factors \('town', 'year'\): name the one that is meant"):
        draw(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"'years' is not a grouping factor .* did you mean 'year'"):
        draw(tmp_path / "a.png", factor="years")
    assert not list(tmp_path.iterdir())
    by_town, by_year = draw(factor="town"), draw(tmp_path / "b.svg", factor="year")
    assert [axis.get_xlabel() for axis in by_town.axes] == ["y (intercept)", "y per unit of x"]
    assert [axis.get_xlabel() for axis in by_year.axes] == ["y (intercept)"]
    assert "North" in _texts(by_town)
    assert "2003" in _texts(by_year)
    assert "North" not in _texts(by_year)
    assert (tmp_path / "b.svg").exists()


@pytest.mark.parametrize(("factor", "name"), [(0, "town"), (1, "year")])
def test_a_factors_panel_is_its_table(towns: Any, factor: int, name: str) -> None:
    table = towns.groups(name, quantiles=(0.05, 0.25, 0.75, 0.95))
    panels = gather_panels(towns.fitted, factor)
    intervals = find_intervals(towns.fitted, factor, np.arange(len(table) // len(panels)))
    for k, panel in enumerate(panels):
        lines = table.iloc[k :: len(panels)]
        for column in ("n", "raw", "raw_sd", "mean", "weight"):
            np.testing.assert_array_equal(getattr(panel, column), lines[column])
        np.testing.assert_allclose(intervals[k], lines[["q5", "q25", "q75", "q95"]], atol=2e-3)


def test_a_new_group_of_one_factor_is_without_the_other(towns: Any) -> None:
    """The population's coefficient and one factor's spread, drawn by hand."""
    draws, rng = towns.draws(40_000, seed=1), np.random.default_rng(2)
    for factor, sd in enumerate(("sd(town, Intercept)", "sd(year)")):
        fresh = draws["Intercept"] + draws[sd] * rng.normal(size=40_000)
        new = gather_panels(towns.fitted, factor)[0].new_group
        assert new is not None
        below = [np.mean(fresh < end) for end in (new.q5, new.q25, new.q75, new.q95)]
        np.testing.assert_allclose(below, [0.05, 0.25, 0.75, 0.95], atol=0.012)


# --- style sheets ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_style_sheet_changes_nothing(fits: dict[str, Any], kind: str, tmp_path: Path) -> None:
    """Colours are fixed, so the background is too: also where the user saves the figure."""
    from matplotlib import style

    pictures = []
    for sheet in ("default", "dark_background", "ggplot"):
        with style.context(sheet):
            figure = getattr(fits["eight"].plot, kind)(tmp_path / f"{sheet}.png")
            figure.savefig(tmp_path / f"{sheet}-own.png", dpi=60)
        pictures.append([(tmp_path / f"{sheet}{own}.png").read_bytes() for own in ("", "-own")])
    assert pictures[0] == pictures[1] == pictures[2]


def test_a_background_that_the_user_asks_for(fits: dict[str, Any], tmp_path: Path) -> None:
    from matplotlib.image import imread

    figure = fits["eight"].plot.forest()
    figure.savefig(tmp_path / "a.png", dpi=40, facecolor="black")
    figure.savefig(tmp_path / "b.png", dpi=40)
    corners = [imread(tmp_path / f"{name}.png")[0, 0, :3].tolist() for name in "ab"]
    assert corners == [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
