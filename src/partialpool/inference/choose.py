"""Which engine computes a model.

| asked for | model | engine |
| --- | --- | --- |
| ``auto`` | no unknown hyperparameter | closed form |
| ``auto`` | one or two hyperparameters | adaptive grid |
| ``auto`` | three or more | importance sampling on a lattice |
| ``importance`` | one or more hyperparameters | importance sampling on a lattice |
| ``grid`` | one or two hyperparameters | textbook grid: equal spacing on the natural scale, then draws in turn |
| ``empirical_bayes`` | groups | an estimate in place of the population's posterior |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from partialpool.errors import IdentificationError
from partialpool.inference.cross_products import CrossProducts, build_cross_products
from partialpool.inference.empirical_bayes import estimate_hyperparameters
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.hyper_posterior import HyperPosterior, integrate_hyperparameters
from partialpool.inputs.design import Design
from partialpool.models.model import Model, build_model
from partialpool.models.priors import Prior
from partialpool.models.slots import Pooling


class Outcome(NamedTuple):
    """What an engine leaves: the model, its marginal likelihood and the hyperparameters' posterior."""

    model: Model
    marginal: GaussianMarginal
    hyper: HyperPosterior


def run_engine(
    design: Design,
    priors: Mapping[str, Prior | str] | None,
    *,
    pooling: Pooling,
    method: str,
    estimator: str | None,
) -> Outcome:
    """Build the model, reduce the rows, and integrate the hyperparameters by the engine that the table names."""
    plug_in = method == "empirical_bayes"
    model = build_model(design, priors, pooling, estimated=plug_in)
    cross = build_cross_products(design.measurements, design.population, model.group)
    check_residual(model, cross)
    marginal = GaussianMarginal(cross, model.coefficient_prior)
    if plug_in:
        hyper = estimate_hyperparameters(model, marginal, estimator or "reml")
    else:
        hyper = integrate_hyperparameters(model.space, marginal, model.moments, method=method)
    return Outcome(model, marginal, hyper)


def check_residual(model: Model, cross: CrossProducts) -> None:
    """Raise ``IdentificationError`` where the columns fit every row exactly, so that sigma = 0 has infinite density."""
    if model.space.residual_sd is None or model.group is None:
        return
    total = cross.residual[-1, -1] + float((cross.projection[:, -1] ** 2).sum())
    if cross.residual[-1, -1] <= 1e-20 * total:
        raise IdentificationError(
            f"the response is the same in every row of each group of {model.group.name} (or fitted exactly there): "
            "sigma would be 0; give standard_error= if these are estimates, or size= and sd= if they are means"
        )
