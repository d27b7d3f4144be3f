"""Columns used: which columns of the data a formula reads, and as what."""

from __future__ import annotations

from dataclasses import dataclass

from partialpool.inputs.language.expressions import read_expression
from partialpool.inputs.language.formula import Formula
from partialpool.inputs.language.terms import Term, expand_terms


@dataclass(frozen=True)
class ColumnsUsed:
    """Column names by use: ``response``; ``ordinary`` in coefficient columns; ``factors`` right of a bar.

    Of the ordinary ones ``labels`` are those inside C(...), which are labels whatever their type.
    """

    response: tuple[str, ...]
    ordinary: tuple[str, ...]
    factors: tuple[str, ...]
    labels: tuple[str, ...] = ()


def list_columns_used(formula: Formula) -> ColumnsUsed:
    """Return the columns that a formula reads, each use in order of first appearance."""
    terms = [*expand_terms(formula.population)]
    for group_term in formula.group_terms:
        terms += expand_terms(group_term.columns)
    if formula.zero:
        terms += expand_terms(formula.zero)
    ordinary = list_term_columns(tuple(terms))
    labels = list_term_columns(tuple((factor,) for term in terms for factor in term if factor.startswith("C(")))
    factors = [name for group_term in formula.group_terms for name in group_term.factor]
    return ColumnsUsed(
        read_expression(formula.response).columns,
        tuple(dict.fromkeys(ordinary)),
        tuple(dict.fromkeys(factors)),
        tuple(dict.fromkeys(labels)),
    )


def list_term_columns(terms: tuple[Term, ...]) -> list[str]:
    """Return the columns that these terms read."""
    return [name for term in terms for factor in term for name in read_expression(factor).columns]
