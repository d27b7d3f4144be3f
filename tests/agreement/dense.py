"""Brute force for Gaussian models with one grouping factor: dense matrices over raw rows, sharing nothing with fits.

Given the effects' covariance S and the residual sd, y is normal with covariance V = sigma^2 W^-1 + Z S Z' and the
coefficients' priors are normal, flat or a point; everything is linear algebra on matrices of the order of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag, solve_triangular

FloatArray = NDArray[np.float64]


class Conditional(NamedTuple):
    """The normal distribution of (integrated coefficients, effects of group 0, of group 1, ...)."""

    mean: FloatArray
    covariance: FloatArray


@dataclass(frozen=True)
class DenseRows:
    """Raw rows: ``response`` (row,), ``population`` (row, coefficient), ``effects`` (row, effect), ``groups`` (row,),
    and ``noise`` (row,), the noise variance over sigma^2."""

    response: FloatArray
    population: FloatArray
    effects: FloatArray
    groups: NDArray[np.intp]
    noise: FloatArray

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0

    @property
    def indicator(self) -> FloatArray:
        """Z (row, group * effect), effects running within groups."""
        q = self.effects.shape[1]
        columns = np.zeros((len(self.response), self.n_groups * q))
        for row, group in enumerate(self.groups):
            columns[row, group * q : (group + 1) * q] = self.effects[row]
        return columns

    def repeat(self, matrices: FloatArray) -> FloatArray:
        """Return matrices (node, effect, effect) as those of all groups' effects."""
        q, n_columns = matrices.shape[-1], self.n_groups * matrices.shape[-1]
        result = np.zeros((len(matrices), n_columns, n_columns))
        for group in range(self.n_groups):
            places = slice(group * q, (group + 1) * q)
            result[:, places, places] = matrices
        return result

    def log_determinant(self, matrices: FloatArray) -> FloatArray:
        """Return the log determinants (node,) of ``repeat``."""
        return np.asarray(self.n_groups * np.linalg.slogdet(matrices)[1])

    def covariance(self, effects_covariance: FloatArray, sigma: float) -> FloatArray:
        """Return the covariance of y given the coefficients."""
        z = self.indicator
        return sigma**2 * np.diag(self.noise) + z @ np.kron(np.eye(self.n_groups), effects_covariance) @ z.T


def log_likelihood(
    rows: DenseRows,
    effects_covariance: FloatArray,
    sigma: float,
    mean: FloatArray,
    precision: FloatArray,
    known: FloatArray,
    stated: FloatArray | None = None,
) -> float:
    """Return log p(y) with the coefficients integrated out.

    ``precision`` (coefficient,) is that of a normal prior about ``mean``; 0 is a flat prior of density 1, NaN a
    coefficient that is ``known`` (coefficient,). Priors are of ``stated`` (coefficient, coefficient) times the
    coefficients, None for themselves; its determinant is 1.
    """
    if stated is not None:
        rows = replace(rows, population=rows.population @ np.linalg.inv(stated))
    point, flat = np.isnan(precision), precision == 0.0
    normal = ~point & ~flat
    x = rows.population
    residual = rows.response - x[:, point] @ known[point] - x[:, normal] @ mean[normal]
    v = rows.covariance(effects_covariance, sigma) + (x[:, normal] / precision[normal]) @ x[:, normal].T
    root = np.linalg.cholesky(v)
    whitened = solve_triangular(root, np.column_stack([x[:, flat], residual]), lower=True)
    value = -0.5 * len(residual) * np.log(2 * np.pi) - np.log(np.diag(root)).sum()
    q, r = np.linalg.qr(whitened[:, :-1])
    left = whitened[:, -1] - q @ (q.T @ whitened[:, -1])
    value += 0.5 * flat.sum() * np.log(2 * np.pi) - np.log(np.abs(np.diag(r))).sum() - 0.5 * left @ left
    return float(value)


def condition(
    rows: DenseRows,
    effects_covariance: FloatArray,
    sigma: float,
    mean: FloatArray,
    precision: FloatArray,
    known: FloatArray,
    stated: FloatArray | None = None,
) -> Conditional:
    """Return the joint conditional of the unknown coefficients and all effects, from their joint precision."""
    if stated is not None:
        turned = replace(rows, population=rows.population @ np.linalg.inv(stated))
        return turn_back(condition(turned, effects_covariance, sigma, mean, precision, known), stated, known)
    unknown = ~np.isnan(precision)
    residual = rows.response - rows.population[:, ~unknown] @ known[~unknown]
    design = np.column_stack([rows.population[:, unknown], rows.indicator])
    prior = block_diag(np.diag(precision[unknown]), np.kron(np.eye(rows.n_groups), np.linalg.inv(effects_covariance)))
    weighted = design.T / (sigma**2 * rows.noise)
    pull = np.concatenate([precision[unknown] * mean[unknown], np.zeros(len(prior) - unknown.sum())])
    covariance = np.linalg.inv(weighted @ design + prior)
    return Conditional(covariance @ (weighted @ residual + pull), covariance)


def turn_back(found: Conditional, stated: FloatArray, known: FloatArray) -> Conditional:
    """Return the conditional of coefficients from that of ``stated`` times them, some of which are ``known``."""
    unknown, back = np.isnan(known), np.linalg.inv(stated)
    change = np.eye(len(found.mean), dtype=found.mean.dtype)
    n = int(unknown.sum())
    change[:n, :n] = back[np.ix_(unknown, unknown)]
    mean = change @ found.mean
    mean[:n] += back[np.ix_(unknown, ~unknown)] @ known[~unknown]
    return Conditional(mean, change @ found.covariance @ change.T)
