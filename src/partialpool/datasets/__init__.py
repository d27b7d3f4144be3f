"""Small published tables, typed in as facts with their source, for examples and tests."""

from __future__ import annotations

from typing import Any


def eight_schools() -> dict[str, list[Any]]:
    """Return coaching effects on SAT-V scores in eight schools, with known standard errors.

    Columns: ``school``, ``effect`` (points), ``se`` (points).

    Source: Rubin (1981), J. Educational Statistics 6:377-401, table 1; Gelman et al. (2013), Bayesian Data
    Analysis (3rd ed.), table 5.2.
    """
    return {
        "school": ["A", "B", "C", "D", "E", "F", "G", "H"],
        "effect": [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
        "se": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
    }


def homework() -> dict[str, list[Any]]:
    """Return weekly homework hours in eight schools as (n, mean, sd), school 5 altered for teaching.

    Columns: ``school``, ``n`` (pupils), ``hours`` (mean), ``sd``.

    Source: summaries of Hoff (2009), A First Course in Bayesian Statistical Methods, exercise 8.3, with the fifth
    school as altered in a published lecture; the original rows of that school are n = 24, mean 10.766, sd 3.659.
    """
    return {
        "school": [1, 2, 3, 4, 5, 6, 7, 8],
        "n": [25, 23, 20, 24, 9, 22, 22, 20],
        "hours": [9.464, 7.033, 7.953, 6.232, 12.001, 6.205, 6.133, 7.381],
        "sd": [3.885, 4.485, 3.782, 4.102, 5.073, 3.272, 3.709, 3.076],
    }
