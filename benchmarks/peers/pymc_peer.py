"""PyMC with nutpie: from data to draws, and sampling alone from the compiled model."""

import nutpie
import pymc as pm
from protocol import Task, read_task, report_draws, time_fits


def known_error_model(task: Task) -> pm.Model:
    n_groups, codes = task.group_codes()
    with pm.Model() as model:
        mean = pm.Normal("Intercept", *task.prior_numbers("Intercept"))
        scale_name = task.scale_name("Intercept")
        scale = pm.HalfCauchy(scale_name, *task.prior_numbers(scale_name))
        z = pm.Normal("z", 0, 1, shape=n_groups)
        pm.Normal("y", mean + scale * z[codes], task.data[task.standard_error], observed=task.data[task.response])
    return model


def slope_model(task: Task) -> pm.Model:
    n_groups, codes = task.group_codes()
    names = ("Intercept", task.predictor)
    with pm.Model() as model:
        beta = [pm.Normal(name, *task.prior_numbers(name)) for name in names]
        tau = [pm.HalfNormal(task.scale_name(name), *task.prior_numbers(task.scale_name(name))) for name in names]
        (eta,) = task.prior_numbers(task.correlation_name)
        rho = pm.Deterministic(task.correlation_name, 2 * pm.Beta("half", eta, eta) - 1)
        sigma = pm.HalfNormal("sigma", *task.prior_numbers("sigma"))
        rest = pm.math.sqrt(1 - rho**2)
        if task.parametrisation == "centred":
            intercept = pm.Normal("intercept", beta[0], tau[0], shape=n_groups)
            expected = beta[1] + tau[1] * rho * (intercept - beta[0]) / tau[0]
            slope = pm.Normal("slope", expected, tau[1] * rest, shape=n_groups)
        else:
            z = pm.Normal("z", 0, 1, shape=(2, n_groups))
            intercept = beta[0] + tau[0] * z[0]
            slope = beta[1] + tau[1] * (rho * z[0] + rest * z[1])
        mean = intercept[codes] + slope[codes] * task.data[task.predictor]
        pm.Normal("y", mean, sigma, observed=task.data[task.response])
    return model


def main() -> None:
    task = read_task()

    def compile_model() -> object:
        return nutpie.compile_pymc_model(slope_model(task) if task.predictor else known_error_model(task))

    def sample(compiled: object, seed: int) -> object:
        return nutpie.sample(
            compiled,
            draws=task.draws // 4,
            tune=1000,
            chains=4,
            cores=1,
            seed=seed + 1,
            target_accept=0.95 if task.standard_error else 0.8,
            progress_bar=False,
        )

    seconds, result = time_fits(lambda seed: sample(compile_model(), seed), task)
    sampling = []
    if task.repeats:
        compiled = compile_model()
        sampling, _ = time_fits(lambda seed: sample(compiled, seed), task)
    draws = {name: result.posterior[name].to_numpy() for name in task.priors}
    divergences = int(result.sample_stats["diverging"].sum())
    version = f"{pm.__version__} + nutpie {nutpie.__version__}"
    report_draws(task, "pymc", version, seconds, draws, sampling_seconds=sampling, divergences=divergences)


main()
