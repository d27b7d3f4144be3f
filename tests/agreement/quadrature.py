"""Posterior moments by Gauss-Legendre quadrature over natural hyperparameters and dense matrices over rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .dense import DenseRows
from .dense_factors import DenseFactors

FloatArray = NDArray[np.float64]

#: Natural values (node,) and weights (node,) of one axis.
Axis = tuple[FloatArray, FloatArray]


def half_line(scale: float, n: int, lower: float = 0.0) -> Axis:
    """Gauss-Legendre nodes for (lower, inf): value = lower + scale t^2 / (1 - t)^2, smooth at power tails."""
    t, w = _unit(n)
    return lower + scale * (t / (1 - t)) ** 2, w * 2 * scale * t / (1 - t) ** 3


def interval(lower: float, upper: float, n: int) -> Axis:
    """Gauss-Legendre nodes for a bounded interval."""
    t, w = _unit(n)
    return lower + (upper - lower) * t, w * (upper - lower)


def line(centre: float, scale: float, n: int) -> Axis:
    """Gauss-Legendre nodes for the whole line: value = centre + scale s / (1 - s^2), s in (-1, 1)."""
    t, w = _unit(n)
    s = 2 * t - 1
    return centre + scale * s / (1 - s * s), 2 * w * scale * (1 + s * s) / (1 - s * s) ** 2


def _unit(n: int) -> Axis:
    points, weights = np.polynomial.legendre.leggauss(n)
    return 0.5 * (points + 1), 0.5 * weights


class Exact(NamedTuple):
    """``log_integral`` of p(y); moments of the hyperparameters and of (unknown coefficients, effects); the marginal
    distribution function of one hyperparameter or quantity is asked of ``cdf``."""

    log_integral: float
    hyper_mean: FloatArray
    hyper_sd: FloatArray
    mean: FloatArray
    sd: FloatArray
    covariance: FloatArray
    cdf: Callable[[int, float], float]


def integrate_posterior(
    rows: DenseRows | DenseFactors,
    axes: Sequence[Axis],
    log_prior: Callable[[FloatArray], FloatArray],
    effects_covariance: Callable[[FloatArray], FloatArray],
    sigma: Callable[[FloatArray], FloatArray],
    mean: FloatArray,
    precision: FloatArray,
    known: Callable[[FloatArray], FloatArray] | None = None,
    chunk: int = 4000,
) -> Exact:
    """Integrate on the tensor grid of ``axes``.

    The callables take hyperparameters (parameter, node); ``effects_covariance`` gives (node, effect, effect), ``known``
    (node, coefficient) the values of coefficients whose ``precision`` is NaN.
    """
    mesh = np.meshgrid(*(axis[0] for axis in axes), indexing="ij")
    hyper = np.stack([each.ravel() for each in mesh])
    log_weights = sum(
        np.log(w).reshape([-1 if j == k else 1 for j in range(len(axes))]) for k, (_, w) in enumerate(axes)
    )
    log_density = np.asarray(log_weights).ravel() + log_prior(hyper)
    # dense inverses lose their digits far out, where less than 1e-12 of the mass is
    kept = (log_density > log_density.max() - 200.0) & (np.abs(hyper) < 1e4).all(axis=0)
    hyper, log_density = hyper[:, kept], log_density[kept]
    unknown, point = ~np.isnan(precision), np.isnan(precision)
    z = rows.indicator
    design = np.column_stack([rows.population[:, unknown], z])
    n_unknown, n_columns = int(unknown.sum()), design.shape[1]
    proper = precision[unknown] > 0
    log_flat_and_normal = 0.5 * (np.log(precision[unknown][proper]) - np.log(2 * np.pi)).sum()
    means = np.empty((hyper.shape[1], n_columns))
    variances = np.empty_like(means)
    within, peak = np.zeros((n_columns, n_columns)), -np.inf
    for start in range(0, hyper.shape[1], chunk):
        part = slice(start, start + chunk)
        at = hyper[:, part]
        s, noise = effects_covariance(at), sigma(at)
        n_nodes = at.shape[1]
        prior = np.zeros((n_nodes, n_columns, n_columns))
        prior[:, range(n_unknown), range(n_unknown)] = precision[unknown]
        prior[:, n_unknown:, n_unknown:] = rows.repeat(np.linalg.inv(s))
        residual = np.broadcast_to(rows.response, (n_nodes, len(rows.response)))
        if known is not None:
            residual = residual - known(at)[:, point] @ rows.population[:, point].T
        shifted = residual - mean[unknown] @ rows.population[:, unknown].T
        weight = 1.0 / (noise[:, None] ** 2 * rows.noise)
        posterior = prior + np.einsum("ri,nr,rj->nij", design, weight, design, optimize=True)
        pull = (weight * shifted) @ design
        centre = np.linalg.solve(posterior, pull[:, :, None])[:, :, 0]
        quadratic = (weight * shifted * shifted).sum(axis=1) - (centre * pull).sum(axis=1)
        log_likelihood = (
            -0.5 * len(rows.response) * np.log(2 * np.pi)
            + 0.5 * np.log(weight).sum(axis=1)
            + log_flat_and_normal
            + 0.5 * n_unknown * np.log(2 * np.pi)
            - 0.5 * rows.log_determinant(s)
            - 0.5 * np.linalg.slogdet(posterior)[1]
            - 0.5 * quadratic
        )
        log_density[part] += log_likelihood
        centre[:, :n_unknown] += mean[unknown]
        higher = max(peak, float(log_density[part].max()))
        # inverses, which take longest, where there is mass
        heavy = np.flatnonzero(log_density[part] > higher - 60.0)
        covariance = np.linalg.inv(posterior[heavy])
        means[part], variances[part] = centre, 1.0
        variances[start + heavy] = np.einsum("nii->ni", covariance)
        within *= np.exp(peak - higher)
        within += np.einsum("n,nij->ij", np.exp(log_density[start + heavy] - higher), covariance)
        peak = higher
    weights = np.exp(log_density - peak)
    log_integral = peak + np.log(weights.sum())
    weights /= weights.sum()
    hyper_mean = hyper @ weights
    hyper_sd = np.sqrt(weights @ (hyper.T - hyper_mean) ** 2)
    grand = weights @ means
    sd = np.sqrt(weights @ (variances + (means - grand) ** 2))
    joint = within / np.exp(log_integral - peak) + (means - grand).T @ (weights[:, None] * (means - grand))

    def cdf(quantity: int, at: float) -> float:
        from scipy.special import ndtr

        return float(weights @ ndtr((at - means[:, quantity]) / np.sqrt(variances[:, quantity])))

    return Exact(float(log_integral), hyper_mean, hyper_sd, grand, sd, joint, cdf)
