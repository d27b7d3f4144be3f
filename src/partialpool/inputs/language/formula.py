"""Formula: lme4's language, split into response, population part and group terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partialpool.errors import FormulaError
from partialpool.inputs.columns.places import join_words, mark_place
from partialpool.inputs.language.expressions import ExpressionError, quote_column, read_expression
from partialpool.inputs.language.grouping import expand_factors
from partialpool.inputs.language.terms import Term, TermReader, write_terms
from partialpool.inputs.language.tokens import Token, explain_spaces, split_tokens

# What brms adds to a response behind a bar, and the argument that says it; its weights multiply the log likelihood.
_ADDITIONS = {
    "se": "standard_error='{column}'",
    "trials": "trials='{column}'",
    "rate": "exposure='{column}'",
    "weights": "counts='{column}'",
    "cens": "censored='{column}'",
    "trunc": "truncation=(lower, upper)",
}


@dataclass(frozen=True)
class GroupTerm:
    """One group term after expansion: which columns vary over which factor, and how.

    ``columns`` is the left side as formula text, normalised ('1', '1 + x', '0 + x'); ``factor`` names the
    data columns whose combination is the grouping factor (two or more for a:b); ``correlated`` is False
    for terms written with ``||``: every coefficient column, levels of factors included, then varies on its
    own.
    """

    columns: str
    factor: tuple[str, ...]
    correlated: bool

    @property
    def factor_name(self) -> str:
        """The factor's name in tables: 'school', 'batch:cask'."""
        return ":".join(self.factor)


@dataclass(frozen=True)
class Formula:
    """A parsed formula: ``text`` as the user wrote it, ``population`` the right side without group terms.

    ``response`` is a column (in backticks unless an identifier) or an expression of columns; ``population``
    is normalised, its intercept written out ('1 + x + x:z', '0 + x', '0'). ``zero`` are, in the same form, the
    covariates of structural zeros; empty for none.
    """

    text: str
    response: str
    population: str
    group_terms: tuple[GroupTerm, ...]
    zero: str = ""


def parse_formula(text: str) -> Formula:
    """Parse a formula in lme4's language: ``response ~ columns + (columns | factor)``.

    Understood are ``1 0 -1 + - : * / ^``, parentheses, functions of columns, backticks around column names
    that are not identifiers, ``|`` and ``||`` (correlated and independent coefficients), ``a:b`` and ``a/b``
    right of the bar. The intercept is implied, as in R. Raises ``FormulaError`` with the place marked.

    >>> parse_formula("y ~ x*z + (x | a/b)").population
    '1 + x + z + x:z'
    >>> [(term.columns, term.factor_name) for term in parse_formula("y ~ (x | a/b)").group_terms]
    [('1 + x', 'a'), ('1 + x', 'a:b')]
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"a formula is text, not a {type(text).__name__}: write it first and the data after it, such as "
            "fit('y ~ 1 + (1 | g)', data)"
        )
    line = " ".join(text.splitlines()) if "\n" in text else text
    if not line.strip():
        raise mark_place(line, 0, "the formula is empty: write, for example, 'y ~ 1 + (1 | g)'")
    tokens = split_tokens(line)
    tilde = _find_tilde(line, tokens)
    response = _read_response(line, tokens[:tilde], tokens[tilde].start)
    plain, grouped = _split_group_terms(line, tokens[tilde + 1 :], tokens[tilde].stop)
    population = write_terms(TermReader(line, plain).read_sum(intercept=True)) if plain else "1"
    group_terms = _read_group_terms(line, grouped)
    _check_response_only_left(line, response, tokens[tilde + 1 :])
    return Formula(text, response, population, group_terms)


def _find_tilde(text: str, tokens: Sequence[Token]) -> int:
    places = [place for place, token in enumerate(tokens) if token.kind == "operator" and token.text == "~"]
    if not places:
        raise mark_place(text, len(text.rstrip()), "'~' is missing: write response ~ terms, such as 'y ~ 1 + (1 | g)'")
    if len(places) > 1:
        raise mark_place(text, tokens[places[1]].start, "a second '~': a formula has one")
    return places[0]


def _read_response(text: str, tokens: Sequence[Token], tilde: int) -> str:
    if not tokens:
        raise mark_place(text, tilde, "no response left of '~': name its column")
    if len(tokens) == 1 and tokens[0].kind == "name":
        return quote_column(tokens[0].text)
    for place, token in enumerate(tokens):
        if token.text in ("|", "||") and token.kind == "operator":
            message = _explain_additions(tokens[place + 1 :]) or "a group term stands right of '~'"
            raise mark_place(text, token.start, message)
    if spaces := explain_spaces(text, tokens, len(tokens) - 1):
        raise mark_place(text, tokens[0].start, f"a response is one column or arithmetic on columns{spaces}")
    start, stop = tokens[0].start, tokens[-1].stop
    try:
        expression = read_expression(text[start:stop])
    except ExpressionError as error:
        place = text.find(error.word, start) if error.word else start
        raise mark_place(text, max(place, start), str(error)) from error
    if expression.kind not in ("column", "elementwise"):
        raise mark_place(text, start, "a response is a column or arithmetic on columns, such as log(y) or y / n")
    return expression.text


def _explain_additions(tokens: Sequence[Token]) -> str:
    """Return which arguments say what 'y | se(x)', brms's way, adds to a response; '' where it adds nothing known."""
    calls = [token.text[:-1].partition("(") for token in tokens if token.kind == "call"]
    arguments = [
        _ADDITIONS[name.strip()].format(column=inside.split(",")[0].strip().strip("`"))
        for name, _, inside in calls
        if name.strip() in _ADDITIONS
    ]
    return f"nothing stands behind a response: give {join_words(arguments)} beside the formula" if arguments else ""


def _split_group_terms(text: str, tokens: Sequence[Token], start: int) -> tuple[list[Token], list[Sequence[Token]]]:
    """Return the tokens of the population part, and those of each group term with its parentheses."""
    if not tokens:
        raise mark_place(text, start, "nothing right of '~': write 1 for an intercept, (1 | g) for a group term")
    plain: list[Token] = []
    grouped: list[Sequence[Token]] = []
    at = 0
    while at < len(tokens):
        stop = _group_term_stop(text, tokens, at)
        if stop is None:
            plain.append(tokens[at])
            at += 1
            continue
        _check_stands_alone(text, tokens, at, stop)
        grouped.append(tokens[at:stop])
        if plain:
            plain.pop()  # the '+' before the group term
            at = stop
        else:
            at = stop + 1 if stop < len(tokens) and tokens[stop].text == "+" else stop
            if at == len(tokens) > stop:
                raise mark_place(text, tokens[stop].start, "a term is missing after this '+'")
    return plain, grouped


def _group_term_stop(text: str, tokens: Sequence[Token], at: int) -> int | None:
    """Return where the group term that opens at ``at`` ends, None when none opens there."""
    if tokens[at].kind != "operator" or tokens[at].text != "(":
        return None
    depth, barred = 0, False
    for place in range(at, len(tokens)):
        if tokens[place].kind != "operator":
            continue
        word = tokens[place].text
        depth += (word == "(") - (word == ")")
        barred = barred or (word in ("|", "||") and depth == 1)
        if depth == 0:
            return place + 1 if barred else None
    raise mark_place(text, tokens[at].start, "this '(' is not closed: add ')'")


def _check_stands_alone(text: str, tokens: Sequence[Token], at: int, stop: int) -> None:
    message = "a group term is joined to the others by '+' alone"
    if at > 0 and tokens[at - 1].text != "+":
        raise mark_place(text, tokens[at - 1 if tokens[at - 1].kind == "operator" else at].start, message)
    if stop < len(tokens) and tokens[stop].text not in ("+", "-"):
        raise mark_place(text, tokens[stop].start, message)


def _read_group_terms(text: str, grouped: Sequence[Sequence[Token]]) -> tuple[GroupTerm, ...]:
    found: list[GroupTerm] = []
    seen: dict[frozenset[str], tuple[tuple[str, ...], set[Term]]] = {}
    for tokens in grouped:
        inside = tokens[1:-1]
        bar = next(
            place for place, token in enumerate(inside) if token.text in ("|", "||") and token.kind == "operator"
        )
        terms = _read_left_side(text, inside[:bar], inside[bar])
        for factor in expand_factors(text, inside[bar + 1 :], inside[bar]):
            first, there = seen.setdefault(frozenset(factor), (factor, set()))
            _check_not_twice(text, tokens[0], terms, there, first)
            there.update(terms)
            found.append(GroupTerm(write_terms(terms), first, inside[bar].text == "|"))
    return tuple(found)


def _read_left_side(text: str, tokens: Sequence[Token], bar: Token) -> tuple[Term, ...]:
    if not tokens:
        raise mark_place(
            text,
            bar.start,
            f"nothing left of '{bar.text}': write (1 {bar.text} g) for an intercept per group",
        )
    terms = TermReader(text, tokens).read_sum(intercept=True)
    if not terms:
        raise mark_place(
            text, tokens[0].start, "no coefficient varies over the groups here: add a column or drop the term"
        )
    return terms


def _check_not_twice(
    text: str, opening: Token, terms: Sequence[Term], there: set[Term], factor: tuple[str, ...]
) -> None:
    for term in terms:
        if term in there:
            name = f"'{':'.join(term)}'" if term else "the intercept"
            remedy = (
                "drop this term, or remove the intercept from it: (0 + x | g)" if not term else "name it in one term"
            )
            raise mark_place(text, opening.start, f"{name} varies over {':'.join(factor)} twice: {remedy}")


def _check_response_only_left(text: str, response: str, tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.kind == "name" and quote_column(token.text) == response:
            raise mark_place(text, token.start, f"the response {response} stands right of '~' too: drop it there")
