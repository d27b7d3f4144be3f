"""The hyperparameters' posterior by importance sampling on a lattice, the likelihood evaluated at every node."""

from __future__ import annotations

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError, warn_user
from partialpool.inference.engine import Engine
from partialpool.inference.hyper_posterior import HyperMarginal, HyperPosterior, gather_weightless, log_posterior
from partialpool.models.hyperspace import Chart, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity
from partialpool.numerics.importance import WeightedNodes, integrate_by_importance
from partialpool.numerics.mode import find_mode

# Where evaluations are cheap the nodes are worth up to twice the independent draws that the accuracy asks for, because
# an sd far out in its tail is then still right to 1 %.
_MOST_EXTRA = 2.0
_CHEAP_WORK = 9e5
# Above 0.7 Pareto-k says that importance weights do not give a reliable answer, below 0.5 that their variance is finite
# (Vehtari et al. 2024, section 3); between them another chart is tried before settling.
_MAX_PARETO_K = 0.7
_GOOD_PARETO_K = 0.5
_LEAST_EFFECTIVE = 400.0
# Half the difference of the two half lattices' means, in sds, that goes without a warning.
_MAX_HALF_DIFFERENCE = 0.02


def integrate_exactly(
    space: HyperSpace, marginal: HyperMarginal, accuracy: float, guide: BatchLogDensity | None = None
) -> HyperPosterior:
    """Sample in the chart that the priors are stated in; where its weights are not reliable, in the other, then in both
    with larger pilots. With a ``guide``, a cheap density near the posterior's in the first chart, the proposal adapted
    to that is tried before all. Raises ``ComputationError`` when none is reliable."""
    attempts: list[HyperPosterior] = []
    failure = None
    target = _effective_target(marginal, accuracy)
    plain: list[tuple[Chart, int, BatchLogDensity | None]] = [
        (chart, pilots, None) for pilots in (1, 4) for chart in space.charts
    ]
    guided = [] if guide is None else [(space.charts[0], 1, guide)]
    for chart, pilots, leader in [*guided, *plain]:
        try:
            attempts.append(_sample_in_chart(space.in_chart(chart), marginal, target, pilots, leader))
        except ComputationError as error:
            failure = error
            continue
        evidence = attempts[-1].engine.evidence
        if evidence["Pareto-k"] <= _GOOD_PARETO_K and evidence["effective draws"] >= target:
            return attempts[-1]
    if not attempts and failure is not None:
        raise failure
    best = min(attempts, key=lambda attempt: attempt.engine.evidence["Pareto-k"])
    _check_reliable(best)
    _warn_if_short(best, target)
    return best


def _sample_in_chart(
    space: HyperSpace, marginal: HyperMarginal, target: float, pilots: int, guide: BatchLogDensity | None
) -> HyperPosterior:
    log_density = log_posterior(space, marginal)
    mode = find_mode(log_density if guide is None else guide, space.starts())
    sample = integrate_by_importance(log_density, mode, target, pilots=pilots, guide=guide)
    return _from_importance(space, sample, 0 if guide is not None else mode.n_evaluations)


def _effective_target(marginal: HyperMarginal, accuracy: float) -> float:
    """Return the effective size to reach, from the accuracy and the array elements that one evaluation touches."""
    enough = accuracy**-2.0
    return float(np.clip(_CHEAP_WORK / (20.0 + marginal.work), enough, _MOST_EXTRA * enough))


def _check_reliable(posterior: HyperPosterior) -> None:
    evidence = posterior.engine.evidence
    # asked this way round, evidence that is NaN is refused as well
    if not (evidence["Pareto-k"] <= _MAX_PARETO_K and evidence["effective draws"] >= _LEAST_EFFECTIVE):
        raise ComputationError(
            f"importance sampling over the {posterior.space.dimension} hyperparameters is not reliable (Pareto-k "
            f"{evidence['Pareto-k']:.2f}, effective draws {evidence['effective draws']:.0f} of {evidence['nodes']:.0f} "
            "nodes): give more informative priors for the scales, or a simpler group term ((x || g) instead of (x | g))"
        )


def _warn_if_short(posterior: HyperPosterior, target: float) -> None:
    """Warn where the integration is reliable but not as accurate as it is meant to be."""
    evidence = posterior.engine.evidence
    difference = evidence["half-lattice difference (sd)"]
    if evidence["effective draws"] < target or difference > _MAX_HALF_DIFFERENCE:
        warn_user(
            f"the hyperparameters were integrated with {evidence['effective draws']:.0f} effective draws ({target:.0f} "
            f"are meant), Pareto-k {evidence['Pareto-k']:.2f}: means may be off by about {max(difference, 0.01):.2f} "
            "posterior sds, no more; more informative priors for the scales would sharpen them",
            AccuracyWarning,
        )


def _from_importance(space: HyperSpace, sample: WeightedNodes, n_before: int) -> HyperPosterior:
    evidence = {
        "nodes": float(len(sample.weights)),
        "effective draws": sample.effective_size,
        "Pareto-k": sample.pareto_k,
        "half-lattice difference (sd)": _half_difference(sample),
        "evaluations": float(n_before + sample.n_evaluations),
    }
    reason = f"{space.dimension} hyperparameters, effects integrated out in closed form"
    engine = Engine("importance sampling on a lattice", reason, evidence, "converged", sample.effective_size)
    nodes = gather_weightless(sample.nodes, sample.weights)
    return HyperPosterior(space, nodes, sample.weights, sample.log_integral, None, engine)


def _half_difference(sample: WeightedNodes) -> float:
    """Half the largest difference, in posterior sds, between the means that the two half lattices give."""
    halves = [slice(0, None, 2), slice(1, None, 2)]
    if not all(sample.weights[half].sum() > 0.0 for half in halves):
        return np.inf
    means = [np.average(sample.nodes[half], axis=0, weights=sample.weights[half]) for half in halves]
    centre = sample.weights @ sample.nodes
    sd = np.sqrt(sample.weights @ (sample.nodes - centre) ** 2)
    return float(np.max(np.abs(means[0] - means[1]) / sd) / 2.0)
