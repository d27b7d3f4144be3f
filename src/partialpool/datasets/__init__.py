"""Small tables for examples and tests, each a dict of columns: published ones, as facts with their source, and a
simulated one that says so."""

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


def sleepstudy() -> dict[str, list[Any]]:
    """Return reaction times of 18 drivers over ten days, nine of them with little sleep: 180 rows.

    Columns: ``Reaction`` (mean reaction time of a day, ms), ``Days`` (0 to 9), ``Subject`` (a number as a label).

    Source: Belenky et al. (2003), J. Sleep Research 12:1-12 (the group with three hours in bed), as in Bates, Maechler,
    Bolker and Walker (2015), J. Statistical Software 67(1), section 1.2.

    >>> data = sleepstudy()
    >>> len(data["Reaction"]), data["Reaction"][0], data["Subject"][0]
    (180, 249.56, 308)
    """
    return _read_table("sleepstudy.csv", {"Reaction": float, "Days": int, "Subject": int})


def rat_tumours() -> dict[str, list[Any]]:
    """Return counts of rats with a tumour in the control groups of 71 experiments.

    Columns: ``experiment`` (1 to 71, the last the current one), ``tumours``, ``rats``.

    Source: Tarone (1982), Biometrics 38:215-220; Gelman et al. (2013), Bayesian Data Analysis (3rd ed.), table 5.1.

    >>> data = rat_tumours()
    >>> data["tumours"][-1], data["rats"][-1], sum(data["rats"])
    (4, 14, 1739)
    """
    return _read_table("rat_tumours.csv", {"experiment": int, "tumours": int, "rats": int})


def casks() -> dict[str, list[Any]]:
    """Return simulated strengths of a paste: three casks from each of ten batches, each tested twice in one of four
    laboratories.

    Columns: ``strength``, ``batch`` (A to J), ``cask`` (a to c within each batch: the casks a of two batches are
    different casks), ``laboratory`` (w to z). Simulated with mean 60 and sds 1.6 between batches, 2.6 between casks of
    a batch, 0.9 between laboratories, and 0.8 of a test, then rounded to 0.1.

    >>> data = casks()
    >>> len(data["strength"]), data["strength"][0], data["batch"][0], data["cask"][0], data["laboratory"][0]
    (60, 59.6, 'A', 'a', 'w')
    """
    return _read_table("casks.csv", {"strength": float, "batch": str, "cask": str, "laboratory": str})


def _read_table(name: str, types: dict[str, type]) -> dict[str, list[Any]]:
    """Read a packaged CSV file (no quotes in it) into a dict of columns."""
    from importlib.resources import files

    head, *lines = files(__name__).joinpath(name).read_text(encoding="utf-8").split()
    rows = [line.split(",") for line in lines]
    return {column: [types[column](row[k]) for row in rows] for k, column in enumerate(head.split(","))}
