"""Carrying the gradient of the log likelihood from natural hyperparameters to the coordinates of a hyperspace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from partialpool.models.space.covariance_block import CovarianceBlock, correlation_root
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace, ScalarHyperparameter
from partialpool.numerics.arrays import FloatArray


class HyperGradient(NamedTuple):
    """The gradient at every node: along dL, L the effects' covariance root, the value changes by the trace of
    (L^-1 dL)' ``root`` (effect, effect, node); ``log_residual_sd`` (node,) is the derivative by log sigma with L held;
    ``coefficients`` (sampled coefficient, node); ``log_coefficient_sds`` (mixed coefficient, node) and ``extras``
    (extra, node), by their natural values, None where there are none."""

    root: FloatArray
    log_residual_sd: FloatArray
    coefficients: FloatArray
    log_coefficient_sds: FloatArray | None
    extras: FloatArray | None = None


def join_gradients(parts: Sequence[HyperGradient]) -> HyperGradient:
    """Join gradients at successive runs of nodes."""
    if len(parts) == 1:
        return parts[0]
    sds = [part.log_coefficient_sds for part in parts if part.log_coefficient_sds is not None]
    extras = [part.extras for part in parts if part.extras is not None]
    return HyperGradient(
        np.concatenate([part.root for part in parts], axis=-1),
        np.concatenate([part.log_residual_sd for part in parts]),
        np.concatenate([part.coefficients for part in parts], axis=-1),
        np.concatenate(sds, axis=-1) if sds else None,
        np.concatenate(extras, axis=-1) if extras else None,
    )


def pull_back(space: HyperSpace, coordinates: FloatArray, points: HyperPoints, gradient: HyperGradient) -> FloatArray:
    """Return the gradient by the coordinates (node, dimension) of a space whose effects' sds are hyperparameters."""
    coordinates = space.fill(coordinates)
    result = np.zeros(coordinates.shape)
    for k, hyper in enumerate(space.effect_sds):
        if hyper is space.scalars[k] and hyper.given is None:
            result[:, k] = gradient.root[k, k] * _log_slope(hyper, coordinates[:, k], points.effect_root[k, k])
    column = len(space.effect_sds)
    for block in space.blocks:
        after = column + len(block.names)
        places = list(block.positions)
        inner = gradient.root[np.ix_(places, places)]
        sds, correlations = _pull_back_block(block, coordinates[:, column:after].T, inner)
        result[:, places], result[:, column:after] = sds.T, correlations.T
        column = after
    if space.residual_sd is not None and space.residual_sd.given is None:
        slope = _log_slope(space.residual_sd, coordinates[:, column], points.residual_sd)
        result[:, column] = gradient.log_residual_sd * slope
    column += space.residual_sd is not None
    by_coefficients = gradient.coefficients[: len(space.coefficients)]
    if space.coefficient_chart is not None:
        by_coefficients = space.coefficient_chart.natural.T @ by_coefficients
    for hyper, slopes in zip(space.coefficients, by_coefficients, strict=True):
        if hyper.given is None:
            result[:, column] = slopes * np.exp(hyper.constrain(coordinates[:, column])[1])
        column += 1
    if gradient.log_coefficient_sds is not None and points.coefficient_sds is not None:
        for k, hyper in enumerate(space.coefficient_sds):
            slope = _log_slope(hyper, coordinates[:, column], points.coefficient_sds[k])
            result[:, column] = gradient.log_coefficient_sds[k] * slope
            column += 1
    if gradient.extras is not None and points.extras is not None:
        for k, hyper in enumerate(space.extras):
            if hyper.given is None:
                result[:, column] = gradient.extras[k] * np.exp(hyper.constrain(coordinates[:, column])[1])
            column += 1
        if space.pair is not None:
            result[:, column:] = space.pair.pull_back(points.extras[-2:], gradient.extras[-2:]).T
    return result[:, space.free]


def _log_slope(hyper: ScalarHyperparameter, coordinate: FloatArray, value: FloatArray) -> FloatArray:
    """Return d log value / d coordinate, where a value has underflowed to 0 that of the exponential."""
    slope = np.exp(hyper.constrain(coordinate)[1])
    return np.asarray(np.where(value > 0.0, slope / np.where(value > 0.0, value, 1.0), 1.0))


def _pull_back_block(
    block: CovarianceBlock, fisher_z: FloatArray, gradient: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives by the log sds (effect, node) and by Fisher's z (pair, node) of a covariance block.

    The root is a constant matrix times D R, D the sds and R the correlations' root: L^-1 dL = R^-1 (D^-1 dD) R, and
    R^-1 dR. Only row ``second`` of R moves with the partial correlation of (first, second).
    """
    order, partial = block.order, np.tanh(fisher_z)
    root = correlation_root(partial, order)
    # (R^-1 e_k r_k') . gradient = e_k' R'^-1 gradient r_k
    lifted = np.linalg.solve(np.moveaxis(root, -1, 0).swapaxes(1, 2), np.moveaxis(gradient, -1, 0))
    lifted = np.moveaxis(lifted, 0, -1)
    by_sds = np.einsum("kjn,kjn->kn", lifted, root)
    by_z = np.empty_like(fisher_z)
    pair = 0
    for first in range(order - 1):
        for second in range(first + 1, order):
            change = np.zeros_like(root[second])
            change[first + 1 :] = -partial[pair] * root[second, first + 1 :]
            left_over = np.prod(
                [np.sqrt(1.0 - partial[_pair_index(c, second, order)] ** 2) for c in range(first)], axis=0
            )
            change[first] = (1.0 - partial[pair] ** 2) * left_over
            by_z[pair] = np.einsum("jn,jn->n", lifted[second], change)
            pair += 1
    return by_sds, by_z


def _pair_index(first: int, second: int, order: int) -> int:
    """Return the place of (first, second) among (0,1), (0,2), ..., (1,2), ...."""
    return first * order - first * (first + 1) // 2 + second - first - 1
