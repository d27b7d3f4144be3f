"""Terms: the algebra of ``+ - : * / ^`` that expands a formula's right side into products of factors."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from partialpool.errors import FormulaError
from partialpool.inputs.columns.places import mark_place
from partialpool.inputs.language.expressions import ExpressionError, quote_column, read_expression
from partialpool.inputs.language.tokens import Token, explain_spaces, split_tokens

Term = tuple[str, ...]  # the factors of a product, as normalised text; () is the intercept


def expand_terms(text: str) -> tuple[Term, ...]:
    """Expand a right side without group terms; the intercept is implied unless removed.

    >>> expand_terms("a*b")
    ((), ('a',), ('b',), ('a', 'b'))
    >>> expand_terms("0 + x")
    (('x',),)
    """
    return TermReader(text, split_tokens(text)).read_sum(intercept=True)


def write_terms(terms: Sequence[Term]) -> str:
    """Return terms as formula text: '1 + x + x:z', '0 + x', '0'."""
    words = ["1" if () in terms else "0"] + [":".join(term) for term in terms if term]
    return " + ".join(words)


class TermReader:
    """Reads sums of products from a run of tokens; precedence as in R: ^ before : before * / before + -."""

    def __init__(self, text: str, tokens: Sequence[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    def read_sum(self, intercept: bool) -> tuple[Term, ...]:
        """Read all tokens as a sum of terms, by degree; raises ``FormulaError`` at what is left over."""
        terms = self._sum({(): ()} if intercept else {}, top=True)
        if self._at < len(self._tokens):
            raise self._leftover()
        return tuple(sorted(terms, key=len))

    def _peek(self, *operators: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind == "operator" and token.text in operators

    def _leftover(self) -> FormulaError:
        token = self._tokens[self._at]
        return self._error(token, _explain_leftover(token) + explain_spaces(self._text, self._tokens, self._at))

    def _error(self, token: Token | None, message: str) -> FormulaError:
        if token is None:
            return mark_place(self._text, self._tokens[-1].stop if self._tokens else len(self._text), message)
        return mark_place(self._text, token.start, message)

    def _sum(self, found: dict[frozenset[str] | tuple[()], Term], top: bool) -> list[Term]:
        adding = True
        if self._peek("+", "-"):
            adding = self._tokens[self._at].text == "+"
            self._at += 1
        while True:
            self._add_operand(found, adding, top)
            if not self._peek("+", "-"):
                return list(found.values())
            adding = self._tokens[self._at].text == "+"
            self._at += 1

    def _add_operand(self, found: dict[frozenset[str] | tuple[()], Term], adding: bool, top: bool) -> None:
        start = self._tokens[self._at] if self._at < len(self._tokens) else None
        if start is not None and start.kind == "number" and not self._number_in_product():
            self._at += 1
            self._add_number(found, start, adding, top)
            return
        for term in self._product():
            key = frozenset(term) or ()
            if adding:
                found.setdefault(key, term)
            elif found.pop(key, None) is None:
                raise self._error(start, f"'{':'.join(term)}' is taken away but was not there: drop it")

    def _number_in_product(self) -> bool:
        following = self._tokens[self._at + 1 : self._at + 2]
        return bool(following) and following[0].text in (":", "*", "/", "^", "**")

    def _add_number(self, found: dict[frozenset[str] | tuple[()], Term], token: Token, adding: bool, top: bool) -> None:
        if token.text not in ("0", "1"):
            remedy = self._suggest_arithmetic(token, adding)
            raise self._error(
                token, f"the number {token.text} is not a term: only 1 (intercept) and 0 (none) are{remedy}"
            )
        if not top and (token.text == "0" or not adding):
            raise self._error(token, "the intercept is removed outside parentheses: write 0 + ... at the start")
        if (token.text == "1") == adding:
            found.setdefault((), ())
        else:
            found.pop((), None)

    def _suggest_arithmetic(self, number: Token, adding: bool) -> str:
        """Return how a column and the number just read are added, which stand side by side in a sum of terms."""
        before = self._tokens[self._at - 3] if self._at > 2 else None
        if before is None or before.kind not in ("name", "call"):
            return "; arithmetic goes inside I(...)"
        column = quote_column(before.text) if before.kind == "name" else before.text
        centred = "" if adding else f", or center({column}) for the distance from its mean"
        return f"; arithmetic goes inside I(...): I({column} {'+' if adding else '-'} {number.text}){centred}"

    def _product(self) -> list[Term]:
        left = self._interaction()
        while self._peek("*", "/"):
            operator = self._tokens[self._at].text
            self._at += 1
            right = self._interaction()
            if operator == "*":
                left = _unique([*left, *right, *_cross(left, right)])
            else:
                left = _unique([*left, *_cross([_join(left)], right)])
        return left

    def _interaction(self) -> list[Term]:
        left = self._power()
        while self._peek(":"):
            self._at += 1
            left = _cross(left, self._power())
        return left

    def _power(self) -> list[Term]:
        base = self._atom()
        if not self._peek("^", "**"):
            return base
        self._at += 1
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or token.kind != "number" or not token.text.isdigit() or not 1 <= int(token.text) <= 9:
            raise self._error(token, "a power of terms is a whole number from 1 to 9; x squared is written I(x**2)")
        self._at += 1
        if len(base) == 1 and int(token.text) > 1:
            raise self._error(token, "a power of one term is the term itself: x squared is written I(x**2)")
        powers = [_join(chosen) for chosen in itertools.product(base, repeat=int(token.text))]
        return sorted(_unique(powers), key=len)

    def _atom(self) -> list[Term]:
        if self._at >= len(self._tokens):
            raise self._error(None, "a term is missing here: add a column or drop the operator before it")
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "name":
            return [(quote_column(token.text),)]
        if token.kind == "call":
            return [(normalise_expression(self._text, token),)]
        if token.kind == "number":
            raise self._error(
                token, f"the number {token.text} cannot be part of a product: arithmetic goes inside I(...)"
            )
        if token.text == "(":
            return self._parenthesis(token)
        raise self._error(token, _explain_operator(token))

    def _parenthesis(self, opening: Token) -> list[Term]:
        if self._peek(")"):
            raise self._error(opening, "these parentheses are empty: drop them")
        terms = self._sum({}, top=False)
        if not self._peek(")"):
            if self._at < len(self._tokens):
                raise self._leftover()
            raise self._error(opening, "this '(' is not closed: add ')'")
        self._at += 1
        return terms


def normalise_expression(text: str, token: Token) -> str:
    """Return a call's normalised text, or raise ``FormulaError`` at its place."""
    try:
        return read_expression(token.text).text
    except ExpressionError as error:
        within = token.text.find(error.word) if error.word else 0
        raise mark_place(text, token.start + max(within, 0), str(error)) from error


def _cross(left: Iterable[Term], right: Iterable[Term]) -> list[Term]:
    return _unique([_join(pair) for pair in itertools.product(left, right)])


def _join(terms: Iterable[Term]) -> Term:
    return tuple(dict.fromkeys(factor for term in terms for factor in term))


def _unique(terms: Iterable[Term]) -> list[Term]:
    found: dict[frozenset[str], Term] = {}
    for term in terms:
        found.setdefault(frozenset(term), term)
    return list(found.values())


def _explain_leftover(token: Token) -> str:
    if token.kind != "operator":
        return "an operator is missing before this: join terms with '+'"
    if token.text == ")":
        return "this ')' closes nothing: drop it or add '('"
    return _explain_operator(token)


def _explain_operator(token: Token) -> str:
    if token.text in ("|", "||"):
        return f"a group term needs parentheses of its own, joined by '+': (1 {token.text} g)"
    if token.text == "~":
        return "a second '~': a formula has one"
    if token.text == "(":
        return "an operator is missing before this '(': join terms with '+'"
    return f"'{token.text}' joins nothing here: a term is missing before it"
