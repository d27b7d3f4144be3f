"""GPBoost's point estimate of a large problem (independent slopes: it has no correlated ones). Prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import gpboost
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import find_problem, simulate


def main(name: str) -> None:
    problem = find_problem(name)
    data = simulate(problem)
    x = data.get("x")
    columns = np.column_stack([np.ones(len(data["y"])), *([] if x is None else [x])])
    slopes = {}
    if name == "slopes":
        slopes = {"group_rand_coef_data": x[:, None], "ind_effect_group_rand_coef": [1]}
    start = time.perf_counter()
    groups = np.column_stack([data[factor] for factor in problem.groups])
    model = gpboost.GPModel(group_data=groups, likelihood="gaussian", **slopes)
    model.fit(y=data["y"], X=columns)
    seconds = time.perf_counter() - start
    variances = np.sqrt(np.asarray(model.get_cov_pars()).ravel()).tolist()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"seconds": seconds, "gigabytes": peak, "sds": variances}))


main(sys.argv[1])
