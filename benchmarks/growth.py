"""Time and peak memory of a fit and of every group's estimate, as the number of groups grows.

    python benchmarks/growth.py --markdown

Each case runs in a process of its own, so that its peak memory is its own. Making the data is not counted in
the seconds; the libraries that the first fit loads are. `again` repeats fit and table in the same process.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time
from statistics import linear_regression

CASES = {
    "standard errors": "(a) known standard errors, all different",
    "rows": "(b) raw rows in random order, 50 distinct group sizes, 5 rows a group on average",
    "sorted rows": "(b') the same rows, sorted by group",
}
LIMITS = {
    ("standard errors", 10**6): (3.0, None),
    ("rows", 10**6): (4.0, 3000.0),
    ("sorted rows", 10**6): (4.0, 3000.0),
}
SIZES_EXPONENT = 1.5611
"""Group sizes 1 to 50 with weights size**-exponent have a mean of 5.0 rows."""


def simulate(case: str, n_groups: int) -> tuple[str, dict, str, str | None]:
    """Formula, columns, grouping factor and name of the standard errors, if any."""
    import numpy as np

    rng = np.random.default_rng(n_groups)
    group_means = 3.0 + 0.7 * rng.standard_normal(n_groups)
    if case == "standard errors":
        standard_error = rng.uniform(0.2, 2.0, n_groups)
        effect = group_means + standard_error * rng.standard_normal(n_groups)
        data = {"study": np.arange(n_groups), "effect": effect, "se": standard_error}
        return "effect ~ 1 + (1 | study)", data, "study", "se"
    sizes = np.arange(1, 51)
    weights = sizes**-SIZES_EXPONENT
    group = np.repeat(np.arange(n_groups), rng.choice(sizes, n_groups, p=weights / weights.sum()))
    if case == "rows":
        rng.shuffle(group)
    y = group_means[group] + 1.3 * rng.standard_normal(len(group))
    return "y ~ 1 + (1 | g)", {"g": group, "y": y}, "g", None


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_case(case: str, n_groups: int) -> dict[str, float]:
    formula, data, factor, standard_error = simulate(case, n_groups)
    memory_of_data = peak_megabytes()
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        import partialpool as pp

        fit = pp.fit(formula, data, standard_error=standard_error, seed=1)
        fitted = time.perf_counter()
        groups = fit.groups(factor)
        done = time.perf_counter()
        if len(groups) != n_groups:
            raise RuntimeError(f"{len(groups)} groups in the table, {n_groups} in the data")
        seconds.append((fitted - start, done - fitted))
        if len(seconds) == 1:
            peak = peak_megabytes()
    (fit_first, table_first), (fit_again, table_again) = seconds
    return {
        "rows": len(next(iter(data.values()))),
        "fit": fit_first,
        "table": table_first,
        "total": fit_first + table_first,
        "again": fit_again + table_again,
        "peak": peak,
        "before": memory_of_data,
    }


def run_fresh(case: str, n_groups: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", case, str(n_groups)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


COLUMNS = (
    "groups",
    "rows",
    "fit s",
    "table s",
    "total s",
    "again s",
    "peak MB",
    "MB before the fit",
    "limits",
)


def table_row(case: str, n_groups: int, result: dict[str, float]) -> list[str]:
    times = [f"{result[name]:.3f}" for name in ("fit", "table", "total", "again")]
    memory = [f"{result[name]:.0f}" for name in ("peak", "before")]
    return [f"{n_groups:,}", f"{result['rows']:,}", *times, *memory, verdict(case, n_groups, result)]


def verdict(case: str, n_groups: int, result: dict[str, float]) -> str:
    if (case, n_groups) not in LIMITS:
        return ""
    seconds, megabytes = LIMITS[case, n_groups]
    kept = result["total"] < seconds and (megabytes is None or result["peak"] < megabytes)
    wanted = f"{seconds:g} s" + (f", {megabytes:g} MB" if megabytes else "")
    return f"{wanted}: {'met' if kept else 'NOT MET'}"


def exponent(points: list[tuple[int, float]]) -> float:
    """Slope of log seconds on log groups: 1 is linear growth."""
    return linear_regression([math.log(n) for n, _ in points], [math.log(s) for _, s in points]).slope


def print_row(cells: list[str] | tuple[str, ...], markdown: bool) -> None:
    print("| " + " | ".join(cells) + " |" if markdown else "".join(cell.rjust(19) for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--groups", nargs="+", type=float, default=[1e2, 1e3, 1e4, 1e5, 1e6])
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_case(options.one[0], int(options.one[1]))))
        return
    for case in options.cases:
        print(f"\n{'**' * options.markdown}{CASES[case]}{'**' * options.markdown}\n")
        print_row(COLUMNS, options.markdown)
        if options.markdown:
            print_row(["---"] * len(COLUMNS), markdown=True)
        points = []
        for n_groups in map(int, options.groups):
            try:
                result = run_fresh(case, n_groups)
            except RuntimeError as error:
                print_row([f"{n_groups:,}", f"failed: {error}"], options.markdown)
                continue
            points.append((n_groups, result["again"]))
            print_row(table_row(case, n_groups, result), options.markdown)
        large = [point for point in points if point[0] >= 10**4]
        for name, chosen in (("all", points), ("10,000 groups and more", large)):
            if len(chosen) > 1:
                print(f"\nGrowth exponent of `again s`, {name}: {exponent(chosen):.2f}")


if __name__ == "__main__":
    main()
