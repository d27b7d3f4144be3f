"""GPBoost's point estimate of a large problem; its slopes are independent of the intercepts. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import gpboost
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import PROBLEMS, peak_gigabytes, read_columns


def main(name: str, folder: Path, fits: int) -> None:
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    data = read_columns(folder)
    x = data.get("x")
    design = np.column_stack([np.ones(len(data["y"])), *([] if x is None else [x])])
    slopes = {}
    if name == "slopes":
        slopes = {"group_rand_coef_data": x[:, None], "ind_effect_group_rand_coef": [1]}
    seconds, cpu = [], []
    for _ in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        groups = np.column_stack([data[factor] for factor in problem.groups])
        model = gpboost.GPModel(group_data=groups, likelihood="gaussian", num_parallel_threads=1, **slopes)
        model.fit(y=data["y"], X=design)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    sigma, *sds = np.sqrt(np.ravel(model.get_cov_pars(format_pandas=False))[: 1 + len(problem.groups) + bool(slopes)])
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "gigabytes": peak_gigabytes(),
                "sds": [float(sd) for sd in [*sds, sigma]],
                "version": gpboost.__version__,
            }
        )
    )


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
