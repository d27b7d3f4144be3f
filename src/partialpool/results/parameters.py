"""Parameter names and the quantile columns' names, the same in tables, draws, exports and files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.designs.design import GroupDesign
from partialpool.models.latent_model import LatentModel
from partialpool.models.model import Model
from partialpool.models.own_sigma import has_own_sigma
from partialpool.numerics.arrays import FloatArray


def effect_kinds(model: Model) -> tuple[str, ...]:
    """Return what is reported of each group: deviations 'u' and own values 'theta', without a population the last; and
    where an intercept alone varies and the link is not the identity, 'p', 'rate' or 'mean' on the response's scale;
    'sigma' where groups have their own."""
    if not isinstance(model, LatentModel):
        return ("theta",) if model.pooling == "none" else ("u", "theta")
    kinds = ("theta",) if model.pooling == "none" or model.replaces_intercept else ("u", "theta")
    if has_own_sigma(model):
        return (*kinds, "sigma")
    if model.family.link == "identity" or any(group.names != ("Intercept",) for group in model.groups):
        return kinds
    return (*kinds, model.family.response_name) if len(model.groups) == 1 else kinds


def effect_names(kind: str, group: GroupDesign) -> list[list[str]]:
    """Return 'u[g=level]' or 'u[g=level, x]' for each effect, then each level; ``kind`` is 'u' or 'theta'."""
    if group.names == ("Intercept",):
        return [[f"{kind}[{group.name}={label}]" for label in group.labels]]
    return [[f"{kind}[{group.name}={label}, {name}]" for label in group.labels] for name in group.names]


def quantile_columns(probabilities: Sequence[float]) -> list[str]:
    """Return 'q5', 'q50', 'q97.5' for probabilities .05, .5, .975."""
    return [f"q{100 * probability:.10g}" for probability in probabilities]


def check_quantiles(probabilities: Sequence[float]) -> FloatArray:
    """Return the probabilities as an array; raise ``DataError`` unless each lies strictly between 0 and 1."""
    try:
        values = np.asarray(probabilities, dtype=float)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if values.ndim != 1 or not np.all((values > 0.0) & (values < 1.0)):
        raise DataError(
            f"quantiles={probabilities!r}: give probabilities strictly between 0 and 1, such as (0.05, 0.95)"
        )
    return values
