"""The second predictor of zero-inflated counts: which covariates say how probable a structural zero is."""

from __future__ import annotations

from dataclasses import replace

from partialpool.errors import FormulaError, NotYetError
from partialpool.inputs.language.formula import Formula, parse_formula


def add_zero_part(formula: Formula, zero: str | None) -> Formula:
    """Return a formula with the covariates of structural zeros that ``zero`` names, '~ x'; '~ 1' and None are a
    constant probability.

    Raises ``FormulaError`` where it is no such formula, ``NotYetError`` for group terms in it.

    >>> add_zero_part(parse_formula("y ~ (1 | g)"), "~ x").zero
    '1 + x'
    """
    if zero is None:
        return formula
    if not isinstance(zero, str) or not zero.strip().startswith("~"):
        raise FormulaError(
            f"zero={zero!r}: write the covariates of structural zeros as a formula without a response, such as "
            "zero='~ x'; a known probability is part of the family, family='zero_inflated_poisson(zero=0.2)'"
        )
    part = parse_formula(f"zero {zero.strip()}")
    if part.group_terms:
        factors = ", ".join(term.factor_name for term in part.group_terms)
        raise NotYetError(
            f"zero={zero!r}: structural zeros whose probability varies by {factors} are not computed: give covariates "
            "alone, such as zero='~ x', and leave the group terms to the formula"
        )
    if part.population == "0":
        raise FormulaError(f"zero={zero!r} leaves nothing: give a covariate, or leave zero= out for a constant one")
    return replace(formula, zero="" if part.population == "1" else part.population)
