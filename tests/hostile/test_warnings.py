"""Warnings point at the line that called the package, whatever route inside it led to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import AccuracyWarning, MissingRowsWarning, PartialpoolWarning, PriorWarning, warn_user
from partialpool.inference.hyper import attempts, by_importance

RNG = np.random.default_rng(1)
G = np.repeat(np.arange(8), 5)
ROWS = {
    "y": RNG.normal(size=40) + RNG.normal(size=8)[G],
    "k": RNG.poisson(3.0, size=40),
    "g": G,
    "gap": np.where(np.arange(40) == 3, np.nan, 1.0) * RNG.normal(size=40),
}
SHARP = {"sd(g)": "InverseGamma(0.1, 0.1, on='variance')"}
POISSON = {"family": "poisson"}

CASES: dict[str, tuple[Callable[[], object], type[PartialpoolWarning]]] = {
    "rows left out": (lambda: pp.fit("y ~ gap + (1 | g)", ROWS), MissingRowsWarning),
    "rows left out, described": (lambda: pp.describe("y ~ gap + (1 | g)", ROWS), MissingRowsWarning),
    "a prior known to mislead": (lambda: pp.fit("y ~ (1 | g)", ROWS, priors=SHARP), PriorWarning),
    "the same, of counts": (lambda: pp.fit("k ~ (1 | g)", ROWS, priors=SHARP, family="poisson"), PriorWarning),
    "priors that are not used": (
        lambda: pp.fit("y ~ (1 | g)", ROWS, priors={"sd(g)": "HalfNormal(1)"}, method="empirical_bayes"),
        PriorWarning,
    ),
    "the same, of counts, not used": (
        lambda: pp.fit("k ~ (1 | g)", ROWS, priors={"sd(g)": "HalfNormal(1)"}, method="empirical_bayes", **POISSON),
        PriorWarning,
    ),
}


@pytest.mark.parametrize(("call", "category"), list(CASES.values()), ids=list(CASES))
def test_a_warning_points_at_the_line_that_called(
    call: Callable[[], object], category: type[PartialpoolWarning]
) -> None:
    with pytest.warns(category) as caught:
        call()
    line = call.__code__.co_firstlineno
    assert {(warning.filename, warning.lineno) for warning in caught} <= {(__file__, line), (__file__, line + 1)}


def test_an_accuracy_that_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_importance, "find_fault", lambda *_: "made up")
    monkeypatch.setattr(attempts, "_MAX_HALF_DIFFERENCE", 0.0)
    with pytest.warns(AccuracyWarning) as caught:
        pp.fit("y ~ (1 | g)", ROWS, method="importance")
    assert [warning.filename for warning in caught] == [__file__]


def test_other_libraries_between_the_package_and_the_user_are_passed_over() -> None:
    inside = {"__name__": "partialpool.models.lazy", "warn_user": warn_user, "Warned": PriorWarning}
    exec("def late(fit):\n    warn_user('late', Warned)", inside)
    exec("import functools\nclass Fit:\n    late = functools.cached_property(late)", inside)
    with pytest.warns(PriorWarning) as caught:
        _ = inside["Fit"]().late
    assert [warning.filename for warning in caught] == [__file__]


def test_packages_whose_names_begin_alike_are_not_taken_for_this_one() -> None:
    beside = {"__name__": "partialpool_extras", "warn_user": warn_user, "Warned": PriorWarning}
    exec(compile("def use():\n    warn_user('said', Warned)", "partialpool_extras.py", "exec"), beside)
    with pytest.warns(PriorWarning) as caught:
        beside["use"]()
    assert [warning.filename for warning in caught] == ["partialpool_extras.py"]
