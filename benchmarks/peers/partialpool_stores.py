"""The stores here: population, every store's estimate with interval; or draws of the population. Prints JSON.

python partialpool_stores.py FOLDER MODEL FITS [estimate | draws | effects | ml]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import peak_gigabytes, read_columns
from stores import PARAMETERS, PRIORS, fit_stores

ML = {"method": "empirical_bayes", "estimator": "ml"}


def main(folder: Path, model: str, fits: int, task: str) -> None:
    import partialpool as pp

    data = read_columns(folder)
    arguments = {"draws": {"priors": PRIORS[model]}, "effects": {"priors": PRIORS[model]}, "ml": ML}.get(task, {})
    seconds, cpu, parts = [], [], []
    for seed in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        fit = fit_stores(model, data, seed=seed, **arguments)
        fitted = time.perf_counter()
        table = fit.summary()
        if task in ("estimate", "ml"):
            stores = fit.groups("store")
        else:
            draws = fit.draws(4000, parameters=None if task == "effects" else list(table.index))
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
        parts.append([fitted - start, time.perf_counter() - fitted])
    answer = {"seconds": seconds, "cpu": cpu, "parts": parts, "gigabytes": peak_gigabytes(), "version": pp.__version__}
    answer |= {"estimate": table["mean"].to_dict(), "sd": table["sd"].to_dict(), "engine": str(fit.engine)}
    if task in ("estimate", "ml"):
        answer["stores"] = len(stores)
    else:
        np.array([draws[name] for name in PARAMETERS[model]]).tofile(folder / "draws.f64")
        answer |= {"chains": 1, "admitted": fit.engine.effective_draws}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), (sys.argv[4:] or ["estimate"])[0])
