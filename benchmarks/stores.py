"""The stores: successes among few visits each, simulated, and the two models that are fitted to them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from large import Columns

SEED = 20261122
FORMULA = "y ~ 1 + (1 | store)"
MODELS = {"logit_normal": "normal", "beta_binomial": "beta"}
"""Benchmark name -> population."""
PARAMETERS = {"logit_normal": ("Intercept", "sd(store)"), "beta_binomial": ("mean", "concentration")}
PRIORS = {
    "logit_normal": {"Intercept": "Normal(0, 2.5)", "sd(store)": "HalfNormal(1)"},
    "beta_binomial": {"mean": "Uniform(0, 1)", "concentration": "HalfCauchy(10)"},
}
"""What every sampler is given."""
VISITS = {"few": (1.2, 5.0), "wide": (0.6, 20.0)}
"""Set -> shape and mean of the negative binomial that one visit is added to."""

Model = Literal["logit_normal", "beta_binomial"]


def draw_visits(visits: str, n_stores: int, rng: np.random.Generator) -> np.ndarray:
    """Visits of every store, (store,): one more than a negative binomial number."""
    shape, mean = VISITS[visits]
    return 1 + rng.negative_binomial(shape, shape / (shape + mean), n_stores)


def simulate_stores(model: Model, visits: str, n_stores: int) -> Columns:
    """Return one row a store, the same on every run: probabilities of mean about 0.15, sd on the logit scale 0.7."""
    rng = np.random.default_rng([SEED, n_stores])
    n = draw_visits(visits, n_stores, rng)
    if model == "beta_binomial":
        p = rng.beta(2.5, 14.0, n_stores)
    else:
        p = 1 / (1 + np.exp(1.8 - 0.7 * rng.standard_normal(n_stores)))
    return {"y": rng.binomial(n, p), "n": n, "store": np.arange(n_stores)}


def fit_stores(model: Model, data: Columns, **options: Any) -> Any:
    """Fit the stores here."""
    import partialpool as pp

    return pp.fit(FORMULA, data, family="binomial", trials="n", population=MODELS[model], **options)
