"""Bambi with nutpie on the stores: 4 x 1,000 draws under our priors. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import bambi as bmb
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import peak_gigabytes, read_columns


def main(folder: Path, fits: int) -> None:
    frame = pd.DataFrame(read_columns(folder))
    priors = {
        "Intercept": bmb.Prior("Normal", mu=0.0, sigma=2.5),
        "1|store": bmb.Prior("Normal", mu=0.0, sigma=bmb.Prior("HalfNormal", sigma=1.0)),
    }
    seconds, cpu = [], []
    for seed in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        model = bmb.Model(
            "p(y, n) ~ 1 + (1 | store)",
            frame,
            family="binomial",
            categorical=["store"],
            priors=priors,
            center_predictors=False,
        )
        result = model.fit(
            inference_method="nutpie", draws=1000, tune=1000, chains=4, cores=1, random_seed=seed + 1, progressbar=False
        )
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    draws = np.array([result.posterior[name].to_numpy() for name in ("Intercept", "1|store_sigma")])
    draws.tofile(folder / "draws.f64")
    answer = {"seconds": seconds, "cpu": cpu, "gigabytes": peak_gigabytes(), "version": bmb.__version__, "chains": 4}
    names = ("Intercept", "sd(store)")
    print(json.dumps(answer | {"estimate": dict(zip(names, draws.mean((1, 2)).tolist(), strict=True))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[3]))
