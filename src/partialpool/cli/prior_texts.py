"""Priors, populations and numbers as the command line gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable


def read_prior_texts(texts: Iterable[str]) -> dict[str, str]:
    """Split each text at the first '=' outside brackets; raises ``ValueError`` for a text without one or a name twice.

    >>> read_prior_texts(["sd(school)=HalfCauchy(5)", "sigma = InverseGamma(2, 1, on='variance')"])
    {'sd(school)': 'HalfCauchy(5)', 'sigma': "InverseGamma(2, 1, on='variance')"}
    >>> read_prior_texts(["I(x == 2)[True]=Normal(0, 1)"])
    {'I(x == 2)[True]': 'Normal(0, 1)'}
    """
    priors: dict[str, str] = {}
    for text in texts:
        place = _find_equals(text)
        name, prior = text[:place].strip(), text[place + 1 :].strip()
        if place < 0 or not name or not prior:
            raise ValueError(f"'{text}' is not NAME=PRIOR, such as 'sd(school)=HalfCauchy(5)'")
        if name in priors:
            raise ValueError(f"'{name}' is given twice: give it once")
        priors[name] = prior
    return priors


def read_population_texts(texts: Iterable[str]) -> str | dict[str, str] | None:
    """Return one population, or populations by factor; raises ``ValueError`` where both are given, or one twice.

    >>> read_population_texts(["student_t(nu=4)"]), read_population_texts(["state:county = beta"])
    ('student_t(nu=4)', {'state:county': 'beta'})
    """
    populations: dict[str, str] = {}
    alone: list[str] = []
    for text in texts:
        place = _find_equals(text)
        if place < 0:
            alone.append(text.strip())
            continue
        factor, population = text[:place].strip(), text[place + 1 :].strip()
        if not factor or not population:
            raise ValueError(f"'{text}' is not FACTOR=POPULATION, such as 'store=beta'")
        if factor in populations:
            raise ValueError(f"'{factor}' is given twice: give it once")
        populations[factor] = population
    if len(alone) > 1 or (alone and populations):
        raise ValueError("give one population alone, or each as FACTOR=POPULATION")
    return alone[0] if alone else populations or None


def read_number_or_column(text: str | None) -> float | str | None:
    """Return the number that a text writes, else the text, a column's name.

    >>> read_number_or_column("20"), read_number_or_column("visits"), read_number_or_column("inf")
    (20.0, 'visits', 'inf')
    """
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _find_equals(text: str) -> int:
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "=" and depth == 0:
            return place
    return -1
