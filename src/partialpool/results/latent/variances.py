"""Variance components of a latent model on the linear predictor's scale.

Where the link is the distribution of a latent variable (logit, probit, cloglog) that variable's variance is the
residual's, and proportions are intraclass correlations of the latent variable (Nakagawa, Johnson and Schielzeth 2017,
J. Royal Society Interface 14:20170213, table 1); elsewhere there are no proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from partialpool.errors import DataError
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray
from partialpool.results.derived import summarise_derived
from partialpool.results.parameters import check_quantiles, quantile_columns
from partialpool.results.table import Table

if TYPE_CHECKING:
    from partialpool.results.latent.posterior import LatentPosterior

_LATENT_VARIANCE = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


def tabulate_latent_variances(posterior: LatentPosterior, *, quantiles: Sequence[float]) -> Table:
    """Return mean, sd and quantiles of each effect's variance, and of its proportion where there is one."""
    model = posterior.model
    if model.pooling != "partial" or not model.groups:
        raise DataError(
            "variances: this fit has no population that groups vary in (no groups, or pooling='complete' or 'none'): "
            "fit with pooling='partial'"
        )
    probabilities = check_quantiles(quantiles)
    intercepts = all(group.names == ("Intercept",) for group in model.groups)
    residual = _LATENT_VARIANCE.get(model.family.link) if model.family.response_name == "p" and intercepts else None
    n_effects = sum(len(group.names) for group in model.groups)

    def derive(points: HyperPoints) -> FloatArray:
        own = np.concatenate([posterior.population_variances(points, k) for k in range(len(model.groups))])
        if residual is None:
            return own
        total = own.sum(axis=0) + residual
        return np.concatenate([own, own / total])

    n_lines = n_effects * (1 if residual is None else 2)
    summary = summarise_derived(posterior, derive, [2] * n_lines, probabilities)
    heads = quantile_columns(quantiles)
    columns = {"mean": summary.mean[:n_effects], "sd": summary.sd[:n_effects]}
    columns |= {head: summary.quantiles[:n_effects, k] for k, head in enumerate(heads)}
    if residual is not None:
        columns |= {"proportion": summary.mean[n_effects:], "proportion_sd": summary.sd[n_effects:]}
        columns |= {f"proportion_{head}": summary.quantiles[n_effects:, k] for k, head in enumerate(heads)}
    components = [group.name for group in model.groups for _ in group.names]
    if intercepts:
        return Table(("component",), (components,), columns)
    return Table(("component", "coefficient"), (components, [n for g in model.groups for n in g.names]), columns)
