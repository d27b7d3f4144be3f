"""Models whose likelihood is dear: seconds of the fit, its tables, and 4,000 joint draws of every parameter.

python benchmarks/dear.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import partialpool as pp


def simulate_counts() -> dict[str, Any]:
    """Counts of 59 subjects at four visits, with effects of subjects and of rows."""
    rng = np.random.default_rng(5)
    s = np.repeat(np.arange(59), 4)
    last, treated = np.tile([0.0, 0, 0, 1], 59), rng.integers(0, 2, 59)[s].astype(float)
    base, age = np.log(rng.gamma(2.0, 4.0, 59) + 1.0)[s], rng.normal(0.0, 0.2, 59)[s]
    eta = 1.6 + 0.9 * (base - base.mean()) - 0.5 * treated + 0.5 * age - 0.1 * last
    eta = eta + 0.5 * rng.normal(size=59)[s] + 0.36 * rng.normal(size=len(s))
    columns = {"base": base - base.mean(), "treated": treated, "age": age, "last": last}
    return {"y": rng.poisson(np.exp(eta)), "s": s, "obs": np.arange(len(s)), **columns}


def simulate_slopes(n_groups: int, n_rows: int) -> dict[str, Any]:
    """Outcomes of groups with an intercept and two slopes each."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(n_groups), n_rows)
    x, z = rng.normal(size=(2, len(g)))
    b = rng.normal(size=(n_groups, 3)) * [0.8, 0.5, 0.4]
    eta = -0.5 + b[g, 0] + (0.6 + b[g, 1]) * x + (b[g, 2] - 0.3) * z
    return {"y": rng.binomial(1, 1.0 / (1.0 + np.exp(-eta))), "g": g, "x": x, "z": z}


PROBLEMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "counts, effects of rows": (
        "y ~ base * treated + age + last + (1 | s) + (1 | obs)",
        simulate_counts(),
        "poisson",
    ),
    "outcomes, slope": ("y ~ x + (x | g)", simulate_slopes(150, 40), "bernoulli"),
    "outcomes, two slopes": ("y ~ x + z + (x + z | g)", simulate_slopes(30, 20), "bernoulli"),
}


def main() -> None:
    """Print a table."""
    rats = pp.fit("tumours ~ 1 + (1 | experiment)", pp.datasets.rat_tumours(), family="binomial", trials="rats")
    rats.groups()  # what a first fit imports
    print("| model | fit, s | groups, s | draws, s | route | exact evaluations |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (formula, data, family) in PROBLEMS.items():
        seconds = [time.perf_counter()]
        fit = pp.fit(formula, data, family=family)
        seconds.append(time.perf_counter())
        fit.groups(formula.rsplit("| ", 1)[1].rstrip(")"))
        seconds.append(time.perf_counter())
        fit.draws(4000, seed=1)
        seconds.append(time.perf_counter())
        steps = " | ".join(f"{step:.1f}" for step in np.diff(seconds))
        print(f"| {name} | {steps} | {fit.engine.route} | {fit.engine.evidence['evaluations']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
