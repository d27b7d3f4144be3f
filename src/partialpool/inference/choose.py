"""Which engine computes a model.

| asked for | model | engine |
| --- | --- | --- |
| ``auto`` | no unknown hyperparameter | closed form |
| ``auto`` | one or two hyperparameters, none a bounded coefficient | adaptive grid |
| ``auto`` | three or more, or a bounded coefficient | importance sampling on a lattice |
| ``auto`` | any, where the evaluations that this takes would last seconds | the same on a surrogate of the likelihood |
| ``surrogate`` | one or more hyperparameters | a surrogate, whatever an evaluation costs |
| ``importance`` | one or more hyperparameters | importance sampling on a lattice |
| ``grid`` | one hyperparameter | textbook grid: equal spacing on the natural scale, then draws in turn |
| ``empirical_bayes`` | groups | an estimate in place of the population's posterior |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from partialpool.errors import DataError, IdentificationError, NotYetError, PriorWarning, warn_user
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inference.gaussian.restricted_likelihood import estimate_hyperparameters
from partialpool.inference.gaussian.route_text import describe_elimination
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.inference.hyper.integrate import DEFAULT_ACCURACY, integrate_hyperparameters
from partialpool.inputs.columns.places import join_words
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.observations import Measurements
from partialpool.models.model import Model, build_model
from partialpool.models.priors import Flat, Prior, drop_given
from partialpool.models.propriety.exact_fit import find_unbounded_fit
from partialpool.models.slots import Pooling, get_scalar_prior
from partialpool.numerics.sampling.t_mixture import MOST_COORDINATES
from partialpool.reductions.cross_products import CrossProducts
from partialpool.reductions.statistics import Statistics, build_statistics


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
    accuracy: float | None = None,
    means: Mapping[str, float] | None = None,
) -> Outcome:
    """Build the model, reduce the rows, and integrate the hyperparameters by the engine that the table names.

    ``means`` are the columns' means that priors may be stated at, by default those over the design's own rows.
    """
    plug_in = method == "empirical_bayes"
    model = build_model(design, priors, pooling, estimated=plug_in, means=means)
    ignored = drop_given(priors)
    if plug_in and ignored:
        warn_user(
            f"priors: method='empirical_bayes' estimates the population and uses no priors: those given "
            f"({', '.join(ignored)}) are ignored, and the answer does not depend on them",
            PriorWarning,
        )
    if not plug_in:
        check_dimension(model)
    statistics = build_statistics(design.measurements, design.population, model.groups)
    check_own_designs(model, statistics.cross)
    check_residual(model, statistics, estimated=plug_in)
    marginal = GaussianMarginal(statistics, model.coefficient_prior)
    if plug_in:
        hyper = estimate_hyperparameters(model, marginal, estimator or "reml")
    else:
        hyper = integrate_hyperparameters(model.space, marginal, model.moments, method, accuracy or DEFAULT_ACCURACY)
    text = describe_elimination(marginal, tuple(group.name for group in model.groups))
    return Outcome(model, marginal, replace(hyper, engine=replace(hyper.engine, elimination=text)))


# Columns of unit length are dependent where some combination of them is shorter than this.
_DEPENDENT = 1e-9


def check_own_designs(model: Model, cross: CrossProducts) -> None:
    """Raise ``IdentificationError`` where, without pooling, a group's rows do not determine what has flat priors."""
    if model.pooling != "none" or not model.groups:
        return
    group = model.groups[0]
    flat = [k for k, name in enumerate(group.names) if isinstance(model.priors[name], Flat)]
    if not flat:
        return
    designs = np.moveaxis(cross.class_root, -1, 0)
    if "Intercept" in group.names and group.names.index("Intercept") not in flat:
        designs = designs @ cross.scaling.effects  # undo the centring, which an intercept of known spread cannot absorb
    designs = designs[:, :, flat]
    lengths = np.linalg.norm(designs, axis=1, keepdims=True)
    _, sizes, combinations = np.linalg.svd(designs / np.where(lengths > 0.0, lengths, 1.0), full_matrices=False)
    lost = sizes < _DEPENDENT
    groups = np.flatnonzero(np.any(lost, axis=1)[cross.class_of])
    if not len(groups):
        _check_mixed_priors(group, cross, flat)
        return
    mixed = np.abs(combinations[lost]).max(axis=0) > 1e-6
    names = [group.names[k] for k, taken in zip(flat, mixed, strict=True) if taken]
    shown = ", ".join(repr(group.labels[j]) for j in groups[:5])
    raise IdentificationError(
        f"pooling='none': {len(groups)} of {group.n_levels} groups of {group.name} (such as {shown}) have rows that "
        f"cannot tell {', '.join(names)} apart, whose priors are flat: give some of them Normal priors, drop columns, "
        "or pool partially"
    )


def _check_mixed_priors(group: GroupDesign, cross: CrossProducts, flat: list[int]) -> None:
    """Refuse groups that only a Normal prior on one coefficient lets determine another, flat one: beside the width that
    stands for flat, the Normal prior's digits may be lost, and the answer would be wrong without a sign of it."""
    if len(flat) == len(group.names):
        return
    short = np.any(np.einsum("iic->ic", cross.class_root) == 0.0, axis=0)
    groups = np.flatnonzero(short[cross.class_of])
    if not len(groups):
        return
    names = ", ".join(group.names[k] for k in flat)
    shown = ", ".join(repr(group.labels[j]) for j in groups[:5])
    raise IdentificationError(
        f"pooling='none': {len(groups)} of {group.n_levels} groups of {group.name} (such as {shown}) have fewer "
        f"independent rows than coefficients, while flat priors (on {names}) stand beside Normal ones: give all "
        "of them Normal priors, or pool partially"
    )


def check_dimension(model: Model) -> None:
    """Raise ``NotYetError`` where the hyperparameters are more than the lattices of all routes have room for."""
    dimension = model.space.dimension
    if dimension <= MOST_COORDINATES:
        return
    factors = " and ".join(group.name for group in model.groups)
    within = f" for the {model.space.n_effects} effects of {factors}" if factors else ""
    remedy = "priors for the coefficients that are Normal or Flat"
    if model.space.blocks:
        remedy = "no correlations ((f || g) instead of (f | g)), or a factor of fewer levels"
    elif model.groups:
        remedy = "fewer effects that vary by group, such as a factor of fewer levels"
    raise NotYetError(
        f"the model has {dimension} hyperparameters{within}: up to {MOST_COORDINATES} are computed; use {remedy}"
    )


def check_residual(model: Model, statistics: Statistics, *, estimated: bool) -> None:
    """Raise ``IdentificationError`` where the columns fit every row exactly, but would not fit other rows: sigma = 0
    then has infinite mass. Where they fit any response that many rows could show, the prior of sigma decides, unless it
    is ``estimated``.

    Raises ``DataError`` where the response is so small that this cannot be told.
    """
    unknown = model.space.residual_sd
    if unknown is None or unknown.given is not None:
        return
    cross = statistics.cross
    left, total = cross.residual[-1, -1], _total_squares(model.design.measurements)
    if total < 1e-280:
        raise DataError("the response is too small for its squares to be told from 0: change its units")
    # what the groups leave of the residual of least squares, and what that rounds to in the response's own units
    between = float((cross.projection[:, -1] ** 2).sum())
    is_left = left > 1e-20 * (left + between) and left > 1e-28 * total
    if is_left and len(model.groups) < 2:
        return
    exponents = {}
    sigma = -1.0 if estimated else get_scalar_prior(model.priors, "sigma").zero_exponent
    if model.pooling == "partial" and not estimated:
        names = [name for group in model.groups for name in group.sd_names]
        exponents = {name: get_scalar_prior(model.priors, name).zero_exponent for name in names}
    if find_unbounded_fit(model.design, model.groups, sigma, exponents) is None:
        return
    if is_left:
        raise IdentificationError(
            f"the effects of {join_words([group.name for group in model.groups])} fit the response exactly in "
            "every row: sigma would be 0; give standard_error= if these are estimates, or drop a group term"
        )
    if not model.groups:
        raise IdentificationError(
            "the population columns fit the response exactly in every row: sigma would be 0; check that none of them "
            "is computed from the response, or give standard_error= if the noise is known"
        )
    raise IdentificationError(
        f"the response is the same in every row of each group of {model.groups[statistics.leading].name} (or fitted "
        "exactly there): sigma would be 0; give standard_error= if these are estimates, or size= and sd= if they are "
        "means"
    )


def _total_squares(measurements: Measurements) -> float:
    """Return the weighted sum of squares of the response and its offset, about zero."""
    squares = measurements.response**2
    if measurements.offset is not None:
        squares = squares + measurements.offset**2
    for weights in (measurements.precision, measurements.counts):
        squares = squares if weights is None else squares * weights
    return float(squares.sum())
