"""Maximum likelihood of a mixture of normals as the population of groups whose likelihoods are known on a grid.

A group's likelihood is f_g = sum over points j of L_gj q_j sum over components k of pi_k phi(t_j; m_k, s_k), q the
trapezoid weights. EM (Dempster, Laird and Rubin 1977; McLachlan and Peel 2000, section 2.8) runs from several starts at
once; Newton steps take the best of them to the maximum, where EM would creep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.normal_mixture_newton import Curvature, measure_curvature
from partialpool.numerics.normal_mixture_problem import (
    LEAST_LIKELIHOOD,
    MixtureParameters,
    MixtureProblem,
    pose_mixture,
)

_EM_STEPS = 40
_POLISHED_STARTS = 3
_MOST_NEWTON_STEPS = 400
# A maximum is reached where the quadratic model promises less than this, or less than this part of the log likelihood.
_ENOUGH = 1e-9
_ENOUGH_OF_ALL = 1e-13
_LONGEST_STEP = 2.0


@dataclass(frozen=True)
class NormalMixtureFit:
    """``weights``, ``means`` and ``sds`` (component,) in the order of the means, with the ``log_likelihood`` there.

    ``at_floor`` (component,) says which sds were kept from going below the spacing of the points: those components are
    as good as single points, and a finer grid would make them narrower. ``start_log_likelihoods`` are those of the
    starts that were taken to their maximum, best first.
    """

    weights: FloatArray
    means: FloatArray
    sds: FloatArray
    log_likelihood: float
    at_floor: NDArray[np.bool_]
    n_iterations: int
    start_log_likelihoods: tuple[float, ...]


def estimate_normal_mixture(
    points: FloatArray,
    log_likelihoods: FloatArray,
    group_weights: FloatArray | None,
    components: int,
    seed: int = 0,
) -> NormalMixtureFit:
    """Return the mixture of so many ``components`` from log likelihoods (group, point) on increasing ``points``.

    Raises what ``pose_mixture`` and ``fit_normal_mixture`` raise.
    """
    problem = pose_mixture(log_likelihoods, points, group_weights)
    return fit_normal_mixture(problem, components, np.random.default_rng(seed))


def fit_normal_mixture(
    problem: MixtureProblem, components: int, rng: np.random.Generator, n_starts: int = 8
) -> NormalMixtureFit:
    """Return the best maximum of the likelihood found from ``n_starts`` starts, of which ``rng`` draws all but one.

    Raises:
        ComputationError: no start came to a maximum.
    """
    parameters = draw_starts(problem, components, rng, n_starts)
    for _ in range(_EM_STEPS):
        parameters = em_step(problem, parameters)
    order = np.argsort(-problem.log_likelihood(parameters))[:_POLISHED_STARTS]
    fits = [_climb(problem, parameters.select(order[i : i + 1])) for i in range(len(order))]
    settled = [fit for fit in fits if fit is not None]
    if not settled:
        raise ComputationError(
            f"the mixture of {components} normals did not come to a maximum of the likelihood in {_MOST_NEWTON_STEPS} "
            "steps from any start: use fewer components"
        )
    settled.sort(key=lambda fit: -fit.log_likelihood)
    best = settled[0]
    ranks = np.argsort(best.parameters.means[0], kind="stable")
    weights, means, sds = (array[0, ranks] for array in best.parameters)
    return NormalMixtureFit(
        weights,
        means,
        sds,
        best.log_likelihood,
        sds <= problem.floor * (1.0 + 1e-9),
        _EM_STEPS + best.n_steps,
        tuple(fit.log_likelihood for fit in settled),
    )


def draw_starts(problem: MixtureProblem, components: int, rng: np.random.Generator, n_starts: int) -> MixtureParameters:
    """Return starts: components at the quantiles of what a few steps of EM make of a flat density, and random ones."""
    flat = problem.steps / problem.steps.sum()
    total = problem.group_weights.sum()
    for _ in range(5):
        flat = flat * (problem.likelihoods @ (problem.group_weights / (flat @ problem.likelihoods))) / total
    flat = flat / flat.sum()
    centre = float(flat @ problem.points)
    sd = max(math.sqrt(float(flat @ (problem.points - centre) ** 2)), problem.floor)
    levels = np.concatenate([[(np.arange(components) + 0.5) / components], rng.random((n_starts - 1, components))])
    means = np.interp(levels, np.cumsum(flat) - 0.5 * flat, problem.points)
    sds = np.full_like(means, sd / math.sqrt(components))
    sds[1:] = sd * rng.uniform(0.3, 1.0, sds[1:].shape)
    return MixtureParameters(np.full_like(means, 1.0 / components), means, np.maximum(sds, problem.floor))


def em_step(problem: MixtureProblem, parameters: MixtureParameters) -> MixtureParameters:
    """Return the parameters after one step of EM; the likelihood of no start falls.

    Given the expectations the likelihood has one peak in each sd, so that an sd below the floor is best at the floor.
    """
    masses = problem.masses(parameters)
    shares = (problem.group_weights / problem.densities(masses)) @ problem.likelihoods.T
    expected = masses * shares[:, None, :]
    counts = np.maximum(expected.sum(axis=-1), LEAST_LIKELIHOOD)
    means = (expected @ problem.points) / counts
    squares = (problem.points - means[..., None]) ** 2
    sds = np.sqrt((expected * squares).sum(axis=-1) / counts)
    return MixtureParameters(
        counts / counts.sum(axis=-1, keepdims=True),
        np.clip(means, problem.points[0], problem.points[-1]),
        np.maximum(sds, problem.floor),
    )


class _Climbed(NamedTuple):
    parameters: MixtureParameters
    log_likelihood: float
    n_steps: int


def _climb(problem: MixtureProblem, parameters: MixtureParameters) -> _Climbed | None:
    """Return the maximum near one start by Newton steps, or by EM's where they gain nothing; None if it is not
    reached."""
    value = float(problem.log_likelihood(parameters)[0])
    for step in range(_MOST_NEWTON_STEPS):
        curvature = measure_curvature(
            problem.likelihoods, problem.points, problem.group_weights, problem.masses(parameters)[0], *_row(parameters)
        )
        move, promise = _newton_move(curvature, parameters, problem.floor)
        if promise < max(_ENOUGH, _ENOUGH_OF_ALL * abs(value)):
            return _Climbed(parameters, value, step)
        parameters, value = _advance(problem, parameters, value, move)
    return None


def _row(parameters: MixtureParameters) -> tuple[FloatArray, FloatArray, FloatArray]:
    return parameters.weights[0], parameters.means[0], parameters.sds[0]


def _newton_move(curvature: Curvature, parameters: MixtureParameters, floor: float) -> tuple[FloatArray, float]:
    """Return a step (3 component,) of means, log sds and log weights up the likelihood, and the gain that the quadratic
    model promises; sds at the floor that would go below stay."""
    n = parameters.means.shape[-1]
    gradient, hessian = curvature
    held = np.zeros(3 * n, dtype=bool)
    held[n : 2 * n] = (parameters.sds[0] <= floor * (1.0 + 1e-12)) & (gradient[n : 2 * n] <= 0.0)
    free = np.flatnonzero(~held)
    eigenvalues, axes = np.linalg.eigh(-hessian[np.ix_(free, free)])
    sizes = np.abs(eigenvalues)
    along = axes.T @ gradient[free]
    # one direction, all log weights together, changes nothing
    usable = sizes > 1e-13 * sizes.max()
    along, sizes = np.where(usable, along, 0.0), np.where(usable, sizes, 1.0)
    move = np.zeros(3 * n)
    move[free] = axes @ (along / sizes)
    units = np.concatenate([parameters.sds[0], np.ones(2 * n)])
    longest = float(np.abs(move / units).max())
    return move * min(1.0, _LONGEST_STEP / max(longest, 1e-300)), 0.5 * float(along @ (along / sizes))


def _advance(
    problem: MixtureProblem, parameters: MixtureParameters, value: float, move: FloatArray
) -> tuple[MixtureParameters, float]:
    """Return the best of four lengths of the move, or a step of EM."""
    n = parameters.means.shape[-1]
    weights, means, sds = _row(parameters)
    moves = np.array([1.0, 0.5, 0.1, 0.01])[:, None] * move
    logs = np.log(weights) + moves[:, 2 * n :]
    logs -= logs.max(axis=1, keepdims=True)
    new_weights = np.maximum(np.exp(logs), 1e-100)
    moved = MixtureParameters(
        new_weights / new_weights.sum(axis=1, keepdims=True),
        np.clip(means + moves[:, :n], problem.points[0], problem.points[-1]),
        np.maximum(sds * np.exp(moves[:, n : 2 * n]), problem.floor),
    )
    candidates = MixtureParameters(
        *(np.concatenate(pair) for pair in zip(moved, em_step(problem, parameters), strict=True))
    )
    values = problem.log_likelihood(candidates)
    best = int(np.argmax(values))
    return candidates.select(slice(best, best + 1)), float(values[best])
