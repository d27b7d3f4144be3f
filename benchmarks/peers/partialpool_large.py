"""The full posterior of a large problem: population, every group with its interval, 4,000 draws. Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import find_problem, simulate


def main(name: str, rounds: int) -> None:
    import partialpool as pp

    problem = find_problem(name)
    data = simulate(problem)
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        fit = pp.fit(problem.formula, data)
        fitted = time.perf_counter() - start
        table = fit.summary()
        for factor in problem.groups:
            fit.groups(factor)
        names = None if problem.draws_of_effects else list(table.index)
        fit.draws(4000, parameters=names)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    estimate = pp.fit(problem.formula, data, method="empirical_bayes").summary()["mean"].to_dict()
    print(
        json.dumps(
            {
                "seconds": min(seconds),
                "first": seconds[0],
                "fit": fitted,
                "gigabytes": peak,
                "evidence": dict(fit.engine.evidence),
                "posterior": table["mean"].to_dict(),
                "estimate": estimate,
            }
        )
    )


main(sys.argv[1], int(sys.argv[2]))
