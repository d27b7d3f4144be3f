"""A second integration of a fit's hyperparameters: other code and other random numbers over the same posterior density.

What it is called with is the package's: the likelihood, the priors, the coordinates with their Jacobians, the starts,
and the values and weighted quantiles that are read off. Faults in these it does not see; the long sampler does. What is
its own is where points are put, and even that is the package's method once more where a fit took the route of a
mixture of t densities; other fits took none of it: no mode, no curvature, no lattice, no transport map.

Walkers of a differential-evolution sampler explore the posterior from starts spread far wider than it; a mixture of
multivariate t densities, fitted to where they went by expectation maximisation, then proposes scrambled Sobol points
whose importance weights carry the quantiles.

Source: ter Braak (2006), Statistics and Computing 16:239-249 (differential evolution); Owen (1998), J. Complexity
14:466-489 (scrambling).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

FloatArray = NDArray[np.float64]
LogDensity = Callable[[FloatArray], FloatArray]

_DEGREES = 5.0
_SPREAD = 2.0


class Sample(NamedTuple):
    """Weighted points (node, dimension) and how many independent draws their weights are worth."""

    nodes: FloatArray
    weights: FloatArray
    effective_size: float


class _Mixture(NamedTuple):
    shares: FloatArray
    means: FloatArray
    roots: FloatArray


def sample_again(
    log_density: LogDensity, starts: FloatArray, seed: int, *, n_steps: int, n_points: int, n_rounds: int = 4
) -> Sample:
    """Explore, fit, weigh; fit again to the weighed points, and keep the round of the largest effective size."""
    rng = np.random.default_rng(seed)
    points = _explore(log_density, starts, n_steps, rng)
    best: Sample | None = None
    for k in range(n_rounds):
        mixture = _fit(points, 3 + k, rng)
        nodes, log_proposal = _propose(mixture, n_points if k else n_points // 2, seed + k)
        log_ratios = _finite(log_density(nodes)) - log_proposal
        weights = np.exp(log_ratios - log_ratios.max())
        weights /= weights.sum()
        found = Sample(nodes, weights, float(1.0 / (weights**2).sum()))
        if best is None or found.effective_size > best.effective_size:
            best = found
        if k and found.effective_size > 0.35 * len(nodes):
            break
        chosen = rng.choice(len(nodes), size=8000, p=weights)
        points = nodes[chosen]
    assert best is not None
    return best


def _finite(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, -1e300)


def _explore(log_density: LogDensity, starts: FloatArray, n_steps: int, rng: np.random.Generator) -> FloatArray:
    """Return the later positions (point, dimension) of walkers that move along differences of one another."""
    dimension = starts.shape[1]
    n_walkers = max(60, 16 * dimension)
    walkers = starts[rng.integers(len(starts), size=n_walkers)] + 1.5 * rng.standard_normal((n_walkers, dimension))
    values = _finite(log_density(walkers))
    kept = []
    for step in range(n_steps):
        for half in np.array_split(rng.permutation(n_walkers), 2):
            others = np.setdiff1d(np.arange(n_walkers), half)
            pairs = rng.choice(others, size=(len(half), 2))
            scale = 1.0 if step % 10 == 9 else 2.38 / np.sqrt(2.0 * dimension) * rng.uniform(0.5, 1.2, (len(half), 1))
            proposed = walkers[half] + scale * (walkers[pairs[:, 0]] - walkers[pairs[:, 1]])
            proposed += 1e-4 * rng.standard_normal(proposed.shape)
            new = _finite(log_density(proposed))
            moved = np.log(rng.random(len(half))) < new - values[half]
            walkers[half[moved]], values[half[moved]] = proposed[moved], new[moved]
        if step in (n_steps // 8, n_steps // 4):
            _recall(walkers, values, rng)
        if step >= n_steps // 2 and step % 4 == 0:
            kept.append(walkers.copy())
    return np.concatenate(kept)


def _recall(walkers: FloatArray, values: FloatArray, rng: np.random.Generator) -> None:
    """Put walkers that are lost, where the density is nothing, to where others are: long before places are kept."""
    lost = np.flatnonzero(values < values.max() - 50.0)
    there = rng.choice(np.setdiff1d(np.arange(len(values)), lost), size=len(lost))
    walkers[lost], values[lost] = walkers[there], values[there]


def _fit(points: FloatArray, n_parts: int, rng: np.random.Generator) -> _Mixture:
    """Fit normals by expectation maximisation in coordinates whitened by the points' quantiles."""
    dimension = points.shape[1]
    low, centre, high = np.quantile(points, [0.16, 0.5, 0.84], axis=0)
    unit = np.maximum(0.5 * (high - low), 1e-8)
    z = (points - centre) / unit
    z = z[np.abs(z).max(axis=1) < 60.0]
    means = z[rng.choice(len(z), size=n_parts, replace=False)]
    covariances = np.tile(np.cov(z.T).reshape(dimension, dimension), (n_parts, 1, 1))
    shares = np.full(n_parts, 1.0 / n_parts)
    for _ in range(30):
        roots = _roots(covariances)
        logs = _log_parts(z, _Mixture(shares, means, roots), normal=True)
        own = np.exp(logs - np.logaddexp.reduce(logs, axis=0)) / len(z)
        shares = np.maximum(own.sum(axis=1), 1e-3)
        means = own @ z / shares[:, None]
        deviations = z - means[:, None]
        covariances = np.einsum("kn,kni,knj->kij", own, deviations, deviations) / shares[:, None, None]
        shares = shares / shares.sum()
    wide = np.cov(z.T).reshape(1, dimension, dimension) * 4.0
    covariances = np.concatenate([covariances + 1e-4 * np.eye(dimension), wide])
    means = np.concatenate([means, z.mean(axis=0)[None]])
    shares = np.append(0.95 * np.maximum(shares, 0.02) / np.maximum(shares, 0.02).sum(), 0.05)
    roots = _roots(covariances) * np.sqrt(_SPREAD * (_DEGREES - 2.0) / _DEGREES)
    return _Mixture(shares, centre + unit * means, unit[:, None] * roots)


def _roots(covariances: FloatArray) -> FloatArray:
    """Return Cholesky factors (part, dimension, dimension), each coordinate in its own units before it is factored."""
    sds = np.sqrt(np.einsum("kii->ki", covariances) + 1e-10)
    scaled = covariances / sds[:, :, None] / sds[:, None, :]
    return np.asarray(sds[:, :, None] * np.linalg.cholesky(scaled + 1e-6 * np.eye(covariances.shape[1])))


def _log_parts(points: FloatArray, mixture: _Mixture, normal: bool = False) -> FloatArray:
    """Return log share times density of each part at each point."""
    dimension = points.shape[1]
    logs = []
    for share, mean, root in zip(*mixture, strict=True):
        square = (np.linalg.solve(root, (points - mean).T) ** 2).sum(axis=0)
        if normal:
            log_density = -0.5 * square - 0.5 * dimension * np.log(2 * np.pi)
        else:
            log_density = -0.5 * (_DEGREES + dimension) * np.log1p(square / _DEGREES)
            log_density += special.gammaln(0.5 * (_DEGREES + dimension)) - special.gammaln(0.5 * _DEGREES)
            log_density -= 0.5 * dimension * np.log(_DEGREES * np.pi)
        logs.append(np.log(share) + log_density - np.log(np.diag(root)).sum())
    return np.array(logs)


def _propose(mixture: _Mixture, n_points: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return scrambled Sobol points pushed to the mixture, each part its share of them, with their log density."""
    dimension = mixture.means.shape[1]
    sizes = np.maximum(2 ** np.round(np.log2(mixture.shares * n_points)).astype(int), 256)
    nodes = []
    for k, size in enumerate(sizes):
        uniform = stats.qmc.Sobol(dimension + 1, seed=1000 * seed + k).random(size).clip(1e-12, 1 - 1e-12)
        chi = stats.chi2(_DEGREES).ppf(uniform[:, -1]) / _DEGREES
        nodes.append(mixture.means[k] + (special.ndtri(uniform[:, :-1]) / np.sqrt(chi)[:, None]) @ mixture.roots[k].T)
    points = np.concatenate(nodes)
    made = _Mixture(sizes / sizes.sum(), mixture.means, mixture.roots)
    return points, np.logaddexp.reduce(_log_parts(points, made), axis=0)
