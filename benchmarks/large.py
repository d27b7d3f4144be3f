"""The large simulated problems, each a formula and columns: crossed, slopes, nested, crossed with two million rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64] | NDArray[np.int64]]


@dataclass(frozen=True)
class LargeProblem:
    """What is fitted, and whether joint draws of all effects are asked for beside those of the population."""

    name: str
    formula: str
    draw: Callable[[np.random.Generator], Columns]
    draws_of_effects: bool
    groups: tuple[str, ...]


def crossed(rng: np.random.Generator) -> Columns:
    """As many rows and levels as lme4's InstEval: students and lecturers, who belong to 14 departments."""
    n, n_students, n_lecturers, n_departments = 73_421, 2_972, 1_128, 14
    student, lecturer = rng.integers(0, n_students, n), (rng.beta(0.9, 2.0, n) * n_lecturers).astype(int)
    student[:n_students], lecturer[:n_lecturers] = np.arange(n_students), np.arange(n_lecturers)
    department = rng.integers(0, n_departments, n_lecturers)
    y = 3.2 + 0.33 * rng.normal(size=n_students)[student] + 0.52 * rng.normal(size=n_lecturers)[lecturer]
    y += 0.1 * rng.normal(size=n_departments)[department[lecturer]] + 1.18 * rng.normal(size=n)
    return {"y": y, "s": student, "d": lecturer, "dept": department[lecturer]}


def slopes(rng: np.random.Generator, n: int = 10**6, n_groups: int = 10**4) -> Columns:
    """Groups with a correlated intercept and slope."""
    g, x = rng.integers(0, n_groups, n), rng.normal(size=n)
    effects = rng.normal(size=(n_groups, 2)) @ np.linalg.cholesky([[0.5, 0.1], [0.1, 0.2]]).T
    return {"y": 1.0 + x + effects[g, 0] + effects[g, 1] * x + rng.normal(size=n), "x": x, "g": g}


def nested(rng: np.random.Generator, n: int = 10**6, n_levels: tuple[int, int, int] = (50, 10**3, 10**5)) -> Columns:
    """Three nested levels."""
    top, middle, fine = n_levels
    parent, grandparent = rng.integers(0, middle, fine), rng.integers(0, top, middle)
    c, x = rng.integers(0, fine, n), rng.normal(size=n)
    b = parent[c]
    a = grandparent[b]
    y = 1.0 + 0.5 * x + 0.7 * rng.normal(size=top)[a] + 0.5 * rng.normal(size=middle)[b]
    return {"y": y + 0.6 * rng.normal(size=fine)[c] + rng.normal(size=n), "x": x, "a": a, "b": b, "c": c}


def crossed_large(rng: np.random.Generator, n: int = 2 * 10**6, n_levels: tuple[int, int] = (10**5, 2_000)) -> Columns:
    """Two crossed factors."""
    a, b = rng.integers(0, n_levels[0], n), rng.integers(0, n_levels[1], n)
    y = 0.5 * rng.normal(size=n_levels[0])[a] + 0.4 * rng.normal(size=n_levels[1])[b] + rng.normal(size=n)
    return {"y": y, "a": a, "b": b}


PROBLEMS = (
    LargeProblem("crossed", "y ~ 1 + (1 | s) + (1 | d) + (1 | dept)", crossed, True, ("s", "d", "dept")),
    LargeProblem("slopes", "y ~ x + (1 + x | g)", slopes, False, ("g",)),
    LargeProblem("nested", "y ~ x + (1 | a) + (1 | b) + (1 | c)", nested, False, ("a", "b", "c")),
    LargeProblem("crossed_large", "y ~ 1 + (1 | a) + (1 | b)", crossed_large, False, ("a", "b")),
)


def find_problem(name: str) -> LargeProblem:
    """Return a problem by name."""
    return next(problem for problem in PROBLEMS if problem.name == name)


def simulate(problem: LargeProblem) -> Columns:
    """Return the problem's columns, the same on every run."""
    return problem.draw(np.random.default_rng(20261121))
