"""statsmodels MixedLM's REML point estimate of a large problem with one grouping factor. Prints JSON."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels
import statsmodels.formula.api as smf

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import peak_gigabytes, read_columns


def main(name: str, folder: Path, fits: int) -> None:
    frame = pd.DataFrame(read_columns(folder))
    seconds, cpu = [], []
    for _ in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = smf.mixedlm("y ~ x", frame, groups="g", re_formula="x").fit()
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    sds = [*np.sqrt(np.diag(result.cov_re)), np.sqrt(result.scale)]
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": cpu,
                "gigabytes": peak_gigabytes(),
                "sds": [float(sd) for sd in sds],
                "converged": bool(result.converged),
                "version": statsmodels.__version__,
            }
        )
    )


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
