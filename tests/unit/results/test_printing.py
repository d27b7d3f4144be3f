"""What a fit prints where its groups are all that is unknown."""

from __future__ import annotations

import partialpool as pp

GIVEN = {"Intercept": "Fixed(2)", "sd(g)": "Fixed(1)"}
DATA = {"y": [1.0, 2.0, 5.0], "se": [1.0, 1.0, 0.5], "g": ["a", "b", "c"], "h": ["u", "v", "u"]}


def _line(text: str, label: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.startswith(f"{label} "))


def test_groups_are_shown_where_the_population_is_given() -> None:
    """Of a value from Normal(2, 1), measured as 5 with standard error 1/2: mean 4.4, sd 0.2^0.5."""
    text = repr(pp.fit("y ~ 1 + (1 | g)", DATA, standard_error="se", priors=GIVEN))
    assert _line(text, "g")[:6] == ["g", "n", "raw", "raw_sd", "mean", "sd"]
    assert _line(text, "c")[:6] == ["c", "1", "5.000", "0.500", "4.400", "0.447"]


def test_groups_of_every_factor_and_of_counts() -> None:
    given = {"Intercept": "Fixed(2)", "sd(g)": "Fixed(1)", "sd(h)": "Fixed(1)"}
    text = repr(pp.fit("y ~ 1 + (1 | g) + (1 | h)", DATA, standard_error="se", priors=given))
    assert _line(text, "g")
    assert _line(text, "h")
    counts = {"y": [1, 3], "g": ["a", "b"]}
    given = {"alpha": "Fixed(2)", "beta": "Fixed(1)"}
    text = repr(pp.fit("y ~ 1 + (1 | g)", counts, family="poisson", population="gamma", priors=given))
    assert float(_line(text, "b")[_line(text, "g").index("mean")]) == 2.5  # Gamma(2 + 3, 1 + 1)


def test_groups_are_not_shown_beside_what_is_unknown() -> None:
    text = repr(pp.fit("y ~ 1 + (1 | g)", DATA, standard_error="se", priors={"sd(g)": "Fixed(1)"}))
    assert "raw_sd" not in text
