"""Models of 6 to 84 rows that once took many seconds: seconds of processor time of the fit, its tables and its draws.

python benchmarks/small.py
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import partialpool as pp

SEEDS = range(3)


class Problem(NamedTuple):
    """A formula, its data, what else ``fit`` is given, and how many draws are made."""

    formula: str
    data: dict[str, Any]
    options: dict[str, Any]
    n_draws: int = 4000


def simulate_truncated(seed: int) -> Problem:
    """Six lognormal rows of three groups, seen only above a limit."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(3), 2)
    location, y = 1.0 + 0.5 * rng.standard_normal(3)[g], np.zeros(6)
    while np.any(low := y <= 1.5):
        y = np.where(low, np.exp(location + 0.5 * rng.standard_normal(6)), y)
    return Problem("y ~ 1 + (1 | g)", {"y": y, "g": g}, {"family": "lognormal", "truncation": (1.5, None)})


def simulate_censored(seed: int) -> Problem:
    """84 lognormal rows, those below a limit censored, with a Student-t population."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(12), 7)
    y = np.exp(0.5 + 0.6 * rng.standard_t(4, 12)[g] + 0.7 * rng.standard_normal(84))
    data = {"y": np.maximum(y, 0.8), "g": g, "seen": np.where(y < 0.8, "left", "none")}
    options = {"family": "lognormal", "censored": "seen", "population": "student_t"}
    return Problem("y ~ 1 + (1 | g)", data, options)


def simulate_nested(seed: int) -> Problem:
    """48 counts of three nested factors."""
    rng = np.random.default_rng(seed)
    a, b, c = (np.repeat(np.arange(n), 48 // n) for n in (4, 12, 24))
    effects = [sd * rng.standard_normal(len(u))[u] for sd, u in ((0.5, a), (0.4, b), (0.3, c))]
    data = {"y": rng.poisson(np.exp(1.0 + sum(effects))), "a": a, "b": b, "c": c}
    return Problem("y ~ 1 + (1 | a/b/c)", data, {"family": "poisson"})


def simulate_skewed(seed: int) -> Problem:
    """28 exponential rows with a skew-normal population, and 60,000 draws."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(7), 4)
    y = rng.exponential(np.exp(1.0 + 0.5 * (rng.exponential(size=7) - 1.0)[g]))
    return Problem("y ~ 1 + (1 | g)", {"y": y, "g": g}, {"family": "exponential", "population": "skew_normal"}, 60_000)


def simulate_slopes(seed: int) -> Problem:
    """80 counts of 16 groups with a slope each."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(16), 5), rng.standard_normal(80)
    u = np.array([[0.5], [0.3]]) * rng.standard_normal((2, 16))
    y = rng.poisson(np.exp(1.0 + u[0][g] + (0.3 + u[1][g]) * x))
    return Problem("y ~ x + (x | g)", {"y": y, "g": g, "x": x}, {"family": "poisson"})


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "truncated lognormal, 6 rows": simulate_truncated,
    "censored lognormal, Student-t population, 84 rows": simulate_censored,
    "Poisson, `(1 | a/b/c)`, 48 rows": simulate_nested,
    "exponential, skew-normal population, 28 rows, 60,000 draws": simulate_skewed,
    "Poisson, `(x | g)`, 80 rows": simulate_slopes,
}


def measure(problem: Problem) -> tuple[list[float], float]:
    """Return the seconds of the fit, every factor's table, and the draws, and the evaluations made."""
    clock = [time.process_time()]
    fit = pp.fit(problem.formula, problem.data, **problem.options)
    clock.append(time.process_time())
    for group in fit.fitted.model.groups:
        fit.groups(group.name)
    clock.append(time.process_time())
    fit.draws(problem.n_draws, seed=1)
    clock.append(time.process_time())
    evidence = fit.engine.evidence
    return np.diff(clock).tolist(), evidence["evaluations"] + evidence.get("coarse evaluations", 0.0)


def main() -> None:
    """Print a table: the slowest of the seeds, step by step."""
    warnings.simplefilter("ignore")
    rats = pp.fit("tumours ~ 1 + (1 | experiment)", pp.datasets.rat_tumours(), family="binomial", trials="rats")
    rats.groups()  # what a first fit imports
    print("| model | fit, s | groups, s | draws, s | evaluations |")
    print("| --- | --- | --- | --- | --- |")
    for name, simulate in PROBLEMS.items():
        found = [measure(simulate(seed)) for seed in SEEDS]
        steps = " | ".join(f"{max(step):.1f}" for step in zip(*[seconds for seconds, _ in found], strict=True))
        print(f"| {name} | {steps} | {max(count for _, count in found):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
