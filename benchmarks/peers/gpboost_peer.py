"""GPBoost: the maximum likelihood point estimate; its random slopes are independent of the intercepts."""

import gpboost
import numpy as np
from protocol import read_task, report_point, time_fits


def main() -> None:
    task = read_task()
    x = task.data[task.predictor]
    design = np.column_stack([np.ones_like(x), x])

    def fit(seed: int) -> gpboost.GPModel:
        model = gpboost.GPModel(
            group_data=task.data[task.group],
            group_rand_coef_data=x,
            ind_effect_group_rand_coef=[1],
            likelihood="gaussian",
            num_parallel_threads=1,
        )
        model.fit(y=task.data[task.response], X=design)
        return model

    seconds, model = time_fits(fit, task)
    sigma, *scales = np.sqrt(np.ravel(model.get_cov_pars(format_pandas=False))[:3])
    coefficients = np.ravel(model.get_coef(format_pandas=False))[:2]
    names = [name for name in task.priors if not name.startswith("cor(")]
    values = [*coefficients, *scales, sigma]
    report_point(task, "gpboost", gpboost.__version__, seconds, dict(zip(names, values, strict=True)))


main()
