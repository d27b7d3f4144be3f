"""Variance components of a latent model on the linear predictor's scale.

Where the link is the distribution of a latent variable (logit, probit, cloglog) that variable's variance is the
residual's, and proportions are intraclass correlations of the latent variable (Nakagawa, Johnson and Schielzeth 2017,
J. Royal Society Interface 14:20170213, table 1); elsewhere there are no proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.models.latent_model import LatentModel
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.derived import summarise_derived
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# What stands for an infinite variance at a node while quantiles are taken.
_LARGEST = 1e150
_LATENT_VARIANCE = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


def variance_may_be_infinite(model: LatentModel) -> bool:
    """Say whether the population has no variance at hyperparameters that the posterior reaches.

    That is a Student-t one with two degrees of freedom or fewer, known or not excluded."""
    if model.population.name != "student_t":
        return False
    known = getattr(model.population, "nu", None)
    return known is None or known <= 2.0


def tabulate_latent_variances(posterior: Fitted, *, quantiles: Sequence[float]) -> Table:
    """Return mean, sd and quantiles of each effect's variance, and of its proportion where there is one."""
    model = posterior.latent_model
    probabilities = check_quantiles(quantiles)
    intercepts = all(group.names == ("Intercept",) for group in model.groups)
    residual = _LATENT_VARIANCE.get(model.family.link) if model.family.response_name == "p" and intercepts else None
    n_effects = sum(len(group.names) for group in model.groups)

    def derive(points: HyperPoints) -> FloatArray:
        own = np.concatenate([posterior.population_variances(points, k) for k in range(len(model.groups))])
        own = np.asarray(np.minimum(own, _LARGEST))
        if residual is None:
            return own
        total = own.sum(axis=0) + residual
        return np.concatenate([own, own / total])

    n_lines = n_effects * (1 if residual is None else 2)
    finite = 0 if variance_may_be_infinite(model) else 2
    with np.errstate(invalid="ignore"):  # an infinite variance at a node
        summary = summarise_derived(posterior, derive, [finite] * n_lines, probabilities)
    heads = quantile_columns(quantiles)
    columns = {"mean": summary.mean[:n_effects], "sd": summary.sd[:n_effects]}
    quantiles_shown = np.where(summary.quantiles >= 1e-3 * _LARGEST, np.inf, summary.quantiles)
    columns |= {head: quantiles_shown[:n_effects, k] for k, head in enumerate(heads)}
    if residual is not None:
        columns |= {"proportion": summary.mean[n_effects:], "proportion_sd": summary.sd[n_effects:]}
        columns |= {f"proportion_{head}": summary.quantiles[n_effects:, k] for k, head in enumerate(heads)}
    components = [group.name for group in model.groups for _ in group.names]
    if intercepts:
        return Table(("component",), (components,), columns)
    return Table(("component", "coefficient"), (components, [n for g in model.groups for n in g.names]), columns)
