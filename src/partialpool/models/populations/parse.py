"""From a population's text to the population."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from dataclasses import fields

from partialpool.errors import DataError
from partialpool.inputs.columns.places import suggest_spelling
from partialpool.models.populations.base import Population
from partialpool.models.populations.beta import BetaPopulation
from partialpool.models.populations.estimated import EstimatedPopulation, Nonparametric, NormalMixture
from partialpool.models.populations.gamma import ExponentialPopulation, GammaPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.populations.student_t import StudentTPopulation

AnyPopulation = Population | EstimatedPopulation

_CLASSES: tuple[type[AnyPopulation], ...] = (
    NormalPopulation,
    StudentTPopulation,
    SkewNormalPopulation,
    LognormalPopulation,
    ExponentialPopulation,
    GammaPopulation,
    BetaPopulation,
    NormalMixture,
    Nonparametric,
)
POPULATIONS: dict[str, type[AnyPopulation]] = {population.name: population for population in _CLASSES}
_OTHER_NAMES = {"npml": "nonparametric"}
# How a population that takes an argument is written.
_USAGE = {"student_t": "student_t or student_t(nu=4)", "mixture": "mixture(components=2)"}
# The parameters that one would write as a population's arguments, by the names that their priors have.
_PARAMETERS = {
    "normal": ("Intercept", "sd"),
    "beta": ("alpha", "beta"),
    "gamma": ("alpha", "beta"),
    "exponential": ("mean",),
}


def read_population(value: object) -> AnyPopulation:
    """Return the population that ``value`` is or that its text says; nothing in the text is executed.

    Raises:
        DataError: the text is no population, the population is unknown, or its arguments are wrong.

    >>> read_population("student_t(nu=4)")
    StudentTPopulation(nu=4.0)
    >>> read_population("npml")
    Nonparametric()
    """
    if isinstance(value, Population | EstimatedPopulation):
        return value
    if not isinstance(value, str):
        shown = value.__name__ if isinstance(value, type) else repr(value)
        raise DataError(f"population={shown} is not a population: write one of {_list_usages()}")
    name, arguments = _parse_text(value)
    population = POPULATIONS.get(_OTHER_NAMES.get(name, name))
    if population is None:
        nearest = suggest_spelling(name, [*POPULATIONS, *_OTHER_NAMES])
        raise DataError(
            f"population={value!r}: there is no {name}{nearest or '.'} The populations are {_list_usages()}"
        )
    return _build(population, arguments, value)


def _build(population: type[AnyPopulation], call: ast.Call, text: str) -> AnyPopulation:
    names = [argument.name for argument in fields(population)]
    usage = _USAGE.get(population.name, population.name)
    wrong = DataError(f"population={text!r}: write {usage}{_suggest_given(population, call)}")
    if len(call.args) > len(names):
        raise wrong
    given = list(zip(names, call.args, strict=False)) + [(str(each.arg), each.value) for each in call.keywords]
    values = {name: _read_number(node, wrong) for name, node in given}
    if len(values) < len(given) or set(values) - set(names) or (population is NormalMixture and not values):
        raise wrong
    make: Callable[..., AnyPopulation] = population
    return make(**values)


def _suggest_given(population: type[AnyPopulation], call: ast.Call) -> str:
    """Return how values are given of parameters that are no arguments of a population."""
    names = _PARAMETERS.get(population.name, ())
    given = [*call.args, *(argument.value for argument in call.keywords)]
    if not names or len(given) != len(names):
        return ""
    priors = ", ".join(f"'{name}': 'Fixed({ast.unparse(node)})'" for name, node in zip(names, given, strict=True))
    return f", and values that are known as priors={{{priors}}}"


def _parse_text(text: str) -> tuple[str, ast.Call]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd numbers and escapes warn while they are being refused
            node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    if isinstance(node, ast.Name):
        node = ast.Call(func=node, args=[], keywords=[])
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        raise DataError(f"population={shown!r} is not a population: write one of {_list_usages()}")
    return node.func.id, node


def _read_number(node: ast.expr, wrong: DataError) -> int | float:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_read_number(node.operand, wrong)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    raise wrong


def _list_usages() -> str:
    return ", ".join(_USAGE.get(name, name) for name in POPULATIONS)
