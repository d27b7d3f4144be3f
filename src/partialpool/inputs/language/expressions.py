"""Expressions: a column, ``C(column)`` or a function of columns, checked, and computed in numpy if possible.

Formula texts come from files too (a saved fit, a command line), so nothing is evaluated but known functions.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.columns.places import suggest_nearest

Kind = Literal["column", "factor", "elementwise", "formulaic"]
State = MutableMapping[str, tuple[float, float]]

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "I": np.asarray,
    "abs": np.abs,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "sqrt": np.sqrt,
}
_STATEFUL = ("center", "scale", "standardize")
_FORMULAIC = ("C", "bs", "cc", "cr", "cs", "exp10", "poly", *_STATEFUL)
_CONTRASTS = ("Diff", "Helmert", "Poly", "Sum", "Treatment")
# Arguments of transforms beside their column.
_SPLINE = ("df", "knots", "lower_bound", "upper_bound", "extrapolation")
_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "standardize": ("center", "rescale", "ddof"),
    "poly": ("degree", "raw"),
    "bs": (*_SPLINE, "degree", "include_intercept"),
    "cr": (*_SPLINE, "constraints"),
    "cs": (*_SPLINE, "constraints"),
    "cc": (*_SPLINE, "constraints"),
}
_EACH_GROUP = (
    "; for values within groups compute the column in the data first, such as "
    "df['x'] - df.groupby('g')['x'].transform('mean')"
)
# Functions of other languages, and what is written instead.
_SMOOTH = "a smooth curve is bs(x, df=4) or cr(x, df=4, constraints='center')"
_ELSEWHERE = {
    "cbind": "the response is the successes, and trials= is given beside the formula",
    "factor": "labels whatever the column's type are C(x)",
    "ns": _SMOOTH,
    "s": _SMOOTH,
    "te": _SMOOTH,
}
_SPACED = re.compile(r"\b[^\W\d]\w*(?: +\w+)+")
_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
    ast.Mod: np.mod,
    ast.FloorDiv: np.floor_divide,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


class ExpressionError(ValueError):
    """An expression cannot be understood; ``word`` is the part to be marked."""

    def __init__(self, message: str, word: str = "") -> None:
        super().__init__(message)
        self.word = word


@dataclass(frozen=True)
class Expression:
    """A checked expression: normalised ``text``, the ``columns`` it reads, and its ``kind``.

    ``column`` is a column itself, ``factor`` is C(column), ``elementwise`` is computed by numpy
    (``center`` and ``scale`` with their state included), ``formulaic`` needs formulaic.
    """

    text: str
    columns: tuple[str, ...]
    kind: Kind
    tree: ast.expr
    names: Mapping[str, str]  # identifier in the tree -> column


def quote_column(name: str) -> str:
    """Return a column name as it is written in a formula: in backticks unless it is an identifier."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


@functools.lru_cache(maxsize=512)
def read_expression(text: str) -> Expression:
    """Read and check one expression; raises ``ExpressionError``.

    >>> read_expression("I( x**2 )").text, read_expression("log(`my x`)").columns
    ('I(x ** 2)', ('my x',))
    """
    plain, names = _replace_backticks(text.strip())
    if plain.startswith("as."):
        raise ExpressionError(f"unknown function '{plain.partition('(')[0]}': {_ELSEWHERE['factor']}")
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError) as error:
        spaced = _SPACED.search(plain)
        remedy = f"; a column name with spaces goes in backticks: `{spaced.group()}`" if spaced else ""
        raise ExpressionError(f"this is not an expression: check commas, operators and quotes{remedy}") from error
    if any(isinstance(node, ast.BitXor) for node in ast.walk(tree)):
        instead = _restore_backticks(plain.replace("^", "**"), names)
        raise ExpressionError(f"a power in arithmetic is written **: {instead}", "^")
    columns: dict[str, str] = {}
    _check(tree, names, columns)
    if not columns:
        raise ExpressionError("this reads no column: a term is a column or a function of columns")
    normal = _restore_backticks(ast.unparse(tree), names)
    return Expression(normal, tuple(columns.values()), _kind(tree), tree, dict(columns))


def evaluate_expression(
    expression: Expression, columns: Mapping[str, NDArray[Any]], state: State | None = None
) -> NDArray[np.float64]:
    """Compute a column or elementwise expression (row,); a ``state`` is obeyed, and filled where it lacks."""
    memory: State = {} if state is None else state
    with np.errstate(all="ignore"):
        value = _evaluate(expression.tree, expression.names, columns, memory)
    return np.asarray(value, dtype=np.float64)


def _replace_backticks(text: str) -> tuple[str, dict[str, str]]:
    names: dict[str, str] = {}

    def alias(match: re.Match[str]) -> str:
        key = f"_column_{len(names)}_"
        while key in text:  # a column may be called so
            key += "_"
        names[key] = match.group(1)
        return key

    return re.sub(r"`([^`]+)`", alias, text), names


def _restore_backticks(text: str, names: Mapping[str, str]) -> str:
    for alias, column in names.items():
        text = text.replace(alias, quote_column(column))
    return text


def _check(node: ast.AST, aliases: Mapping[str, str], columns: dict[str, str]) -> None:
    if isinstance(node, ast.Name):
        columns[node.id] = aliases.get(node.id, node.id)
    elif isinstance(node, ast.Call):
        _check_function(node.func)
        if any(keyword_.arg is None for keyword_ in node.keywords):
            raise ExpressionError("'**' arguments are not understood in a formula")
        _check_arguments(node, aliases)
        for part in [*node.args, *(keyword_.value for keyword_ in node.keywords)]:
            _check(part, aliases, columns)
    elif isinstance(node, ast.Attribute):
        _check_function(node)
    elif isinstance(node, ast.BinOp | ast.UnaryOp):
        if type(node.op) not in _OPERATORS:
            raise ExpressionError("this operator is not understood: use + - * / ** % and comparisons")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _check(child, aliases, columns)
    elif isinstance(node, ast.Compare | ast.Tuple | ast.List | ast.Dict):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _check(child, aliases, columns)
    elif not isinstance(node, ast.Constant):
        raise ExpressionError(f"this is not understood in a formula: {ast.unparse(node)}")


def _check_arguments(call: ast.Call, aliases: Mapping[str, str]) -> None:
    """Refuse arguments that a transform of one column does not have, other columns among them."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name not in _ARGUMENTS:
        return
    for argument in call.keywords:
        if argument.arg not in _ARGUMENTS[name]:
            raise ExpressionError(
                f"{name}() has no argument '{argument.arg}': it has {_list_arguments(name)}{_EACH_GROUP}",
                str(argument.arg),
            )
    for value in [*call.args[1:], *(argument.value for argument in call.keywords)]:
        if isinstance(value, ast.Name):
            column = aliases.get(value.id, value.id)
            raise ExpressionError(f"{name}() is of one column, and '{column}' is a second one{_EACH_GROUP}", column)


def _list_arguments(name: str) -> str:
    return ", ".join(f"{argument}=" for argument in _ARGUMENTS[name]) or "the column alone"


def _check_function(function: ast.expr) -> None:
    text = ast.unparse(function)
    if isinstance(function, ast.Name):
        known = ("log", "exp", "sqrt", "scale", "center", *_FORMULAIC, *ELEMENTWISE, *_CONTRASTS)
        if function.id == "offset":
            raise ExpressionError("an offset is given beside the formula: offset='column'", text)
        if function.id in _ELSEWHERE:
            raise ExpressionError(f"unknown function '{text}': {_ELSEWHERE[function.id]}", text)
        if function.id not in known:
            raise ExpressionError(f"unknown function '{text}'{suggest_nearest(text, dict.fromkeys(known))}", text)
    elif not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        raise ExpressionError(f"unknown function '{text}'", text)
    elif function.value.id == "np":
        if not isinstance(getattr(np, function.attr, None), np.ufunc):
            raise ExpressionError(f"'{text}' is not one of numpy's elementwise functions", text)
    elif function.value.id != "contr" or function.attr.startswith("_"):
        raise ExpressionError(f"unknown function '{text}': there are np.* (elementwise) and contr.*", text)


def _kind(tree: ast.expr) -> Kind:
    if isinstance(tree, ast.Name):
        return "column"
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C":
        plain = len(tree.args) == 1 and not tree.keywords and isinstance(tree.args[0], ast.Name)
        return "factor" if plain else "formulaic"
    return "elementwise" if _is_elementwise(tree) else "formulaic"


def _is_elementwise(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        if node.keywords or not all(_is_elementwise(part) for part in node.args):
            return False
        if isinstance(node.func, ast.Name):
            return node.func.id in ELEMENTWISE or (node.func.id in _STATEFUL and len(node.args) == 1)
        return isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith("np.")
    if isinstance(node, ast.BinOp):
        return _is_elementwise(node.left) and _is_elementwise(node.right)
    if isinstance(node, ast.UnaryOp):
        return _is_elementwise(node.operand)
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and _is_elementwise(node.left) and _is_elementwise(node.comparators[0])
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    return isinstance(node, ast.Name)


def _evaluate(node: ast.expr, names: Mapping[str, str], columns: Mapping[str, Any], state: State) -> Any:
    def value(part: ast.expr) -> Any:
        return _evaluate(part, names, columns, state)

    if isinstance(node, ast.Name):
        return columns[names[node.id]]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](value(node.left), value(node.right))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](value(node.operand))
    if isinstance(node, ast.Compare):
        return _OPERATORS[type(node.ops[0])](value(node.left), value(node.comparators[0]))
    if not isinstance(node, ast.Call):
        raise ExpressionError(f"this is not computed without formulaic: {ast.unparse(node)}")
    arguments = [value(part) for part in node.args]
    if isinstance(node.func, ast.Attribute):
        return getattr(np, node.func.attr)(*arguments)
    function = node.func.id if isinstance(node.func, ast.Name) else ""
    if function in _STATEFUL:
        return _standardise(np.asarray(arguments[0], dtype=np.float64), function, ast.unparse(node), state)
    return ELEMENTWISE[function](*arguments)


def _standardise(values: NDArray[np.float64], function: str, key: str, state: State) -> NDArray[np.float64]:
    if key not in state:
        middle = float(values.mean())
        middle += float((values - middle).mean())  # a second pass: exact to rounding at an offset of 1e12
        spread = 1.0
        if function != "center":
            spread = float(np.sqrt(np.square(values - middle).sum() / max(len(values) - 1, 1)))
        state[key] = (middle, spread)
    middle, spread = state[key]
    return (values - middle) / spread
