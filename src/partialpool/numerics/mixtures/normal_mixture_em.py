"""Maximum likelihood of a mixture of normals as the population of groups.

A group's likelihood is f_g = sum over components k of pi_k f_gk, f_gk that under the normal of mean m_k and sd s_k. EM
(Dempster, Laird and Rubin 1977; McLachlan and Peel 2000, section 2.8) runs from several starts at once; Newton steps
take the best of them to the maximum, where EM would creep. The starts are partitions of the nonparametric maximum
likelihood estimate, whose points show where groups are however far apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.mixtures.normal_mixture_newton import Curvature, measure_curvature
from partialpool.numerics.mixtures.normal_mixture_problem import MixtureParameters, MixtureProblem

_MOST_STARTS = 16
# The sd of a start's component that is one point, by that of the narrowest likelihood.
_NARROW_START = 0.1
_EM_STEPS = 25
_POLISHED_STARTS = 3
_MOST_NEWTON_STEPS = 400
# A maximum is reached where the quadratic model promises less than this, or less than this part of the log likelihood.
_ENOUGH = 1e-9
_ENOUGH_OF_ALL = 1e-13
_LONGEST_STEP = 2.0
# Steps without a gain after which the likelihood is as high as its rounding, or the quadrature in it, shows.
_MOST_IDLE_STEPS = 8


@dataclass(frozen=True)
class NormalMixtureFit:
    """``weights``, ``means`` and ``sds`` (component,) in the order of the means, with the ``log_likelihood`` there.

    ``at_floor`` (component,) says which sds were kept from going below the floor: those components are as good as
    single points. ``maxima`` (start, component) are those that the starts were taken to, best first, and
    ``start_log_likelihoods`` the log likelihoods there.
    """

    weights: FloatArray
    means: FloatArray
    sds: FloatArray
    log_likelihood: float
    at_floor: NDArray[np.bool_]
    n_iterations: int
    start_log_likelihoods: tuple[float, ...]
    maxima: MixtureParameters


def estimate_normal_mixture(
    problem: MixtureProblem,
    components: int,
    points: FloatArray,
    weights: FloatArray,
    pilot: MixtureProblem | None = None,
    seed: int = 0,
) -> NormalMixtureFit:
    """Return the best maximum of the likelihood found of a mixture of so many ``components``.

    ``points`` and ``weights`` (point,) are the nonparametric estimate, ``pilot`` a cheaper problem, of
    fewer groups, on which EM runs.

    Raises:
        ComputationError: no start came to a maximum.
    """
    parameters = problem.bound(draw_starts(points, weights, components, problem.width, np.random.default_rng(seed)))
    for _ in range(_EM_STEPS):
        parameters = em_step(pilot or problem, parameters)
    order = np.argsort(-problem.expect(parameters).log_likelihood)[:_POLISHED_STARTS]
    return climb_normal_mixture(problem, parameters.select(order), _EM_STEPS)


def climb_normal_mixture(problem: MixtureProblem, starts: MixtureParameters, n_before: int = 0) -> NormalMixtureFit:
    """Return the best of the maxima near each of ``starts``, which took ``n_before`` steps.

    Raises:
        ComputationError: no start came to a maximum.
    """
    fits = [_climb(problem, starts.select(slice(i, i + 1))) for i in range(len(starts.means))]
    settled = sorted((fit for fit in fits if fit is not None), key=lambda fit: -fit.log_likelihood)
    if not settled:
        raise ComputationError(
            f"the likelihood of a mixture of {starts.means.shape[1]} normals still rises after {_MOST_NEWTON_STEPS} "
            "steps from each start: fit population='normal' or 'nonparametric' instead"
        )
    best = settled[0]
    ranks = np.argsort(best.parameters.means[0], kind="stable")
    weights, means, sds = (array[0, ranks] for array in best.parameters)
    return NormalMixtureFit(
        weights,
        means,
        sds,
        best.log_likelihood,
        sds <= problem.floor * (1.0 + 1e-9),
        n_before + best.n_steps,
        tuple(fit.log_likelihood for fit in settled),
        MixtureParameters(*(np.concatenate(part) for part in zip(*(fit.parameters for fit in settled), strict=True))),
    )


def draw_starts(
    points: FloatArray, weights: FloatArray, components: int, width: float, rng: np.random.Generator
) -> MixtureParameters:
    """Return starts: runs of neighbouring ``points`` (point,) of ``weights`` as components, all partitions where they
    are few, else those at the widest gaps, at equal weights, and random ones."""
    while len(points) < components:  # more components than points: the heaviest point counts as two
        heaviest = int(np.argmax(weights))
        points, weights = np.insert(points, heaviest, points[heaviest]), np.insert(weights, heaviest, 0.0)
        weights[heaviest : heaviest + 2] = 0.5 * weights[heaviest + 1]
    starts = []
    for cuts in _partition(points, weights, components, rng):
        run = np.searchsorted(cuts, np.arange(len(points)), side="right")
        mass = np.bincount(run, weights, minlength=components)
        means = np.bincount(run, weights * points, minlength=components) / mass
        squares = np.bincount(run, weights * (points - means[run]) ** 2, minlength=components) / mass
        starts.append((mass / mass.sum(), means, np.maximum(np.sqrt(squares), _NARROW_START * width)))
    return MixtureParameters(*(np.array(part) for part in zip(*starts, strict=True)))


def _partition(points: FloatArray, weights: FloatArray, components: int, rng: np.random.Generator) -> list[IntArray]:
    """Return partitions, each the places (component - 1,) at which a new run begins."""
    n_places, n_cuts = len(points) - 1, components - 1
    if math.comb(n_places, n_cuts) <= _MOST_STARTS:
        return [np.array(cuts, dtype=np.intp) for cuts in combinations(range(1, n_places + 1), n_cuts)]
    widest = np.sort(np.argsort(-np.diff(points), kind="stable")[:n_cuts] + 1)
    middle = np.cumsum(weights) - 0.5 * weights
    level = np.searchsorted(middle, np.arange(1, components) / components)
    even = np.clip(np.maximum.accumulate(level - np.arange(n_cuts)), 1, n_places - n_cuts + 1) + np.arange(n_cuts)
    drawn = [np.sort(rng.choice(n_places, n_cuts, replace=False)) + 1 for _ in range(_MOST_STARTS - 2)]
    return [np.asarray(cuts, dtype=np.intp) for cuts in (widest, even, *drawn)]


def em_step(problem: MixtureProblem, parameters: MixtureParameters) -> MixtureParameters:
    """Return the parameters after one step of EM; the likelihood of no start falls.

    Given the expectations the likelihood has one peak in each sd, so that an sd below the floor is best at the floor.
    """
    _, shares, moments = problem.expect(parameters)
    expected = shares * problem.group_weights
    counts = np.maximum(expected.sum(axis=-1), 1e-300)
    moved = np.sum(expected * moments[0], axis=-1) / counts
    means = np.clip(parameters.means + parameters.sds * moved, problem.low, problem.high)
    moved = (means - parameters.means) / parameters.sds
    squares = np.sum(expected * (moments[1] - 2.0 * moved[..., None] * moments[0]), axis=-1) / counts + moved**2
    return problem.bound(MixtureParameters(counts, means, parameters.sds * np.sqrt(np.maximum(squares, 0.0))))


class _Climbed(NamedTuple):
    parameters: MixtureParameters
    log_likelihood: float
    n_steps: int


def _climb(problem: MixtureProblem, parameters: MixtureParameters) -> _Climbed | None:
    """Return the maximum near one start by Newton steps, or by EM's where they gain nothing; None if it is not
    reached."""
    best = _Climbed(parameters, -np.inf, 0)
    for step in range(_MOST_NEWTON_STEPS):
        found = problem.expect(parameters)
        value = float(found.log_likelihood[0])
        enough = max(_ENOUGH, _ENOUGH_OF_ALL * abs(value))
        if value > best.log_likelihood + enough:
            best = _Climbed(parameters, value, step)
        elif step - best.n_steps > _MOST_IDLE_STEPS:
            return best
        curvature = measure_curvature(
            found.shares[0], found.moments[:, 0], problem.group_weights, parameters.weights[0], parameters.sds[0]
        )
        move, promise = _newton_move(curvature, parameters, found.shares[0] @ problem.group_weights, problem)
        if promise < enough:
            return _Climbed(parameters, value, step)
        parameters = _advance(problem, parameters, move)
    return None


def _newton_move(
    curvature: Curvature, parameters: MixtureParameters, counts: FloatArray, problem: MixtureProblem
) -> tuple[FloatArray, float]:
    """Return a step (3 component,) of means, log sds and log weights up the likelihood, and the gain that the quadratic
    model promises; means and sds at a bound that they would cross stay."""
    n = parameters.means.shape[-1]
    gradient, hessian = curvature
    held = problem.held(parameters, gradient[: 2 * n])
    free = np.flatnonzero(~np.append(held, np.zeros(n, dtype=bool)))
    # in units of the sd of a group's estimate about a mean, which the curvature shows, all directions are alike
    about = np.sqrt(counts / np.maximum(np.abs(hessian.diagonal()[:n]), 1e-300))
    units = np.concatenate([about, np.ones(2 * n)])[free]
    eigenvalues, axes = np.linalg.eigh(-hessian[np.ix_(free, free)] * units * units[:, None])
    sizes = np.abs(eigenvalues)
    along = axes.T @ (gradient[free] * units)
    # one direction, all log weights together, changes nothing
    usable = sizes > 1e-13 * sizes.max()
    along, sizes = np.where(usable, along, 0.0), np.where(usable, sizes, 1.0)
    step = axes @ (along / sizes)
    move = np.zeros(3 * n)
    move[free] = units * step * min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
    return move, 0.5 * float(along @ (along / sizes))


def _advance(problem: MixtureProblem, parameters: MixtureParameters, move: FloatArray) -> MixtureParameters:
    """Return the best of four lengths of the move, or a step of EM."""
    n = parameters.means.shape[-1]
    weights, means, sds = (part[0] for part in parameters)
    moves = np.array([1.0, 0.5, 0.1, 0.01])[:, None] * move
    logs = np.log(weights) + moves[:, 2 * n :]
    logs -= logs.max(axis=1, keepdims=True)
    moved = problem.bound(
        MixtureParameters(np.exp(logs), means + moves[:, :n], sds * np.exp(moves[:, n : 2 * n])),
    )
    candidates = MixtureParameters(
        *(np.concatenate(pair) for pair in zip(moved, em_step(problem, parameters), strict=True))
    )
    best = int(np.argmax(problem.expect(candidates).log_likelihood))
    return candidates.select(slice(best, best + 1))
