"""GPBoost's point estimate of the stores, by its Laplace approximation, with standard errors. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import gpboost
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import peak_gigabytes, read_columns


def main(folder: Path, fits: int) -> None:
    data = read_columns(folder)
    n = data["n"].astype(float)
    seconds, cpu = [], []
    for _ in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        model = gpboost.GPModel(
            group_data=data["store"], likelihood="binomial_logit", weights=n, num_parallel_threads=1
        )
        model.fit(y=data["y"] / n, X=np.ones((len(n), 1)))
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    variance, *error = np.ravel(model.get_cov_pars(format_pandas=False, std_err=True))
    intercept, intercept_error = np.ravel(model.get_coef(format_pandas=False, std_err=True))[:2]
    sds = {"Intercept": float(intercept_error)}
    if error:
        sds["sd(store)"] = float(error[0] / (2 * np.sqrt(variance)))
    estimate = {"Intercept": float(intercept), "sd(store)": float(np.sqrt(variance))}
    answer = {"seconds": seconds, "cpu": cpu, "gigabytes": peak_gigabytes(), "version": gpboost.__version__}
    print(json.dumps(answer | {"estimate": estimate, "sd": sds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[3]))
