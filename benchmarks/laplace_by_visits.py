"""The Laplace approximation on sparse binary data, by the number of visits: quadrature here, peers' defaults beside it.

    python benchmarks/laplace_by_visits.py [--rscript Rscript] [--gpboost PYTHON]

Peers that are not given, or not installed, are left out. Every line says what was estimated and in how many seconds.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

import partialpool as pp

SEED, TRUE_SD, TRUE_INTERCEPT = 1, 0.4, -2.0
SETS = {"100,000 stores, 1 to 5 visits": (100_000, 1, 5)} | {
    f"20,000 stores, {low} to {high} visits": (20_000, low, high)
    for low, high in ((1, 5), (5, 15), (20, 40), (80, 120))
}
FORMULA = "y ~ 1 + (1 | g)"
LME4 = """
suppressMessages(library(lme4))
d <- read.csv(commandArgs(TRUE)[1])
for (k in c(1, 25)) {
  t <- system.time(m <- glmer(cbind(y, n - y) ~ 1 + (1 | g), d, family = binomial, nAGQ = k))[3]
  cat(sprintf("lme4, nAGQ = %d|%.6f|%.6f|%.2f\\n", k, fixef(m), as.data.frame(VarCorr(m))$sdcor, t))
}
"""
GPBOOST = """
import sys, time
import numpy as np, gpboost
g, n, y = np.loadtxt(sys.argv[1], delimiter=",", skiprows=1, dtype=int).T
rows, store = np.concatenate([np.r_[np.ones(k), np.zeros(m - k)] for m, k in zip(n, y)]), np.repeat(g, n)
start = time.perf_counter()
model = gpboost.GPModel(group_data=store, likelihood="bernoulli_logit")
model.fit(y=rows, X=np.ones((len(rows), 1)))
seconds = time.perf_counter() - start
intercept, sd = np.ravel(model.get_coef())[0], np.sqrt(np.ravel(model.get_cov_pars())[0])
print(f"GPBoost|{intercept:.6f}|{sd:.6f}|{seconds:.2f}")
"""

Line = tuple[str, str, str, float]


def simulate(n_stores: int, low: int, high: int) -> dict[str, np.ndarray]:
    """Return stores, visits and purchases, the same on every run."""
    rng = np.random.default_rng(SEED)
    n = rng.integers(low, high + 1, n_stores)
    p = 1 / (1 + np.exp(-(TRUE_INTERCEPT + TRUE_SD * rng.standard_normal(n_stores))))
    return {"g": np.arange(n_stores), "n": n, "y": rng.binomial(n, p)}


def fit_here(data: dict[str, np.ndarray]) -> list[Line]:
    """Return lines of the posterior and of the maximum of the likelihood, after a fit that warms up."""
    pp.fit(FORMULA, {name: values[:100] for name, values in data.items()}, family="binomial", trials="n")
    start = time.perf_counter()
    table = pp.fit(FORMULA, data, family="binomial", trials="n").summary()
    seconds = time.perf_counter() - start
    shown = [f"{table.loc[name, 'mean']:.3f} ± {table.loc[name, 'sd']:.3f}" for name in ("Intercept", "sd(g)")]
    lines: list[Line] = [("partialpool, posterior", shown[0], shown[1], seconds)]
    start = time.perf_counter()
    best = pp.fit(FORMULA, data, family="binomial", trials="n", method="empirical_bayes").summary()["mean"]
    seconds = time.perf_counter() - start
    return [*lines, ("partialpool, maximum", f"{best['Intercept']:.3f}", f"{best['sd(g)']:.3f}", seconds)]


def fit_peer(program: str, script: str, path: Path) -> list[Line]:
    """Run a peer's script on a file of the data; nothing where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.txt"
        file.write_text(script, encoding="utf-8")
        done = subprocess.run([program, str(file), str(path)], capture_output=True, text=True, check=False)
    parts = [line.split("|") for line in done.stdout.splitlines() if line.count("|") == 3]
    return [(name, f"{float(a):.3f}", f"{float(b):.3f}", float(c)) for name, a, b, c in parts]


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rscript", help="Rscript with lme4")
    parser.add_argument("--gpboost", help="a Python with gpboost")
    arguments = parser.parse_args()
    for name, (n_stores, low, high) in SETS.items():
        data = simulate(n_stores, low, high)
        lines = fit_here(data)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stores.csv"
            np.savetxt(path, np.column_stack(list(data.values())), fmt="%d", delimiter=",", header="g,n,y", comments="")
            for program, script in ((arguments.rscript, LME4), (arguments.gpboost, GPBOOST)):
                lines += fit_peer(program, script, path) if program else []
        print(f"\n{name} (true intercept {TRUE_INTERCEPT}, true sd {TRUE_SD})")
        for who, intercept, sd, seconds in lines:
            print(f"| {who} | {intercept} | {sd} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
