"""Priors as the command line gives them: NAME=PRIOR."""

from __future__ import annotations

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


def _find_equals(text: str) -> int:
    depth = 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "=" and depth == 0:
            return place
    return -1
