"""Mixtures of multivariate t densities, fitted to points and wider than these: proposals that leave nothing out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.sampling.lattice import MAX_DIMENSION, lattice_points

# A lattice has a coordinate more than its points: how far along its direction each lies.
MOST_COORDINATES = MAX_DIMENSION - 1
_DEGREES = 5.0
# What covariances of points are multiplied by to be a part's scale matrix, and that of the part that stands behind all.
# A t density's covariance is 5/3 of its scale matrix: parts have 2.7 times their points' variances, the last 6.7 times.
_WIDER, _BEHIND = 1.6, 4.0
_SHARE_BEHIND, _LEAST_SHARE = 0.05, 0.02
_STEPS = 25
_ROUNDING = 1e-6
# Nodes of a part at least, and the shift of one part's lattice from another's.
_LEAST_NODES, _OF_PART = 256, 0.414214


@dataclass(frozen=True)
class TMixture:
    """``shares`` (part,), ``means`` (part, dimension) and lower triangular ``roots`` (part, dimension, dimension)."""

    shares: FloatArray
    means: FloatArray
    roots: FloatArray

    def propose(self, n_nodes: int, shift: float) -> tuple[FloatArray, TMixture]:
        """Return about ``n_nodes`` nodes (node, dimension), a lattice for every part, and the mixture that they are of:
        each part's nodes are its share rounded to a power of two."""
        from scipy.special import chdtri, ndtri

        sizes = [2 ** round(np.log2(max(share * n_nodes, _LEAST_NODES))) for share in self.shares]
        nodes = []
        for k, size in enumerate(sizes):
            uniform = lattice_points(size, self.means.shape[1] + 1, shift + _OF_PART * k)
            stretch = np.sqrt(_DEGREES / chdtri(_DEGREES, uniform[:, -1:]))
            nodes.append(self.means[k] + (ndtri(uniform[:, :-1]) * stretch) @ self.roots[k].T)
        return np.concatenate(nodes), TMixture(np.array(sizes) / sum(sizes), self.means, self.roots)

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the log density at points (node, dimension)."""
        from scipy.special import gammaln

        dimension = points.shape[1]
        squares = _squares(points, self.means, self.roots)
        logs = np.log(self.shares) - np.log(np.einsum("kii->ki", self.roots)).sum(axis=1)
        parts = logs[:, None] - 0.5 * (_DEGREES + dimension) * np.log1p(squares / _DEGREES)
        constant = gammaln(0.5 * (_DEGREES + dimension)) - gammaln(0.5 * _DEGREES)
        constant -= 0.5 * dimension * np.log(np.pi * _DEGREES)
        return np.asarray(_log_sum(parts) + constant)


def fit_t_mixture(points: FloatArray, n_parts: int, seed: int) -> TMixture:
    """Fit normals to points (node, dimension) by expectation maximisation; return t densities wider than these, and a
    wide one behind them.

    Source: Dempster, Laird and Rubin (1977), JRSS B 39:1-38 (expectation maximisation); Cappe, Douc, Guillin, Marin
    and Robert (2008), Statistics and Computing 18:447-459 (mixtures of t densities as proposals).
    """
    rng = np.random.default_rng(seed)
    dimension = points.shape[1]
    centre = np.median(points, axis=0)
    unit = _root(np.cov(points.T).reshape(1, dimension, dimension))[0]
    standard = np.linalg.solve(unit, (points - centre).T).T
    means = standard[rng.choice(len(points), size=n_parts, replace=False)]
    roots = np.tile(np.eye(dimension), (n_parts, 1, 1))
    shares = np.full(n_parts, 1.0 / n_parts)
    for _ in range(_STEPS):
        parts = np.log(shares)[:, None] - 0.5 * _squares(standard, means, roots)
        parts -= np.log(np.einsum("kii->ki", roots)).sum(axis=1)[:, None]
        own = np.exp(parts - _log_sum(parts)) / len(points)
        shares = np.maximum(own.sum(axis=1), 1e-4)
        means = own @ standard / shares[:, None]
        away = standard - means[:, None]
        roots = _root((own[:, :, None] * away).swapaxes(1, 2) @ away / shares[:, None, None])
        shares = shares / shares.sum()
    wide = np.sqrt(_BEHIND) * _root(np.cov(standard.T).reshape(1, dimension, dimension))
    roots = unit @ np.concatenate([np.sqrt(_WIDER) * roots, wide])
    means = centre + np.concatenate([means, standard.mean(axis=0)[None]]) @ unit.T
    shares = np.maximum(shares, _LEAST_SHARE)
    shares = np.append((1.0 - _SHARE_BEHIND) * shares / shares.sum(), _SHARE_BEHIND)
    return TMixture(shares, means, roots)


def _root(covariances: FloatArray) -> FloatArray:
    """Return Cholesky factors of covariances (part, dimension, dimension), each in its own units."""
    sds = np.sqrt(np.maximum(np.einsum("kii->ki", covariances), 1e-300))
    correlations = covariances / sds[:, :, None] / sds[:, None, :]
    return np.asarray(sds[:, :, None] * np.linalg.cholesky(correlations + _ROUNDING * np.eye(covariances.shape[1])))


def _squares(points: FloatArray, means: FloatArray, roots: FloatArray) -> FloatArray:
    """Return squared distances (part, node) in each part's own units."""
    inverses = np.linalg.inv(roots)
    return np.stack([(((points - m) @ r.T) ** 2).sum(axis=1) for m, r in zip(means, inverses, strict=True)])


def _log_sum(parts: FloatArray) -> FloatArray:
    highest = parts.max(axis=0)
    return np.asarray(highest + np.log(np.exp(parts - highest).sum(axis=0)))
