"""The hyperparameters' posterior by way of a surrogate of the log likelihood, where evaluations are dear."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from partialpool.inference.gaussian.elimination.block_conditional import BlockConditional
from partialpool.inference.gaussian.gradient import value_and_gradient
from partialpool.inference.gaussian.interpolated import interpolate_effects, node_key
from partialpool.inference.gaussian.marginal import (
    CoefficientConditional,
    GaussianMarginal,
    Reduction,
    join_conditionals,
)
from partialpool.inference.gaussian.spherical_moments import (
    SphericalMoments,
    find_spherical_moments,
    join_spherical_moments,
)
from partialpool.inference.hyper.hyper_posterior import FineNodes, HyperPosterior
from partialpool.inference.hyper.surrogate_likelihood import (
    certify_surrogate,
    find_guide,
    find_log_scales,
    integrate_on_surrogate,
)
from partialpool.models.space.hyper_gradient import HyperGradient
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.sampling.node_subset import thin_lattice
from partialpool.numerics.surrogates.surrogate_integral import SurrogateIntegral

# Nodes at which effects are conditioned: interpolated between those evaluated (several factors), or each computed, as
# many as take this many seconds within these bounds.
_INTERPOLATED_NODES = 256
_CARRYING = 0.3
_CARRIERS = (64, 1024)
# Numbers of conditional moments kept from evaluations (0.8 GB): beyond, they are computed again when asked for.
_MOST_KEPT = 10**8
# Roughly how much is known of a population sd from each of its groups, of a coefficient's location from all rows.
_PRECISION_A_GROUP = 0.7


def integrate_by_way_of_surrogate(
    space: HyperSpace, marginal: GaussianMarginal, accuracy: float
) -> HyperPosterior | BatchLogDensity | None:
    """Integrate on a surrogate in the chart that the priors are stated in.

    Where it does not become accurate its log density is returned, as a guide to where the posterior is; None where
    there is not even that.
    """
    space = space.in_chart(space.charts[0])
    kept: dict[bytes, tuple[CoefficientConditional, SphericalMoments]] = {}

    def keep(points: HyperPoints, reduction: Reduction, effects: BlockConditional) -> None:
        if reduction.blocks is None:
            return
        conditional = marginal.condition_on(points, reduction)
        moments = find_spherical_moments(marginal.statistics, points, reduction.blocks, effects)
        if (len(kept) + points.n_nodes) * moments.numbers > _MOST_KEPT * points.n_nodes:
            return
        for node in range(points.n_nodes):
            place = np.array([node], dtype=np.intp)
            kept[node_key(points, node)] = (conditional.select(place), moments.select(place))

    def evaluate(points: HyperPoints) -> tuple[FloatArray, HyperGradient]:
        return value_and_gradient(marginal, points, keep)

    found = integrate_on_surrogate(space, evaluate, _guess_variances(space, marginal), accuracy)
    if found is None or not found.converged:
        return find_guide(found)
    posterior = _to_posterior(space, marginal, found)
    prepare_interpolation(marginal, posterior, kept)
    return posterior


def prepare_interpolation(
    marginal: GaussianMarginal,
    posterior: HyperPosterior,
    kept: Mapping[bytes, tuple[CoefficientConditional, SphericalMoments]] | None = None,
) -> None:
    """Let the marginal interpolate what is conditional at the posterior's nodes; ``kept`` is what is known already."""
    if posterior.evaluated is None:
        return
    evaluated = posterior.space.constrain(posterior.evaluated)[0]
    table = interpolate_effects(
        marginal,
        evaluated,
        posterior.evaluated,
        posterior.points,
        posterior.coordinates,
        posterior.weights,
        find_log_scales(posterior.space),
    )
    keys = [node_key(evaluated, node) for node in range(evaluated.n_nodes)]
    if kept is not None and all(key in kept for key in keys):
        known = [kept[key] for key in keys]
        table.hold(
            join_conditionals([conditional for conditional, _ in known]),
            join_spherical_moments(evaluated, [moments for _, moments in known]),
        )
    marginal.tables.append(table)


def _guess_variances(space: HyperSpace, marginal: GaussianMarginal) -> FloatArray:
    """Return rough posterior variances of the coordinates, for the first steps of the climb."""
    variances = np.ones(len(space.scalars))
    statistics = marginal.statistics
    of_effect = np.repeat(statistics.n_groups, [part.stop - part.start for part in statistics.effect_slices])
    variances[: len(of_effect)] = 1.0 / (1.0 + _PRECISION_A_GROUP * of_effect[: len(space.effect_sds)])
    column = len(space.effect_sds)
    for block in space.blocks:
        n_groups = float(of_effect[block.positions[0]])
        variances[column : column + len(block.names)] = 1.0 / (1.0 + _PRECISION_A_GROUP * n_groups)
        column += len(block.names)
    if space.residual_sd is not None:
        variances[column] = 1.0 / (1.0 + statistics.n_rows)
    return variances[space.free]


def _to_posterior(space: HyperSpace, marginal: GaussianMarginal, found: SurrogateIntegral) -> HyperPosterior:
    several = marginal.statistics.remaining is not None
    n_nodes = _INTERPOLATED_NODES if several else int(np.clip(_CARRYING / marginal.seconds, *_CARRIERS))
    nodes = thin_lattice(found.fine_weights, n_nodes)
    engine = certify_surrogate(space, found, ", effects integrated out in closed form")
    return HyperPosterior(
        space,
        found.fine_nodes[nodes.nodes],
        nodes.weights,
        found.log_integral,
        None,
        engine,
        FineNodes(found.fine_nodes, found.fine_weights),
        found.evaluated if several else None,
    )
