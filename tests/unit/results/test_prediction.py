"""Predictions with any mix of known and new levels, against dense algebra, their formula, and each other."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp

from .dense_fit import DenseFit, solve_densely
from .several import PRIORS, fit_several, make_data

X = 0.7
# State of batch and cask: what new rows say, which factors that makes new, and the codes (batch, batch:cask) beside.
PLACES = [
    ({"batch": "B", "cask": "c"}, "", (1, 5)),
    ({"batch": "B", "cask": "unseen"}, "batch:cask", (1, -1)),
    ({"batch": "B", "cask": None}, "batch:cask", (1, -1)),
    ({"batch": "unseen", "cask": "a"}, "batch, batch:cask", (-1, -1)),
]


@pytest.fixture(scope="module")
def nested() -> DenseFit:
    return solve_densely(fit_several("nested"))


def _expected(dense: DenseFit, codes: tuple[int, int], noisy: bool) -> tuple[float, float]:
    """Mean and sd of a mixture of normals: known levels by their posterior, new ones by the variances of their
    populations, the noise by sigma^2."""
    points = dense.fit.fitted.hyper.points
    vector, extra = np.zeros(dense.n_unknown), np.zeros(points.n_nodes)
    vector[:2] = 1.0, X
    for factor, code in enumerate(codes):
        if code < 0:
            extra += points.effect_root[factor, factor] ** 2
        else:
            vector[dense.effect(factor, 0, code)] = 1.0
    extra += points.residual_sd**2 if noisy else 0.0
    mean, sd, _ = dense.mixture(vector, extra)
    return mean, sd


def test_each_line_is_what_its_label_says(nested: DenseFit) -> None:
    fit = nested.fit
    new = {name: [place[name] for place, _, _ in PLACES] for name in ("batch", "cask")} | {"x": [X] * len(PLACES)}
    table = fit.predict(new)
    everywhere = "batch, batch:cask"
    lines = []
    for row, (place, which, codes) in enumerate(PLACES):
        labels = (place["batch"], f"{place['batch']}:{place['cask'] or '(new)'}")
        if not which:
            lines.append((row, *labels, "", "group mean", _expected(nested, codes, False)))
            lines.append((row, *labels, "", "new observation", _expected(nested, codes, True)))
            drawn = _expected(nested, (-1, -1), True)
            lines.append((row, *labels, everywhere, "new group, new observation", drawn))
        else:
            lines.append((row, *labels, which, "new group mean", _expected(nested, codes, False)))
            lines.append((row, *labels, which, "new group, new observation", _expected(nested, codes, True)))
    assert list(table.columns[:4]) == ["batch", "batch:cask", "new_levels", "quantity"]
    found = list(table.reset_index()[["row", *table.columns[:4]]].itertuples(index=False, name=None))
    assert found == [line[:-1] for line in lines]
    for (_, found_line), line in zip(table.iterrows(), lines, strict=True):
        mean, sd = line[-1]
        assert abs(found_line["mean"] - mean) < 1e-6 * sd
        assert found_line["sd"] == pytest.approx(sd, rel=1e-6)


@pytest.mark.parametrize("name", ["crossed slopes", "independent slopes"])
def test_every_mix_of_crossed_levels(name: str) -> None:
    """Slopes multiply the row's own columns, of known levels and of new ones."""
    dense = solve_densely(fit_several(name))
    fit, points = dense.fit, dense.fit.fitted.hyper.points
    rows = list(product([3, 99], ["s-u", "unseen"]))
    new = {"plate": [row[0] for row in rows], "sample": [row[1] for row in rows], "x": [X] * 4, "z": [0.2] * 4}
    table = fit.predict(new).reset_index()
    columns = {"Intercept": 1.0, "x": X, "z": 0.2}
    for row, mixed in enumerate(rows):
        vector, extra, fresh = np.zeros(dense.n_unknown), np.zeros(points.n_nodes), []
        for k, column in enumerate(fit.fitted.model.design.population.names):
            vector[k] = columns[column]
        for factor, (group, label) in enumerate(zip(fit.fitted.model.groups, mixed, strict=True)):
            z = np.array([columns[column] for column in group.names])
            if str(label) not in group.labels:
                part = fit.fitted.model.effect_slices[factor]
                extra += np.sum(np.einsum("i,ikn->kn", z, points.effect_root[part, part]) ** 2, axis=0)
                fresh.append(group.name)
                continue
            for effect in range(len(z)):
                vector[dense.effect(factor, effect, group.labels.index(str(label)))] = z[effect]
        mean, sd, _ = dense.mixture(vector, extra)
        line = table[(table["row"] == row) & table["quantity"].isin(["group mean", "new group mean"])]
        assert list(line["quantity"]) == ["new group mean" if fresh else "group mean"]
        assert list(line["new_levels"]) == [", ".join(fresh)]
        assert line["mean"].item() == pytest.approx(mean, abs=1e-6 * sd)
        assert line["sd"].item() == pytest.approx(sd, rel=1e-6)


def test_quantiles_of_a_new_group_agree_with_draws() -> None:
    fit, n = fit_several("nested"), 40_000
    probabilities = (0.05, 0.3, 0.5, 0.9)
    table = fit.predict({"batch": ["B"], "cask": ["unseen"], "x": [X]}, quantiles=probabilities)
    draws = fit.draws(n, parameters=["Intercept", "x", "u[batch=B]", "sd(batch:cask)", "sigma"], seed=3)
    rng = np.random.default_rng(7)
    mean = draws["Intercept"] + X * draws["x"] + draws["u[batch=B]"] + draws["sd(batch:cask)"] * rng.normal(size=n)
    observed = mean + draws["sigma"] * rng.normal(size=n)
    for values, (_, line) in zip((mean, observed), table.iterrows(), strict=True):
        below = [np.mean(values < line[name]) for name in ("q5", "q30", "q50", "q90")]
        np.testing.assert_allclose(below, probabilities, atol=0.012)


def test_equal_rows_are_computed_once_and_in_the_order_given(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = fit_several("nested")
    base = {"batch": ["B", "A", "new"], "cask": ["c", "b", "a"], "x": [X, -1.0, 0.0]}
    order = np.random.default_rng(1).integers(0, 3, 200)
    sizes = []
    from partialpool.results import prediction

    summarise = prediction.summarise_predictors

    def count(posterior: Any, wanted: Any, *more: Any) -> Any:
        sizes.append(wanted.population.shape[1])
        return summarise(posterior, wanted, *more)

    monkeypatch.setattr(prediction, "summarise_predictors", count)
    many = fit.predict({name: list(np.array(values)[order]) for name, values in base.items()})
    assert max(sizes) <= 3
    few = fit.predict(base)
    expected = pd.concat([few.loc[[row]] for row in order])
    expected.index = many.index
    pd.testing.assert_frame_equal(many, expected)


def test_an_offset_moves_a_row_and_a_standard_error_is_its_own() -> None:
    fit = fit_several("weights, counts, offset")
    new = {"x": [X, X], "plate": [2, 2], "sample": ["s t", "s t"]}
    table = fit.predict(new, offset=[0.0, 2.5])
    numbers = ["mean", "q5", "q50", "q95"]
    np.testing.assert_allclose(table.loc[1, numbers], table.loc[0, numbers] + 2.5, rtol=1e-12)
    np.testing.assert_array_equal(table.loc[1, "sd"], table.loc[0, "sd"])
    known = fit_several("standard errors")
    place = {"batch": ["B"] * 3, "cask": ["a"] * 3}
    assert set(known.predict(place)["quantity"]) == {"group mean"}
    table = known.predict(place, standard_error=[0.5, 0.5, 2.0])
    observed = table[table["quantity"] == "new observation"]["sd"].to_numpy()
    mean = table[table["quantity"] == "group mean"]["sd"].to_numpy()
    np.testing.assert_allclose(observed**2 - mean**2, [0.25, 0.25, 4.0], rtol=1e-9)


def test_one_factor_keeps_its_columns() -> None:
    fit = pp.fit("y ~ x + (1 | batch)", make_data(), priors=PRIORS)
    table = fit.predict({"x": [X, X], "batch": ["B", "unseen"]})
    assert list(table.columns[:3]) == ["batch", "group_is", "quantity"]
    assert list(table["group_is"]) == ["known"] * 3 + ["new"] * 2


@pytest.mark.parametrize(("n", "decimals", "most"), [(100_000, 1, 200e6), (10_000, 12, 450e6)])
def test_many_rows_take_bounded_memory(n: int, decimals: int, most: float) -> None:
    """Equal rows among many, and rows that all differ. Measured: 91 and 314 MB."""
    fit, rng = fit_several("nested"), np.random.default_rng(4)
    x = rng.normal(size=n).round(decimals)
    new = {"x": x, "batch": list("ABCD") * (n // 4), "cask": ["a", "unseen"] * (n // 2)}
    tracemalloc.start()
    table = fit.predict(new)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.index.nunique() == n
    assert peak < most
