"""How time and memory grow with rows, levels and hyperparameters: a table with fitted exponents, and a picture.

python benchmarks/growth_several.py docs/growth.md docs/images/growth.png
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from large import crossed_large, nested, peak_gigabytes, slopes

#: Series: what grows, the arguments of ``measure`` at each size, and the sizes.
SERIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "rows, 10,000 groups with slopes": ("rows", (30_000, 100_000, 300_000, 1_000_000, 3_000_000)),
    "groups with slopes, 100 rows each": ("groups", (1_000, 3_000, 10_000, 30_000)),
    "finest of three nested levels, 10 rows each": ("nested", (1_000, 10_000, 100_000, 300_000)),
    "levels of the smaller crossed factor, 20,000 x levels, 400,000 rows": ("crossed", (250, 500, 1_000, 2_000)),
    "hyperparameters, correlated slopes, 2,000 groups, 40,000 rows": ("hyperparameters", (2, 4, 7, 11, 16)),
    "hyperparameters, independent slopes, 2,000 groups, 40,000 rows": ("independent", (2, 3, 5, 8, 11, 15)),
    "hyperparameters, crossed factors of 200 levels, 40,000 rows": ("factors", (2, 3, 4, 5, 6, 8)),
}


def hyperparameters(rng: np.random.Generator, dimension: int) -> tuple[str, dict[str, np.ndarray]]:
    """Correlated slopes on one factor: 2, 4, 7, 11 or 16 sds, correlations and sigma."""
    n, n_groups = 40_000, 2_000
    order = {2: 1, 4: 2, 7: 3, 11: 4, 16: 5}[dimension]
    g, columns = rng.integers(0, n_groups, n), rng.normal(size=(n, order))
    columns[:, 0] = 1.0
    effects = rng.normal(size=(n_groups, order)) @ (
        0.4 * np.eye(order) + 0.1 * np.tril(rng.normal(size=(order, order)))
    )
    y = columns.sum(axis=1) + np.sum(columns * effects[g], axis=1) + rng.normal(size=n)
    names = [f"x{k}" for k in range(1, order)]
    data = {"y": y, "g": g, **{name: columns[:, k + 1] for k, name in enumerate(names)}}
    inner = " + ".join(["1", *names])
    return f"y ~ {inner} + ({inner} | g)", data


def independent(rng: np.random.Generator, dimension: int) -> tuple[str, dict[str, np.ndarray]]:
    """Slopes on one factor without correlations: dimension - 1 sds and sigma."""
    n, n_groups, order = 40_000, 2_000, dimension - 1
    g, columns = rng.integers(0, n_groups, n), rng.normal(size=(n, order))
    columns[:, 0] = 1.0
    effects = rng.normal(size=(n_groups, order)) * 0.4
    y = columns.sum(axis=1) + np.sum(columns * effects[g], axis=1) + rng.normal(size=n)
    names = [f"x{k}" for k in range(1, order)]
    inner = " + ".join(["1", *names])
    bar = "||" if order > 1 else "|"
    data = {"y": y, "g": g, **{name: columns[:, k + 1] for k, name in enumerate(names)}}
    return f"y ~ {inner} + ({inner} {bar} g)", data


def factors(rng: np.random.Generator, dimension: int) -> tuple[str, dict[str, np.ndarray]]:
    """Crossed factors: dimension - 1 sds and sigma."""
    n, n_levels = 40_000, 200
    codes = {f"f{k}": rng.integers(0, n_levels, n) for k in range(1, dimension)}
    y = rng.normal(size=n) + sum(0.5 * rng.normal(size=n_levels)[code] for code in codes.values())
    return "y ~ 1 + " + " + ".join(f"(1 | {name})" for name in codes), {"y": y, **codes}


def build(kind: str, size: int) -> tuple[str, dict[str, np.ndarray]]:
    """Return formula and columns of one point of a series."""
    rng = np.random.default_rng(7)
    if kind == "rows":
        return "y ~ x + (1 + x | g)", slopes(rng, size)
    if kind == "groups":
        return "y ~ x + (1 + x | g)", slopes(rng, 100 * size, size)
    if kind == "nested":
        return "y ~ x + (1 | a) + (1 | b) + (1 | c)", nested(rng, 10 * size, (20, max(size // 100, 40), size))
    if kind == "crossed":
        return "y ~ 1 + (1 | a) + (1 | b)", crossed_large(rng, 400_000, (20_000, size))
    return {"hyperparameters": hyperparameters, "independent": independent, "factors": factors}[kind](rng, size)


def measure(kind: str, size: int) -> None:
    """Fit with every group's interval, twice, and print seconds of the second and peak memory."""
    import time

    import partialpool as pp

    formula, data = build(kind, size)
    seconds = cpu = 0.0
    for _ in range(2):
        start, cpu_start = time.perf_counter(), time.process_time()
        fit = pp.fit(formula, data)
        for group in fit.fitted.model.groups:
            fit.groups(group.name)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    engine = fit.engine
    result = {
        "seconds": seconds,
        "cpu": cpu,
        "gigabytes": peak_gigabytes(),
        "evaluations": engine.evidence.get("evaluations", 0.0),
        "route": engine.route,
        "status": engine.status,
    }
    print(json.dumps(result))


def measure_series(kind: str, sizes: tuple[int, ...], timeout: float) -> dict[int, dict[str, Any]]:
    """Measure every size in a process of its own; one that fails has its reason under ``failure``."""
    results = {}
    for size in sizes:
        command = [sys.executable, __file__, "--measure", kind, str(size)]
        load = os.getloadavg()[0]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        except subprocess.TimeoutExpired:
            results[size] = {"failure": f"not within {timeout:.0f} s"}
            continue
        lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or ["no message"]
        results[size] = {"failure": lines[-1][:150]} if done.returncode else json.loads(lines[-1])
        results[size]["load"] = load
        print(kind, size, results[size], flush=True)
    return results


def growth_exponent(sizes: list[int], values: list[float]) -> float:
    """Slope of log value on log size: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def describe_series(title: str, results: dict[int, dict[str, Any]]) -> list[str]:
    """Return a section: its table, and the exponents over all sizes and over the larger half."""
    lines = ["", f"## {title[0].upper()}{title[1:]}", ""]
    lines += ["| size | s | cpu s | peak GB | evaluations | route |", "| --- | --- | --- | --- | --- | --- |"]
    for size, r in results.items():
        if "failure" in r:
            lines.append(f"| {size:,} | {r['failure']} | | | | |")
            continue
        route = r["route"] + ("" if r["status"] in ("exact", "converged") else f" ({r['status']})")
        numbers = f"{r['seconds']:.2f} | {r['cpu']:.2f} | {r['gigabytes']:.2f} | {r['evaluations']:,.0f}"
        lines.append(f"| {size:,} | {numbers} | {route} |")
    done = {size: r for size, r in results.items() if "failure" not in r}
    texts = []
    for name, chosen in (("all sizes", list(done)), ("the larger half", list(done)[len(done) // 2 :])):
        if len(chosen) > 1:
            powers = [growth_exponent(chosen, [done[size][key] for size in chosen]) for key in ("cpu", "gigabytes")]
            texts.append(f"{name}: cpu seconds like size^{powers[0]:.2f}, peak memory like size^{powers[1]:.2f}")
    return [*lines, "", "; ".join(texts).capitalize() + "."]


def plot(everything: dict[str, dict[int, dict[str, Any]]], picture: Path) -> None:
    """Draw data sizes above, hyperparameters below; cpu seconds left, memory right."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6.6), layout="constrained")
    for title, results in everything.items():
        is_hyper = title.startswith("hyperparameters")
        done = {size: r for size, r in results.items() if "failure" not in r}
        for axis, key in zip(axes[int(is_hyper)], ("cpu", "gigabytes"), strict=True):
            axis.loglog(list(done), [r[key] for r in done.values()], marker="o", markersize=3, label=title)
    for row, size_label in zip(axes, ("rows, groups or levels", "hyperparameters"), strict=True):
        for axis, label in zip(row, ("cpu seconds", "peak GB"), strict=True):
            axis.set(xlabel=size_label, ylabel=label)
            axis.spines[["top", "right"]].set_visible(False)
        row[0].legend(fontsize=6, frameon=False)
    figure.savefig(picture, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a process may take")
    options = parser.parse_args()
    everything = {title: measure_series(kind, sizes, options.timeout) for title, (kind, sizes) in SERIES.items()}
    loads = [r["load"] for results in everything.values() for r in results.values() if "load" in r]
    lines = [
        "# Growth",
        "",
        "`python benchmarks/growth_several.py docs/growth.md docs/images/growth.png`: a fit with every group's",
        "estimate and interval, data in memory, the second in its process; peak memory of the process, about 0.1 GB of",
        "it Python and libraries; one thread, two shared cores. Exponents are of cpu seconds, which other work on the",
        f"machine disturbs less (its load was {min(loads):.1f} to {max(loads):.1f}). `benchmarks/growth.py`",
        "measures one factor without slopes, up to a million groups: [measured.md](measured.md).",
        "",
        "![Cpu seconds and peak memory against size](images/growth.png)",
    ]
    for title, results in everything.items():
        lines += describe_series(title, results)
    options.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    plot(everything, options.picture)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main()
