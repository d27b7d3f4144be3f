"""The likelihood of whole groups as ArviZ reads it, their effects integrated out.

Leaving a row out changes its group's effect, on which the row's own likelihood is conditional: where groups have few
rows importance weights fail. A group's likelihood given the population is conditional on nothing of its own.

Source: Merkle, Furr and Rabe-Hesketh (2019), Psychometrika 84:802-829.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from partialpool.errors import ComputationError, DataError
from partialpool.inference.group_likelihood import group_log_likelihood
from partialpool.models.latent_model import LatentModel
from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.several.nesting import Crossed, Nesting, find_nesting
from partialpool.results.arviz.arviz_names import level_coordinate
from partialpool.results.arviz.arviz_rows import SAMPLE, deal, response_name, sample_coordinates

if TYPE_CHECKING:
    import xarray as xr

    from partialpool.inference.contract import LatentMarginal
    from partialpool.inputs.designs.design import GroupDesign
    from partialpool.results.draws import PosteriorDraws
    from partialpool.results.fitted import Fitted

# Group-draw products of log densities (400 MB).
_MOST_GROUP_DRAWS = 5 * 10**7

#: What ``log_likelihood`` has one value of.
LogLikelihood = Literal["rows", "group"]


def check_log_likelihood(log_likelihood: str, factor: str | None) -> None:
    """Raise ``DataError`` where the arguments are no choice."""
    if log_likelihood not in ("rows", "group"):
        raise DataError(f"log_likelihood={log_likelihood!r} is not a choice: choose 'rows' or 'group'")
    if factor is not None and log_likelihood == "rows":
        raise DataError(f"factor={factor!r} says whose groups, but log_likelihood='rows': say log_likelihood='group'")


def collect_group_log_likelihood(posterior: Fitted, drawn: PosteriorDraws, factor: str | None) -> xr.Dataset | str:
    """Return the log likelihood of each group given each draw of the population (chain, draw, group), or why there is
    none.

    Effects of the factor, and of those nested within it, are integrated out; those of factors above it are the draw's.
    Without ``factor`` it is the outermost.
    """
    import xarray as xr

    nesting = _choose_factor(posterior, factor)
    if isinstance(nesting, str):
        return nesting
    group, n_draws = posterior.model.groups[nesting.within[0]], drawn.points.n_nodes
    if group.n_levels * n_draws > _MOST_GROUP_DRAWS:
        return (
            f"{group.n_levels} groups x {n_draws} draws are more than {_MOST_GROUP_DRAWS:.0e}: ask for fewer draws, "
            f"to_arviz(n) with n up to {_MOST_GROUP_DRAWS // group.n_levels}"
        )
    values = group_values(posterior, drawn, nesting)
    name, attributes = response_name(posterior.model.design)
    dimension, levels = level_coordinate(group, (*SAMPLE, name))
    coordinates = sample_coordinates(n_draws) | {dimension: levels}
    attributes = {**attributes, "of": f"groups of {group.name}, their effects integrated out"}
    return xr.Dataset({name: ((*SAMPLE, dimension), deal(values.T), attributes)}, coords=coordinates)


def group_values(posterior: Fitted, drawn: PosteriorDraws, nesting: Nesting) -> FloatArray:
    """Return the log likelihood of each group of a factor given each draw, (group, draw)."""
    model = posterior.model
    if not isinstance(model, LatentModel):
        measured, population = model.design.measurements, model.design.population
        return group_log_likelihood(
            measured, population, model.groups, nesting, drawn.points, drawn.centres, drawn.effects
        )
    group, above = model.groups[nesting.within[0]], None
    for k in nesting.above:
        parent = np.empty(group.n_levels, dtype=np.intp)
        parent[group.codes] = model.groups[k].codes
        effects = drawn.effects[k][0][:, parent].T
        above = effects if above is None else above + effects
    marginal = _refine(posterior.latent, drawn)
    values = marginal.group_log_likelihood(drawn.points, nesting.within[0], above)
    counts = model.design.measurements.counts
    constants = model.family.log_constant(model.response)
    constants = constants if counts is None else constants * counts
    return np.asarray(values + np.bincount(group.codes, weights=constants, minlength=group.n_levels)[:, None])


def _refine(marginal: LatentMarginal, drawn: PosteriorDraws) -> LatentMarginal:
    """Return the marginal with its quadrature fine enough at the outermost draws too, which leaving groups out weighs
    up: the fit chose it for the posterior's bulk. Where none is fine enough there it is the fit's own."""
    values = drawn.hyperparameters
    outer = np.unique([*values.argmin(axis=1), *values.argmax(axis=1)]).astype(np.intp)
    try:
        return marginal.refine(drawn.points.select(outer))
    except ComputationError:
        return marginal


def _choose_factor(posterior: Fitted, factor: str | None) -> Nesting | str:
    """Return what lies within and above the factor, or why its groups have no likelihood of their own."""
    model = posterior.model
    if not model.groups:
        return "this fit has no groups of its own (complete pooling)"
    if model.pooling == "none":
        return "without pooling groups come from no population whose effects could be integrated out"
    if factor is not None:
        found = find_nesting(model.groups, posterior.check_factor(factor))
    else:
        found = find_nesting(model.groups, _outermost(model.groups))
    if isinstance(found, Crossed):
        return (
            f"{found.one} and {found.other} are crossed, so that groups of either share the effects of the other and "
            "are not independent given the population"
        )
    return found


def _outermost(groups: tuple[GroupDesign, ...]) -> int:
    return min(range(len(groups)), key=lambda k: groups[k].n_levels)
