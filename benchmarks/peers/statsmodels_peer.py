"""statsmodels MixedLM: the REML point estimate, correlated intercepts and slopes."""

import warnings

import numpy as np
import pandas as pd
import statsmodels
import statsmodels.formula.api as smf
from protocol import read_task, report_point, time_fits


def main() -> None:
    task = read_task()
    frame = pd.DataFrame(task.data)
    fixed = f"{task.response} ~ {task.predictor}"

    def fit(seed: int) -> object:
        return smf.mixedlm(fixed, frame, groups=task.group, re_formula=task.predictor).fit()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds, result = time_fits(fit, task)
    covariance = np.asarray(result.cov_re)
    scales = np.sqrt(np.diag(covariance))
    values = [*result.fe_params, *scales, covariance[0, 1] / scales.prod(), np.sqrt(result.scale)]
    report_point(task, "statsmodels", statsmodels.__version__, seconds, dict(zip(task.priors, values, strict=True)))


main()
