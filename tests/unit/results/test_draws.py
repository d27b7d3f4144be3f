"""Draws of a selection and in batches: what is asked for, nothing else, and reproducibly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError
from partialpool.results import draws as draws_module
from partialpool.results import fitted as fitted_module

from .several import PRIORS, fit_several, make_data


def test_a_selection_draws_only_the_levels_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, asked = fit_several("three"), []
    draw = fitted_module.draw_jointly

    def spy(marginal: Any, hyper: Any, n: int, levels: Any, *more: Any, **named: Any) -> Any:
        asked.append([codes.tolist() for codes in levels])
        return draw(marginal, hyper, n, levels, *more, **named)

    monkeypatch.setattr(fitted_module, "draw_jointly", spy)
    names = ["theta[plate=6]", "u[plate=2]", "sigma", "u[batch:cask=B:a]", "theta[plate=2]"]
    found = fit.draws(50, parameters=names)
    assert list(found) == names
    assert asked == [[[], [3], [1, 5]]]
    assert {len(values) for values in found.values()} == {50}
    fit.draws(10, parameters=["Intercept"])
    assert asked[-1] == [[], [], []]


def test_selected_effects_follow_the_tables_and_each_other() -> None:
    fit, n = fit_several("crossed slopes"), 20_000
    names = ["theta[plate=2, x]", "u[plate=2, x]", "x", "u[sample=s,v]", "u[sample=w=x]"]
    drawn, table = fit.draws(n, parameters=names, seed=5), fit.summary(effects=True)
    for name in names:
        line = table.loc[name]
        assert abs(drawn[name].mean() - line["mean"]) < 5 * line["sd"] / np.sqrt(n), name
        assert abs(drawn[name].std() / line["sd"] - 1) < 0.04, name
    np.testing.assert_allclose(drawn["theta[plate=2, x]"], drawn["x"] + drawn["u[plate=2, x]"], rtol=1e-12)


@pytest.mark.parametrize("name", ["three", "crossed slopes"])
def test_batches_together_are_a_joint_sample(name: str) -> None:
    fit, n = fit_several(name), 12_000
    table = fit.summary(effects=True)
    batches = list(fit.draw_batches(n, size=700, seed=4))
    assert [len(batch["sigma"]) for batch in batches] == [700] * 17 + [100]
    assert all(list(batch) == list(table.index) for batch in batches)
    drawn = {parameter: np.concatenate([batch[parameter] for batch in batches]) for parameter in table.index}
    for parameter, line in table.iterrows():
        assert abs(drawn[parameter].mean() - line["mean"]) < 5 * line["sd"] / np.sqrt(n), parameter
        assert abs(drawn[parameter].std() / line["sd"] - 1) < 0.06, parameter
    whole = fit.draws(n, seed=9)
    pair = list(table.index)[1], list(table.index)[-1]
    for one, two in (
        pair,
        ("Intercept", f"u[{fit.fitted.model.groups[0].name}={fit.fitted.model.groups[0].labels[0]}"),
    ):
        if two not in drawn:
            two = next(parameter for parameter in drawn if parameter.startswith(two))
        found, expected = (np.corrcoef(draws[one], draws[two])[0, 1] for draws in (drawn, whole))
        assert abs(found - expected) < 6 / np.sqrt(n)


def test_the_same_seed_and_size_give_the_same_batches() -> None:
    fit = fit_several("nested")
    one, two = (list(fit.draw_batches(100, size=30, seed=2)) for _ in range(2))
    other = list(fit.draw_batches(100, size=30, seed=3))
    for first, second, third in zip(one, two, other, strict=True):
        for parameter, values in first.items():
            np.testing.assert_array_equal(values, second[parameter])
            assert not np.array_equal(values, third[parameter])
    for first, second in pairwise(one[:3]):
        assert not np.array_equal(first["sigma"], second["sigma"])


def test_one_batch_is_what_draws_returns() -> None:
    fit, names = fit_several("nested"), ["u[batch=B]", "x"]
    whole = fit.draws(40, parameters=names, seed=6)
    (batch,) = fit.draw_batches(40, size=1000, parameters=names, seed=6)
    (default,) = fit.draw_batches(40, parameters=names, seed=6)
    for name in names:
        np.testing.assert_array_equal(batch[name], whole[name])
        np.testing.assert_array_equal(default[name], whole[name])


def test_batches_are_made_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many draws as would fill the memory stream, while ``draws`` refuses them."""
    fit = fit_several("nested")
    monkeypatch.setattr(draws_module, "_MOST_NUMBERS", 16 * 100)
    assert len(next(fit.draw_batches(10**9, size=100))["sigma"]) == 100
    with pytest.raises(DataError, match=r"draws of 16 effects are .* GB: select some with parameters="):
        fit.draws(101)
    assert len(fit.draws(1000, parameters=["u[batch=A]"])["u[batch=A]"]) == 1000
    monkeypatch.setattr(draws_module, "_BATCH_NUMBERS", 360)
    assert len(next(fit.draw_batches(10**9))["sigma"]) == 360 // len(fit.summary(effects=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "n is 0: give a positive whole number"),
        ({"n": 5, "size": 0}, "size is 0: give a positive number of draws a batch"),
        ({"n": 5, "size": 2.5}, "size is 2.5"),
        ({"n": 5, "size": True}, "size is True"),
        (
            {"n": 5, "parameters": ["sd(batches)"]},
            "'sd(batches)' is not a parameter of this fit; did you mean 'sd(batch)'",
        ),
        ({"n": 5, "parameters": ["u[batch=a]"]}, "did you mean 'u[batch=A]'"),
        ({"n": 5, "parameters": "sigma"}, "give a list of names, such as ['sigma']"),
        ({"n": 5, "parameters": [3]}, "'3' is not a parameter"),
    ],
)
def test_batches_that_cannot_be_are_refused_at_once(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        fit_several("nested").draw_batches(**arguments)
    assert said in str(caught.value)


def test_of_many_groups_no_near_miss_is_looked_for() -> None:
    """A comparison with each of a million names would take a minute."""
    data = {"y": np.tile(make_data()["y"], 300), "g": np.arange(27_000) // 2}
    fit = pp.fit("y ~ 1 + (1 | g)", data, priors=PRIORS)
    with pytest.raises(DataError, match=r"'u\[g=-1\]' is not a parameter of this fit; there are 'Intercept'"):
        fit.draws(5, parameters=["u[g=-1]"])
    assert list(fit.draws(5, parameters=["u[g=13499]"])) == ["u[g=13499]"]
