"""NumPyro NUTS on the stores, 4 x 1,000 draws under our priors; beta-binomial with the stores integrated out.

Prints JSON; ``sampling`` are the seconds of a sampler whose model is compiled already.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

sys.path.insert(0, str(Path(__file__).parent.parent))

from large import Columns, peak_gigabytes, read_columns
from stores import PARAMETERS

numpyro.enable_x64()


def make_sampler(name: str, data: Columns) -> MCMC:
    y, n = jnp.asarray(data["y"]), jnp.asarray(data["n"])

    def logit_normal() -> None:
        centre = numpyro.sample("Intercept", dist.Normal(0.0, 2.5))
        tau = numpyro.sample("sd(store)", dist.HalfNormal(1.0))
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1))
        numpyro.sample("y", dist.Binomial(n, logits=centre + tau * z), obs=y)

    def beta_binomial() -> None:
        mean = numpyro.sample("mean", dist.Uniform(0.0, 1.0))
        concentration = numpyro.sample("concentration", dist.HalfCauchy(10.0))
        numpyro.sample("y", dist.BetaBinomial(mean * concentration, (1 - mean) * concentration, n), obs=y)

    model = {"logit_normal": logit_normal, "beta_binomial": beta_binomial}[name]
    return MCMC(
        NUTS(model), num_warmup=1000, num_samples=1000, num_chains=4, chain_method="vectorized", progress_bar=False
    )


def run(sampler: MCMC, seed: int) -> dict[str, jax.Array]:
    sampler.run(jax.random.PRNGKey(seed))
    return jax.block_until_ready(sampler.get_samples(group_by_chain=True))


def main(folder: Path, name: str, fits: int) -> None:
    data = read_columns(folder)
    seconds, cpu = [], []
    for seed in range(fits):
        start, cpu_start = time.perf_counter(), time.process_time()
        sampler = make_sampler(name, data)
        draws = run(sampler, seed)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    start = time.perf_counter()
    run(sampler, fits)
    sampling = time.perf_counter() - start
    kept = np.array([draws[parameter] for parameter in PARAMETERS[name]])
    kept.tofile(folder / "draws.f64")
    answer = {"seconds": seconds, "cpu": cpu, "sampling": sampling, "gigabytes": peak_gigabytes(), "chains": 4}
    means = dict(zip(PARAMETERS[name], kept.mean((1, 2)).tolist(), strict=True))
    print(json.dumps(answer | {"estimate": means, "version": numpyro.__version__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
