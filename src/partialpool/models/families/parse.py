"""From a family's name or text, as in ``family="student_t(nu=4)"``, to the family."""

from __future__ import annotations

import ast
import warnings
from dataclasses import replace
from typing import Any

from partialpool.errors import DataError
from partialpool.inputs.roles.family_data import explain_unknown
from partialpool.models.families.base import Family
from partialpool.models.families.beta import BetaFamily
from partialpool.models.families.beta_binomial import BetaBinomial
from partialpool.models.families.binomial import Bernoulli, Binomial
from partialpool.models.families.exponential import ExponentialFamily
from partialpool.models.families.gamma import GammaFamily
from partialpool.models.families.gaussian import Gaussian
from partialpool.models.families.lognormal import LogNormal
from partialpool.models.families.negative_binomial import NegativeBinomial
from partialpool.models.families.own_sigma import GaussianOwnSigma
from partialpool.models.families.poisson import Poisson
from partialpool.models.families.student_t import StudentTFamily
from partialpool.models.families.zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Gaussian,
        StudentTFamily,
        LogNormal,
        GammaFamily,
        ExponentialFamily,
        BetaFamily,
        Bernoulli,
        Binomial,
        BetaBinomial,
        Poisson,
        NegativeBinomial,
        ZeroInflatedPoisson,
        ZeroInflatedNegativeBinomial,
    )
}
# Families that stored fits name, and ``fit`` chooses by other arguments.
_CHOSEN: dict[str, type[Family]] = {str(GaussianOwnSigma()): GaussianOwnSigma}
_ALIASES = {
    "normal": "gaussian",
    "t": "student_t",
    "nb": "negative_binomial",
    "negbinomial": "negative_binomial",
    "zip": "zero_inflated_poisson",
    "zinb": "zero_inflated_negative_binomial",
}


def read_family(family: Family | str, link: str | None = None) -> Family:
    """Return the family that ``family`` is or that its text says, with ``link`` if one is given; nothing in the text is
    executed.

    Raises:
        DataError: the family or its link is unknown, or its arguments are wrong.

    >>> read_family("Student_t(nu=4)")
    StudentTFamily(link='identity', nu=4.0, known_noise=False)
    >>> print(read_family("nb(2)"), read_family("binomial", "probit"))
    negative_binomial(shape=2.0) binomial(link='probit')
    """
    if isinstance(family, str):
        family = _parse(family.strip())
    elif not isinstance(family, Family):
        raise DataError(f"family={family!r} is no family: give a name such as 'binomial', or an object")
    if link is None:
        return family
    if not isinstance(link, str):
        raise DataError(f"link={link!r} with family='{family.name}': give one of {', '.join(family.links)}")
    return replace(family, link=link.strip().lower())


def _parse(text: str) -> Family:
    name, arguments = _split(text)
    key = name.strip().lower()
    found = FAMILIES.get(_ALIASES.get(key, key)) or _CHOSEN.get(key)
    if found is None:
        raise DataError(explain_unknown(name))
    positional = _default(found).arguments
    if len(arguments.args) > len(positional):
        raise DataError(
            f"family={text!r}: arguments given by position: {len(arguments.args)}, taken: {len(positional)}: write "
            f"{_usage(found)}"
        )
    given = list(zip(positional, arguments.args, strict=False))
    values: dict[str, Any] = {}
    for argument, node in given + [(keyword.arg or "**", keyword.value) for keyword in arguments.keywords]:
        if argument in values:
            raise DataError(f"family={text!r}: {argument} is given twice: write {_usage(found)}")
        values[argument] = _read_value(text, found, argument, node)
    return found(**values)


def _split(text: str) -> tuple[str, ast.Call]:
    """Return a family's name and the arguments behind it, none for a name alone."""
    name, bracket, _ = text.partition("(")
    if not bracket:
        return text, ast.Call(func=ast.Name(id="family"), args=[], keywords=[])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(f"family{text[len(name) :]}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        node = None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise DataError(f"family={text!r} cannot be read: write a name and its arguments, such as student_t(nu=4)")
    return name, node


def _read_value(text: str, family: type[Family], argument: str, node: ast.expr) -> float | str | bool:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = -node.operand.value if isinstance(node.operand.value, int | float) else None
    default = _default(family)
    if argument == "link":
        if isinstance(value, str):
            return value.strip().lower()
        raise DataError(f"family={text!r}: link is {ast.unparse(node)}: give one of {', '.join(family.links)}, quoted")
    if argument == "known_noise" and hasattr(default, "known_noise") and isinstance(value, bool):
        return value
    if argument not in default.arguments:
        raise DataError(f"family={text!r}: there is no argument {argument}: write {_usage(family)}")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"family={text!r}: {argument} is {ast.unparse(node)}: give a number")
    return float(value)


def _default(family: type[Family]) -> Family:
    return family(family.links[0])


def _usage(family: type[Family]) -> str:
    """The family's name and arguments: 'student_t(nu, link=...)'."""
    return f"{family.name}({', '.join([*_default(family).arguments, 'link=...'])})"
