"""How time and memory grow with rows, levels and hyperparameters: a table with fitted exponents, and a picture.

python benchmarks/growth_several.py docs/growth.md docs/images/growth.png
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from large import crossed_large, nested, slopes

#: Series: what grows, the arguments of ``measure`` at each size, and the sizes.
SERIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "rows, 10,000 groups with slopes": ("rows", (30_000, 100_000, 300_000, 1_000_000, 3_000_000)),
    "groups with slopes, 100 rows each": ("groups", (1_000, 3_000, 10_000, 30_000)),
    "finest of three nested levels, 10 rows each": ("nested", (1_000, 10_000, 100_000, 300_000)),
    "levels of the smaller crossed factor, 20,000 x levels, 400,000 rows": ("crossed", (250, 500, 1_000, 2_000)),
    "hyperparameters, 2,000 groups, 40,000 rows": ("hyperparameters", (2, 4, 7, 11, 16)),
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
    return hyperparameters(rng, size)


def measure(kind: str, size: int) -> None:
    """Fit with every group's interval, twice, and print seconds of the second and peak memory."""
    import resource
    import time

    import partialpool as pp

    formula, data = build(kind, size)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        fit = pp.fit(formula, data)
        for group in fit.model.groups:
            fit.groups(group.name)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    evidence = fit.engine.evidence
    print(json.dumps({"seconds": seconds, "gigabytes": peak, "evaluations": evidence.get("evaluations", 0.0)}))


def fit_exponent(sizes: tuple[int, ...], values: list[float]) -> float:
    """Return the slope of log value on log size over the larger half of the sizes."""
    half = max(2, (len(sizes) + 1) // 2)
    return float(np.polyfit(np.log(sizes[-half:]), np.log(values[-half:]), 1)[0])


def main(page: Path, picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [
        "# Growth",
        "",
        "`python benchmarks/growth_several.py docs/growth.md docs/images/growth.png`: seconds of a fit with every",
        "group's estimate and interval, data in memory, the second in its process; peak memory of the process, about",
        "0.1 GB of it Python and libraries; one thread of two shared cores, which were busy with other work: read",
        "growth, not times. Exponents are of the larger half of each series.",
        "",
        "![Seconds and peak memory against size](images/growth.png)",
    ]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for title, (kind, sizes) in SERIES.items():
        results = []
        for size in sizes:
            command = [sys.executable, __file__, "--measure", kind, str(size)]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
            results.append(json.loads(done.stdout.splitlines()[-1]))
        seconds, gigabytes = [r["seconds"] for r in results], [r["gigabytes"] for r in results]
        lines += [
            "",
            f"## {title[0].upper()}{title[1:]}",
            "",
            "| size | seconds | peak GB | evaluations |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {size:,} | {r['seconds']:.2f} | {r['gigabytes']:.2f} | {r['evaluations']:,.0f} |"
            for size, r in zip(sizes, results, strict=True)
        ]
        time_power, memory_power = fit_exponent(sizes, seconds), fit_exponent(sizes, gigabytes)
        lines += ["", f"Time grows like size^{time_power:.2f}, memory like size^{memory_power:.2f}."]
        for axis, values in zip(axes, (seconds, gigabytes), strict=True):
            axis.loglog(sizes, values, marker="o", markersize=3, label=title)
        print(title, seconds, flush=True)
    for axis, label in zip(axes, ("seconds", "peak GB"), strict=True):
        axis.set_xlabel("size")
        axis.set_ylabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=7, ncols=2, frameon=False)
    figure.savefig(picture, dpi=130)
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
