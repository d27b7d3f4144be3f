"""Grouping: what stands right of ``|``, with a/b expanded to a and a:b."""

from __future__ import annotations

from collections.abc import Sequence

from partialpool.errors import FormulaError
from partialpool.inputs.columns.places import mark_place
from partialpool.inputs.language.tokens import Token, explain_spaces

_REMEDIES = {
    "+": "two grouping factors in one term: write a term for each, (... | a) + (... | b), "
    "or (... | a:b) for their combinations",
    "*": "'*' is not understood right of '|': write (... | a) + (... | b) + (... | a:b)",
    "|": "a second '|' in one group term: write a term for each factor",
    "||": "a second '|' in one group term: write a term for each factor",
}


def expand_factors(text: str, tokens: Sequence[Token], bar: Token) -> list[tuple[str, ...]]:
    """Return the grouping factors of one term, each as its data columns: a/b gives ('a',) and ('a', 'b')."""
    if not tokens:
        raise mark_place(text, bar.stop, f"no factor right of '{bar.text}': name the grouping column")
    nested: list[list[str]] = [[]]
    for place, token in enumerate(tokens):
        if place % 2 == 0:
            nested[-1].append(_read_column(text, tokens, place))
        elif token.text == "/" and token.kind == "operator":
            nested.append([])
        elif token.text != ":" or token.kind != "operator":
            raise _misplaced(text, tokens, place)
    if len(tokens) % 2 == 0:
        raise mark_place(text, tokens[-1].start, f"no factor after '{tokens[-1].text}': name the column or drop it")
    factors = [tuple(name for level in nested[: depth + 1] for name in level) for depth in range(len(nested))]
    if len(set(factors[-1])) < len(factors[-1]):
        raise mark_place(text, tokens[0].start, "a column stands twice in one grouping factor: name it once")
    return factors


def _read_column(text: str, tokens: Sequence[Token], place: int) -> str:
    token = tokens[place]
    if token.kind == "name":
        return token.text
    if token.kind == "call":
        raise mark_place(
            text, token.start, "a grouping factor is a column as it stands: make the column in the data first"
        )
    if token.kind == "number":
        raise mark_place(text, token.start, f"a grouping factor is a column, not the number {token.text}")
    if token.text in ("(", ")"):
        raise mark_place(
            text,
            token.start,
            "parentheses are not understood right of '|': write a/b, a:b or one term for each factor",
        )
    raise _misplaced(text, tokens, place)


def _misplaced(text: str, tokens: Sequence[Token], place: int) -> FormulaError:
    token = tokens[place]
    if token.kind != "operator":
        spaces = explain_spaces(text, tokens, place)
        return mark_place(text, token.start, f"an operator is missing before this: a:b or a/b{spaces}")
    if token.text == "-" and 0 < place < len(tokens) - 1:
        name = text[tokens[place - 1].start : tokens[place + 1].stop]
        return mark_place(
            text, token.start, f"'-' is not understood right of '|': a column name with a hyphen is written `{name}`"
        )
    default = f"'{token.text}' is not understood right of '|': a factor is g, a:b or a/b"
    return mark_place(text, token.start, _REMEDIES.get(token.text, default))
