"""Tokens: the words of a formula, each with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from partialpool.inputs.columns.places import mark_place

_NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_OPERATOR = re.compile(r"\|\||\*\*|[~|+\-*/:^()]")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Token:
    """One word: a column ``name`` (without backticks), a function ``call``, a number or an operator."""

    kind: Literal["name", "call", "number", "operator"]
    text: str
    start: int
    stop: int


def split_tokens(text: str) -> tuple[Token, ...]:
    """Split a formula into tokens; raises ``FormulaError`` at a character that starts none.

    >>> [token.text for token in split_tokens("y ~ log(x) + (1 | `my g`)")]
    ['y', '~', 'log(x)', '+', '(', '1', '|', 'my g', ')']
    """
    tokens = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _read_token(text, at)
        tokens.append(token)
        at = token.stop
    return tuple(tokens)


def explain_spaces(text: str, tokens: Sequence[Token], place: int) -> str:
    """Return how to write a name with spaces where the token at ``place`` follows a word, else nothing."""
    first = last = place
    while first > 0 and tokens[first - 1].kind in ("name", "number"):
        first -= 1
    while last + 1 < len(tokens) and tokens[last + 1].kind in ("name", "number"):
        last += 1
    if first == place or tokens[place].kind not in ("name", "number"):
        return ""
    return f"; a column name with spaces goes in backticks: `{text[tokens[first].start : tokens[last].stop]}`"


def _read_token(text: str, at: int) -> Token:
    if text[at] == "`":
        stop = _close_quote(text, at)
        if stop == at + 2:
            raise mark_place(text, at, "the backticks hold no column name")
        return Token("name", text[at + 1 : stop - 1], at, stop)
    if name := _NAME.match(text, at):
        return _read_name(text, name)
    if number := _NUMBER.match(text, at):
        return Token("number", number.group(), at, number.end())
    if operator := _OPERATOR.match(text, at):
        return Token("operator", operator.group(), at, operator.end())
    raise mark_place(text, at, _explain_character(text[at]))


def _read_name(text: str, name: re.Match[str]) -> Token:
    if text[name.end() : name.end() + 1] == "(":
        stop = _close_bracket(text, name.end())
        return Token("call", text[name.start() : stop], name.start(), stop)
    if "." in name.group():
        raise mark_place(text, name.start(), f"a column name with a dot goes in backticks: `{name.group()}`")
    return Token("name", name.group(), name.start(), name.end())


def _explain_character(character: str) -> str:
    if character == "{":
        return "braces are not understood: write arithmetic as I(...)"
    if character in "'\"":
        return "text in quotes is not understood here: a column name that is not an identifier goes in backticks"
    if character == ".":
        return "'.' for all other columns is not understood: name the columns"
    if character == ",":
        return "a comma is understood only between the arguments of a function: join terms with '+'"
    if character in "<>=&!%":
        return f"unknown operator '{character}': terms are joined by + - : * / ^, arithmetic goes inside I(...)"
    return f"'{character}' is not understood: a column name that is not an identifier goes in backticks"


def _close_quote(text: str, at: int) -> int:
    stop = text.find(text[at], at + 1)
    if stop < 0:
        raise mark_place(text, at, f"this {text[at]} is not closed: add another {text[at]}")
    return stop + 1


def _close_bracket(text: str, at: int) -> int:
    """Return the position after the bracket that closes the one at ``at``."""
    open_places = [at]
    place = at + 1
    while place < len(text):
        character = text[place]
        if character in "`'\"":
            place = _close_quote(text, place)
            continue
        if character in _CLOSING:
            open_places.append(place)
        elif character in _CLOSING.values():
            if _CLOSING[text[open_places[-1]]] != character:
                raise mark_place(text, place, f"'{character}' does not close '{text[open_places[-1]]}'")
            open_places.pop()
            if not open_places:
                return place + 1
        place += 1
    raise mark_place(
        text,
        open_places[-1],
        f"this '{text[open_places[-1]]}' is not closed: add '{_CLOSING[text[open_places[-1]]]}'",
    )
