"""From a prior's text, as on the command line and in saved fits, to the prior."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable
from dataclasses import fields
from numbers import Real

from partialpool.errors import PriorError
from partialpool.models.priors.base import Prior
from partialpool.models.priors.correlation import LKJ
from partialpool.models.priors.fixed import Fixed
from partialpool.models.priors.flat import Flat, Uniform
from partialpool.models.priors.location import Cauchy, Normal, StudentT
from partialpool.models.priors.scale import (
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    PCPrior,
    VariancePower,
)
from partialpool.models.priors.shapes import AlphaBetaPower, Beta, LogNormal

PRIORS: dict[str, type[Prior]] = {
    prior.__name__: prior
    for prior in (
        Normal,
        StudentT,
        Cauchy,
        HalfNormal,
        HalfCauchy,
        HalfStudentT,
        Exponential,
        Gamma,
        InverseGamma,
        PCPrior,
        VariancePower,
        Uniform,
        Flat,
        Fixed,
        LKJ,
        LogNormal,
        Beta,
        AlphaBetaPower,
    )
}


# Names that texts give them, letters alone.
_OTHER_NAMES = {
    "n": "Normal",
    "t": "StudentT",
    "halfn": "HalfNormal",
    "halft": "HalfStudentT",
    "ig": "InverseGamma",
    "invgamma": "InverseGamma",
}
# Arguments that are words, and what they may be.
_WORDS = {"on": "'sd' or 'variance', in quotes", "at": "'zero' or 'means', in quotes"}


def parse_prior(given: Prior | str, suit: Callable[[Prior], Prior] | None = None) -> Prior:
    """Return the prior that ``given`` is or that its text says; nothing in the text is executed.

    ``suit`` turns a prior into the one of its family that the parameter can have, for what a message suggests.

    Raises:
        PriorError: the text is not a prior, the prior is unknown, or its arguments are wrong.

    >>> parse_prior("HalfCauchy(5)")
    HalfCauchy(scale=5.0)
    >>> print(parse_prior("InverseGamma(.01, .01, on='variance')"))
    InverseGamma(0.01, 0.01, on='variance')
    """
    if isinstance(given, Prior):
        return given
    if not isinstance(given, str):
        raise _not_a_prior(given)
    text = given.strip()
    call = _parse_call(text)
    prior = _find_prior(call, text, suit)
    names = [argument.name for argument in fields(prior)]
    required = [argument.name for argument in fields(prior) if not argument.kw_only]
    positional = [*required, "after_zero"] if prior.may_name_zero else required
    if len(call.args) > len(positional):
        raise PriorError(
            f"{text}: arguments given by position: {len(call.args)}, taken: {len(required)}: write {_usage(prior)}"
        )
    values = {name: _read_value(node, name, text) for name, node in zip(positional, call.args, strict=False)}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg not in names:
            raise PriorError(f"{text}: there is no argument {keyword.arg or '**'}: write {_usage(prior)}")
        if keyword.arg in values:
            raise PriorError(f"{text}: {keyword.arg} is given twice: write {_usage(prior)}")
        values[keyword.arg] = _read_value(keyword.value, keyword.arg, text)
    missing = [name for name in required if name not in values]
    if missing:
        raise PriorError(f"{text}: {' and '.join(missing)} not given: write {_usage(prior)}")
    return prior(**values)


def suggest_nearest(word: str, known: list[str]) -> str:
    """Return '; did you mean ...?' with the entry of ``known`` nearest to ``word``, or nothing."""
    from difflib import get_close_matches

    folded = {"".join(name.split()).casefold(): name for name in known}
    nearest = get_close_matches("".join(word.split()).casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[nearest[0]]}?" if nearest else ""


def _suggest_prior(written: str) -> str:
    """Return '; did you mean ...?' with the prior that a name means, or is nearest to, or nothing."""
    meant = _OTHER_NAMES.get("".join(filter(str.isalpha, written)).lower())
    return f"; did you mean {meant}?" if meant else suggest_nearest(written.replace("-", ""), list(PRIORS))


def _not_a_prior(given: object) -> PriorError:
    if isinstance(given, type) and issubclass(given, Prior):
        return PriorError(f"{given.__name__} is given without its arguments: write {_usage(given)}")
    if not isinstance(given, bool) and isinstance(given, Real):
        return PriorError(f"{given!r} is not a prior: give Fixed({given!r}) if that is its value")
    return PriorError(f"{given!r} is not a prior: give an object or its text, such as 'HalfNormal(1)'")


def _parse_call(text: str) -> ast.Call:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # '1or 2' and unknown escapes warn while they are being refused
            node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    if isinstance(node, ast.Name):
        return ast.Call(func=node, args=[], keywords=[])
    if not isinstance(node, ast.Call):
        shown = text if len(text) <= 80 else f"{text[:77]}..."
        name = text.split("(")[0].strip()
        nearest = "" if name == text or name in PRIORS else _suggest_prior(name)
        raise PriorError(
            f"{shown!r} is not a prior{nearest or ':'} write a name and its arguments, such as HalfNormal(1)"
        )
    return node


def _find_prior(call: ast.Call, text: str, suit: Callable[[Prior], Prior] | None) -> type[Prior]:
    written = ast.unparse(call.func)
    prior = PRIORS.get(written)
    if prior is None:
        nearest = _suggest_prior(written)
        if nearest and suit is not None:
            nearest = _suggest_suited(call, nearest, suit)
        raise PriorError(f"{text}: there is no prior {written}{nearest or '.'} The priors are {', '.join(PRIORS)}")
    return prior


def _suggest_suited(call: ast.Call, nearest: str, suit: Callable[[Prior], Prior]) -> str:
    """Return '; did you mean ...?' with the nearest prior, or where its own arguments do not suit the parameter, the
    one that does."""
    name = nearest.removeprefix("; did you mean ").removesuffix("?")
    try:
        meant = parse_prior(ast.unparse(ast.Call(ast.Name(name), call.args, call.keywords)))
    except PriorError:
        return nearest
    suited = suit(meant)
    return nearest if suited is meant else f"; did you mean {suited}?"


def _read_value(node: ast.expr, name: str, text: str) -> object:
    """Return the number, word or None that ``node`` says; a PriorError for everything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _read_value(node.operand, name, text)
        if isinstance(value, int | float):
            return -value if isinstance(node.op, ast.USub) else value
    elif isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    elif isinstance(node, ast.Constant):
        value = node.value
        wanted = str if name in _WORDS else int | float
        if (isinstance(value, wanted) and not isinstance(value, bool)) or (value is None and name == "upper"):
            return value
    wanted_text = _WORDS.get(name, "a number")
    raise PriorError(f"{text}: {name} is {ast.unparse(node)}: give {wanted_text}")


def _usage(prior: type[Prior]) -> str:
    """The prior's name and arguments: 'Normal(mu, sigma)'."""
    names = [argument.name for argument in fields(prior) if not argument.kw_only]
    names += [f"{argument.name}='variance' or 'sd'" for argument in fields(prior) if argument.name == "on"]
    return f"{prior.__name__}({', '.join(names)})"
