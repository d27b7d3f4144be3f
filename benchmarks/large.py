"""The large problems: formulas, simulated columns, and the folder of binary columns that every tool reads them from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[np.float64] | NDArray[np.int64]]

SEED = 20261121


@dataclass(frozen=True)
class LargeProblem:
    """What is fitted; without ``draw`` the columns are lme4's, exported by R when the benchmark runs."""

    name: str
    formula: str
    groups: tuple[str, ...]
    draw: Callable[[np.random.Generator], Columns] | None
    draws_of_effects: bool
    """Whether joint draws of all effects are asked for beside those of the population."""
    share_of_lme4: float | None = None
    """The largest share of lme4's warm seconds that we set ourselves as a limit."""
    gigabytes: float | None = None
    """The largest peak memory of ours that we set ourselves as a limit."""
    alone: bool = False
    """Whether no peer is run."""


def crossed(rng: np.random.Generator, shrink: int = 1) -> Columns:
    """As many rows and levels as lme4's InstEval: students and lecturers, who belong to 14 departments."""
    n, n_students, n_lecturers, n_departments = 73_421 // shrink, 2_972 // shrink, 1_128 // shrink, 14
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


_CROSSED = "y ~ 1 + (1 | s) + (1 | d) + (1 | dept)"
_NESTED = "y ~ x + (1 | a) + (1 | b) + (1 | c)"

PROBLEMS = (
    LargeProblem("crossed", _CROSSED, ("s", "d", "dept"), crossed, True, share_of_lme4=0.5),
    LargeProblem("insteval", _CROSSED, ("s", "d", "dept"), None, True, share_of_lme4=0.5),
    LargeProblem("slopes", "y ~ x + (1 + x | g)", ("g",), slopes, False, share_of_lme4=0.15, gigabytes=2.0),
    LargeProblem("nested", _NESTED, ("a", "b", "c"), nested, False, share_of_lme4=0.5),
    LargeProblem(
        "crossed_large", "y ~ 1 + (1 | a) + (1 | b)", ("a", "b"), crossed_large, False, gigabytes=8.0, alone=True
    ),
)
#: The same problems at sizes that take seconds, to try the programs out.
SMALL: dict[str, Callable[[np.random.Generator], Columns]] = {
    "crossed": lambda rng: crossed(rng, 10),
    "slopes": lambda rng: slopes(rng, 20_000, 400),
    "nested": lambda rng: nested(rng, 20_000, (20, 80, 2_000)),
    "crossed_large": lambda rng: crossed_large(rng, 40_000, (2_000, 100)),
}


def simulate(problem: LargeProblem, small: bool = False) -> Columns:
    """Return the problem's columns, the same on every run."""
    draw = SMALL[problem.name] if small else problem.draw
    if draw is None:
        raise ValueError(f"{problem.name} is not simulated: R exports it")
    return draw(np.random.default_rng(SEED))


def write_columns(folder: Path, columns: Columns) -> None:
    """Write one binary file a column, and their names and kinds: reading costs every tool the same next to nothing."""
    lines = []
    for name, values in columns.items():
        kind = "double" if values.dtype.kind == "f" else "integer"
        values.astype(np.float64 if kind == "double" else np.int32).tofile(folder / f"{name}.bin")
        lines.append(f"{name} {kind}\n")
    (folder / "columns.txt").write_text("".join(lines))


def read_columns(folder: Path) -> Columns:
    """Read what ``write_columns``, or the R program that exports lme4's data, wrote."""
    entries = [line.split() for line in (folder / "columns.txt").read_text().splitlines()]
    kinds = {"double": np.float64, "integer": np.int32}
    return {name: np.fromfile(folder / f"{name}.bin", kinds[kind]) for name, kind in entries}


def peak_gigabytes() -> float:
    """Peak resident memory of this process; unlike getrusage's, it holds nothing of the process that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1e6
    return float("nan")
