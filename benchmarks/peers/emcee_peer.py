"""emcee on the non-centred joint density of eight schools, all walkers in one vectorised call."""

import emcee
import numpy as np
from protocol import read_task, report_draws, time_fits

WALKERS = 40
BURN_IN = 500
STEPS = 2000


def main() -> None:
    task = read_task()
    n_groups, codes = task.group_codes()
    y = task.data[task.response]
    standard_error = task.data[task.standard_error]
    mean_prior, spread_prior = task.prior_numbers("Intercept")
    (scale_prior,) = task.prior_numbers(task.scale_name("Intercept"))

    def log_density(points: np.ndarray) -> np.ndarray:
        """Points are (walker, [mu, log tau, z...])."""
        mu, log_tau, z = points[:, :1], points[:, 1], points[:, 2:]
        tau = np.exp(log_tau)
        residual = (y - mu - tau[:, None] * z[:, codes]) / standard_error
        log_prior = log_tau - np.log1p((tau / scale_prior) ** 2) - 0.5 * ((mu[:, 0] - mean_prior) / spread_prior) ** 2
        return log_prior - 0.5 * (residual**2).sum(1) - 0.5 * (z**2).sum(1)

    def fit(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        start = rng.standard_normal((WALKERS, 2 + n_groups))
        sampler = emcee.EnsembleSampler(WALKERS, 2 + n_groups, log_density, vectorize=True)
        sampler.random_state = np.random.RandomState(seed).get_state()
        sampler.run_mcmc(start, BURN_IN + STEPS)
        return sampler.get_chain(discard=BURN_IN)

    seconds, chain = time_fits(fit, task)
    draws = {"Intercept": chain[:, :, 0].T, task.scale_name("Intercept"): np.exp(chain[:, :, 1].T)}
    report_draws(task, "emcee", emcee.__version__, seconds, draws)


main()
