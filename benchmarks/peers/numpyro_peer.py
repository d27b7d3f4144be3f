"""NumPyro NUTS: from data to draws, and sampling alone once compiled."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
from protocol import Task, read_task, report_draws, time_fits

numpyro.enable_x64()


def make_model(task: Task):
    n_groups, codes = task.group_codes()
    y = jnp.asarray(task.data[task.response])
    names = ("Intercept", task.predictor) if task.predictor else ("Intercept",)
    scale_prior = dist.HalfNormal if task.predictor else dist.HalfCauchy

    def model() -> None:
        beta = [numpyro.sample(name, dist.Normal(*task.prior_numbers(name))) for name in names]
        tau = [
            numpyro.sample(task.scale_name(name), scale_prior(*task.prior_numbers(task.scale_name(name))))
            for name in names
        ]
        if not task.predictor:
            z = numpyro.sample("z", dist.Normal(0, 1).expand([n_groups]).to_event(1))
            mean = (beta[0] + tau[0] * z)[codes]
            numpyro.sample("y", dist.Normal(mean, task.data[task.standard_error]), obs=y)
            return
        half = numpyro.sample("half", dist.Beta(*task.prior_numbers(task.correlation_name) * 2))
        rho = numpyro.deterministic(task.correlation_name, 2 * half - 1)
        sigma = numpyro.sample("sigma", dist.HalfNormal(*task.prior_numbers("sigma")))
        rest = jnp.sqrt(1 - rho**2)
        if task.parametrisation == "centred":
            groups = dist.Normal(beta[0], tau[0]).expand([n_groups])
            intercept = numpyro.sample("intercept", groups.to_event(1))
            expected = beta[1] + tau[1] * rho * (intercept - beta[0]) / tau[0]
            slope = numpyro.sample("slope", dist.Normal(expected, tau[1] * rest).to_event(1))
        else:
            z = numpyro.sample("z", dist.Normal(0, 1).expand([2, n_groups]).to_event(2))
            intercept = beta[0] + tau[0] * z[0]
            slope = beta[1] + tau[1] * (rho * z[0] + rest * z[1])
        mean = intercept[codes] + slope[codes] * task.data[task.predictor]
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    return model


def make_sampler(task: Task) -> MCMC:
    return MCMC(
        NUTS(make_model(task), target_accept_prob=0.95 if task.standard_error else 0.8),
        num_warmup=1000,
        num_samples=task.draws // 4,
        num_chains=4,
        chain_method="vectorized",
        progress_bar=False,
    )


def sample(sampler: MCMC, seed: int) -> dict[str, jax.Array]:
    sampler.run(jax.random.PRNGKey(seed))
    return jax.block_until_ready(sampler.get_samples(group_by_chain=True))


def main() -> None:
    task = read_task()
    seconds, draws = time_fits(lambda seed: sample(make_sampler(task), seed), task)
    sampling = []
    if task.repeats:
        sampler = make_sampler(task)
        sampling, _ = time_fits(lambda seed: sample(sampler, seed), task)
    report_draws(task, "numpyro", numpyro.__version__, seconds, draws, sampling_seconds=sampling)


main()
