"""Bambi with nutpie on a large crossed problem: 4,000 draws of everything, its default priors. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bambi as bmb
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import PROBLEMS, peak_gigabytes, read_columns


def main(name: str, folder: Path, fits: int) -> None:
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    frame = pd.DataFrame(read_columns(folder))
    seconds, cpu = [], []
    for seed in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        model = bmb.Model(problem.formula, frame, categorical=list(problem.groups))
        result = model.fit(
            inference_method="nutpie", draws=1000, tune=1000, chains=4, cores=1, random_seed=seed + 1, progressbar=False
        )
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    sds = [float(result.posterior[f"1|{factor}_sigma"].mean()) for factor in problem.groups]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "gigabytes": peak_gigabytes(),
                "sds": [*sds, float(result.posterior["sigma"].mean())],
                "version": bmb.__version__,
            }
        )
    )


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
