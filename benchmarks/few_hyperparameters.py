"""Proportions of 10 to 1,000 groups, two hyperparameters: fit and table of every group beside lme4 (``nAGQ = 10``).

python benchmarks/few_hyperparameters.py

Seconds of processor time of one thread, warm, medians of five simulated sets of five runs each; evaluations are of the
likelihood. lme4 is skipped where Rscript is not installed.
"""

from __future__ import annotations

import csv
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import partialpool as pp

SEEDS, REPEATS = range(5), 5
Data = dict[str, Any]


def simulate_hospitals(seed: int) -> Data:
    """Deaths among 50 to 800 operations of 12 hospitals."""
    rng = np.random.default_rng([20261201, seed])
    n = rng.integers(50, 801, 12)
    return {"y": rng.binomial(n, 1 / (1 + np.exp(2.5 - 0.4 * rng.standard_normal(12)))), "n": n, "g": np.arange(12)}


def simulate_stores(seed: int, n_stores: int) -> Data:
    """Successes among few visits, as in ``stores.py``."""
    rng = np.random.default_rng([20261122, n_stores, seed])
    n = 1 + rng.negative_binomial(1.2, 1.2 / 6.2, n_stores)
    y = rng.binomial(n, 1 / (1 + np.exp(1.8 - 0.7 * rng.standard_normal(n_stores))))
    return {"y": y, "n": n, "g": np.arange(n_stores)}


def measure(data: Data) -> tuple[float, float, float]:
    """Return the seconds of the fit and of its table, and the evaluations."""
    fits, tables = [], []
    for _ in range(REPEATS):
        start = time.process_time()
        fit = pp.fit("y ~ 1 + (1 | g)", data, family="binomial", trials="n")
        middle = time.process_time()
        fit.groups()
        fits.append(middle - start)
        tables.append(time.process_time() - middle)
    return statistics.median(fits), statistics.median(tables), fit.engine.evidence["evaluations"]


def measure_glmer(sets: list[Data]) -> float | None:
    """Return the median seconds of lme4, None where it is not installed."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for k, data in enumerate(sets):
            paths.append(str(Path(folder, f"{k}.csv")))
            with open(paths[-1], "w", newline="") as file:
                csv.writer(file).writerows([list(data), *zip(*data.values(), strict=True)])
        script = Path(__file__).with_name("glmer_groups.R")
        found = subprocess.run(["Rscript", str(script), *paths], capture_output=True, text=True, check=True)
    return statistics.median(float(line.split()[1]) for line in found.stdout.splitlines())


def main() -> None:
    """Print a table."""
    cases = {"12 hospitals": [simulate_hospitals(seed) for seed in SEEDS]}
    cases |= {f"{n:,} stores": [simulate_stores(seed, n) for seed in SEEDS] for n in (10, 100, 1000)}
    measure(cases["12 hospitals"][0])  # what a first fit imports
    print("| data | fit, s | groups, s | evaluations | lme4, s | ours / theirs |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, sets in cases.items():
        fit, table, count = (statistics.median(each) for each in zip(*map(measure, sets), strict=True))
        peer = measure_glmer(sets)
        beside = "| | |" if peer is None else f"| {peer:.3f} | {(fit + table) / peer:.2f} |"
        print(f"| {name} | {fit:.3f} | {table:.3f} | {count:,.0f} {beside}", flush=True)


if __name__ == "__main__":
    main()
