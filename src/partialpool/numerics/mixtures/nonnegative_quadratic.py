"""The maximum of a concave quadratic function of nonnegative numbers."""

from __future__ import annotations

import numpy as np

from partialpool.numerics.arrays import FloatArray

_MOST_STEPS = 60
# The mean product of slopes and numbers, and the largest residual, which rounding keeps above 1e-16.
_ENOUGH, _EXACT = 1e-16, 1e-14
_STAY_INSIDE = 0.995
# Steps cut shorter than this, or that leave more than this of the products, go towards pairs of half their mean product
# instead.
_SHORT, _LEAST_GAIN, _CENTRED = 0.1, 0.9, 0.5


def maximise_quadratic(hessian: FloatArray, linear: FloatArray, near: FloatArray) -> FloatArray:
    """Return y >= 0 (element,) that maximises linear' y - y' hessian y / 2, from a guess ``near`` >= 0.

    ``hessian`` (element, element) is positive semidefinite and may be singular. A primal-dual interior point method
    with Mehrotra's predictor and corrector (Nocedal and Wright 2006, algorithm 16.4): slopes s = hessian y - linear and
    y are positive, and y s goes to 0. Where the maximum is at zero what is returned is small.
    """
    from scipy.linalg import cho_factor, cho_solve

    n = len(linear)
    ridge = 1e-15 * float(np.trace(hessian)) / n
    hessian = hessian + ridge * np.eye(n)
    size = max(float(near.sum()), 1e-3) / n
    y = np.maximum(near, 0.1 * size)
    s = np.maximum(hessian @ y - linear, 0.1 * float(np.abs(linear).max()))
    for _ in range(_MOST_STEPS):
        residual = hessian @ y - linear - s
        complementarity = float(y @ s) / n
        if complementarity < _ENOUGH and float(np.abs(residual).max()) < _EXACT:
            break
        root = np.sqrt(y / s)
        # scaled by the root of y / s the system's eigenvalues are at least one, but for rounding
        system = root[:, None] * hessian * root + np.eye(n)
        system[np.diag_indices(n)] *= 1.0 + 1e-15 * (n + 10)
        factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
        step = root * cho_solve(factor, root * (-residual - s), check_finite=False)
        slope_step = -s - s / y * step
        reach = min(1.0, _reach(y, step), _reach(s, slope_step))
        ahead = float((y + reach * step) @ (s + reach * slope_step)) / n
        aim = complementarity * min(max(ahead / complementarity, 0.0), 1.0) ** 3
        correction = (aim - step * slope_step) / y - s
        step, slope_step, reach = _correct(factor, root, residual, correction, y, s)
        if reach < _SHORT or (y + reach * step) @ (s + reach * slope_step) > _LEAST_GAIN * (y @ s):
            # pairs far from their mean product: Mehrotra's correction may go to and fro between two points for ever
            step, slope_step, reach = _correct(factor, root, residual, _CENTRED * complementarity / y - s, y, s)
        y, s = y + reach * step, s + reach * slope_step
    return y


def _correct(
    factor: tuple[FloatArray, bool],
    root: FloatArray,
    residual: FloatArray,
    correction: FloatArray,
    y: FloatArray,
    s: FloatArray,
) -> tuple[FloatArray, FloatArray, float]:
    """Return the step of numbers and slopes that the corrected system gives, and the part of it that stays inside."""
    from scipy.linalg import cho_solve

    step = root * cho_solve(factor, root * (correction - residual), check_finite=False)
    slope_step = correction - s / y * step
    return step, slope_step, min(1.0, _STAY_INSIDE * min(_reach(y, step), _reach(s, slope_step)))


def _reach(values: FloatArray, step: FloatArray) -> float:
    """Return the largest multiple of the step, at most 1000, that leaves the positive values nonnegative."""
    return 1.0 / max(float((-step / values).max()), 1e-3)
