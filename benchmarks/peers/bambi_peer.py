"""Bambi with nutpie, from data frame to draws; its group terms are independent: it has no correlation."""

import bambi as bmb
import pandas as pd
from protocol import Task, read_task, report_draws, time_fits


def bambi_priors(task: Task) -> dict[str, bmb.Prior]:
    priors = {"sigma": bmb.Prior("HalfNormal", sigma=task.prior_numbers("sigma")[0])}
    for name, term in (("Intercept", "1"), (task.predictor, task.predictor)):
        mu, sigma = task.prior_numbers(name)
        (scale,) = task.prior_numbers(task.scale_name(name))
        priors[name] = bmb.Prior("Normal", mu=mu, sigma=sigma)
        priors[f"{term}|{task.group}"] = bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=scale))
    return priors


def main() -> None:
    task = read_task()
    frame = pd.DataFrame(task.data)
    del task.priors[task.correlation_name]

    def fit(seed: int) -> object:
        model = bmb.Model(
            task.formula,
            frame,
            priors=bambi_priors(task),
            noncentered=task.parametrisation != "centred",
            center_predictors=False,
        )
        return model.fit(
            inference_method="nutpie",
            draws=task.draws // 4,
            tune=1000,
            chains=4,
            cores=1,
            random_seed=seed + 1,
            progressbar=False,
        )

    seconds, result = time_fits(fit, task)
    theirs = {
        "Intercept": "Intercept",
        task.predictor: task.predictor,
        task.scale_name("Intercept"): f"1|{task.group}_sigma",
        task.scale_name(task.predictor): f"{task.predictor}|{task.group}_sigma",
        "sigma": "sigma",
    }
    draws = {name: result.posterior[theirs[name]].to_numpy() for name in task.priors}
    divergences = int(result.sample_stats["diverging"].sum())
    report_draws(task, "bambi", bmb.__version__, seconds, draws, divergences=divergences)


main()
