"""The full posterior of a large problem: population, every group with its interval, 4,000 draws. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import PROBLEMS, peak_gigabytes, read_columns


def main(name: str, folder: Path, fits: int) -> None:
    """``fits`` of 0 asks for the REML estimate instead."""
    import partialpool as pp

    problem = next(problem for problem in PROBLEMS if problem.name == name)
    data = read_columns(folder)
    if fits == 0:
        table = pp.fit(problem.formula, data, method="empirical_bayes", estimator="reml").summary()
        print(json.dumps({"estimate": table["mean"].to_dict()}))
        return
    seconds, cpu, parts = [], [], {}
    for seed in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        fit = pp.fit(problem.formula, data, seed=seed)
        parts["fit"] = time.perf_counter()
        table = fit.summary()
        parts["summary"] = time.perf_counter()
        rows = sum(len(fit.groups(factor)) for factor in problem.groups)
        parts["groups"] = time.perf_counter()
        drawn = fit.draws(4000, parameters=None if problem.draws_of_effects else list(table.index))
        parts["draws"] = time.perf_counter()
        seconds.append(parts["draws"] - start)
        cpu.append(time.process_time() - cpu_start)
        times = [start, *parts.values()]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "gigabytes": peak_gigabytes(),
                "parts": {part: b - a for part, a, b in zip(parts, times[:-1], times[1:], strict=True)},
                "rows_of_groups": rows,
                "parameters_drawn": len(drawn),
                "engine": fit.engine.route,
                "evidence": dict(fit.engine.evidence),
                "version": pp.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
