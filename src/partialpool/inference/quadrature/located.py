"""The modes of groups' integrands, and the rules centred there.

Effects are b = R v with v standard normal a priori. Each group's integrand is centred at its mode in v and scaled by
the curvature there, so that few points do.

Source: Liu and Pierce (1994), Biometrika 81:624-629; Pinheiro and Bates (1995), J. Computational and Graphical
Statistics 4:12-35, section 2.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.models.families.base import Family, ResponseColumns
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.hermite import Rule
from partialpool.reductions.grouped_rows import GroupedRows

_LOG_2PI = float(np.log(2.0 * np.pi))
# Newton steps to a mode, and the step, in conditional sds, from which it is near enough to centre a rule on.
_MOST_STEPS = 100
_NEAR = 1e-4
# Share of the nodes still on their way below which they are taken apart from those that have arrived.
_MOSTLY = 0.8
# Curvature below which the rule's scale does not follow it: the prior's alone is 1.
_LEAST_CURVATURE = 0.2
# Spreads of the data's linear predictors from which a search starts elsewhere than at the population's value.
_FAR = 10.0
# The longest step, in prior sds: the linear predictor's exponential overflows beyond.
_LONGEST_STEP = 8.0


class Located(NamedTuple):
    """Some classes at some nodes: ``base`` (row, node) the linear predictor without effects, ``columns``
    (effect, row, node) what multiplies v, ``mode`` (effect, class, node) and the lower triangular ``root``
    (effect, effect, class, node) of the conditional covariance of v there."""

    family: Family
    rows: GroupedRows
    response: ResponseColumns
    dispersion: tuple[FloatArray, ...]
    base: FloatArray
    columns: FloatArray
    mode: FloatArray
    root: FloatArray

    def at_nodes(self, nodes: slice | IntArray) -> Located:
        """Return the same classes at some of the nodes."""
        return self._replace(
            dispersion=tuple(value[nodes] for value in self.dispersion),
            base=self.base[:, nodes],
            columns=self.columns[..., nodes],
            mode=self.mode[..., nodes],
            root=self.root[..., nodes],
        )


class Evaluated(NamedTuple):
    """The integrand at a rule's points: ``v`` (effect, class, node, point), ``eta`` (row, node, point), and
    ``log_terms`` (class, node, point), whose exponentials add up to the integral."""

    v: FloatArray
    eta: FloatArray
    log_terms: FloatArray


def locate_modes(family: Family, rows: GroupedRows, points: HyperPoints, root: FloatArray | None = None) -> Located:
    """Find the modes of all classes of ``rows`` at each point; ``root`` (effect, effect, node) is a root of the
    effects' covariance other than the points' own."""
    n_dispersions = len(family.dispersions)
    dispersion = () if points.extras is None else tuple(points.extras[:n_dispersions])
    base, columns = linear_parts(rows, points, points.effect_root if root is None else root)
    response = rows.response.expand(1)
    mode = _start(rows, base, columns)
    located = Located(family, rows, response, dispersion, base, columns, mode, np.empty(0))
    return _scale(_climb(located))


def linear_parts(rows: GroupedRows, points: HyperPoints, root: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the linear predictor without effects (row, node), and what multiplies v (effect, row, node)."""
    n_nodes = points.n_nodes
    base = rows.population @ points.coefficients if len(points.coefficients) else np.zeros((rows.n_rows, n_nodes))
    if rows.offset is not None:
        base = base + rows.offset[:, None]
    columns = np.zeros((root.shape[1], rows.n_rows, n_nodes))
    for k in range(root.shape[1]):
        for effect in range(len(root)):
            if np.any(root[effect, k]):
                columns[k] += rows.effects[:, effect, None] * root[effect, k]
    return base, columns


def _start(rows: GroupedRows, base: FloatArray, columns: FloatArray) -> FloatArray:
    """Return where the searches start (effect, class, node): at the population's value, and where the linear predictor
    is there far from where the data's lie, as that of a year 0 may be, where effects bring it back; from above Newton's
    steps down an exponential are of length one.
    """
    start = np.zeros((len(columns), rows.n_classes, base.shape[1]))
    location, spread = rows.typical
    if not len(columns) or not np.isfinite(spread):
        return start
    lengths = np.broadcast_to(rows.lengths[:, None], start.shape[1:])
    short = location - rows.sum(base) / lengths
    far = np.abs(short) > _FAR * spread
    if not far.any():
        return start
    along = np.stack([rows.sum(column) / lengths for column in columns])
    pulled = along * (short / (np.sum(along * along, axis=0) + spread**2))
    return np.where(far & np.isfinite(pulled), pulled, start)


def predict_at(located: Located, v: FloatArray) -> FloatArray:
    """Return eta (row, node) with effects v (effect, class, node)."""
    eta = located.base
    for column, value in zip(located.columns, v, strict=True):
        eta = eta + column * located.rows.spread(value)
    return eta


def evaluate(located: Located, rule: Rule) -> Evaluated:
    """Evaluate the integrand at the points of a rule."""
    n_axes = len(located.mode)
    v = np.empty((*located.mode.shape, rule.points.shape[1]))
    for k in range(n_axes):
        v[k] = located.mode[k, ..., None]
        for j in range(k + 1):
            v[k] += located.root[k, j, ..., None] * rule.points[j]
    eta = _spread_over_rule(located, rule)
    log_terms = log_density_of(located, eta)
    log_terms = log_terms - 0.5 * sum(value * value for value in v)
    volume = np.zeros(located.mode.shape[1:])
    for k in range(n_axes):
        volume = volume + np.log(located.root[k, k])
    log_terms += (volume - 0.5 * n_axes * _LOG_2PI)[..., None] + rule.log_weights
    return Evaluated(v, eta, log_terms)


def _spread_over_rule(located: Located, rule: Rule) -> FloatArray:
    """Return eta (row, node, point) at the points of a rule: a product with them of what moves each row."""
    rows, columns, n_axes = located.rows, located.columns, len(located.mode)
    parts = np.empty((*located.base.shape, n_axes + 1))
    parts[..., 0] = located.base
    for k in range(n_axes):
        parts[..., 0] += columns[k] * rows.spread(located.mode[k])
    for j in range(n_axes):
        parts[..., j + 1] = sum(columns[k] * rows.spread(located.root[k, j]) for k in range(j, n_axes))
    return np.asarray(parts @ np.concatenate([np.ones((1, rule.points.shape[1])), rule.points]))


def log_density_of(located: Located, eta: FloatArray) -> FloatArray:
    """Return the log density of each class's rows, (class, node, point), from eta (row, node, point)."""
    rows = located.rows
    dispersion = tuple(value[:, None] for value in located.dispersion)
    values = located.family.log_density(eta, rows.response.expand(2), dispersion)
    if rows.counts is not None:
        values = values * rows.counts[:, None, None]
    return rows.sum(values)


def log_sum(log_terms: FloatArray, axis: int = -1) -> FloatArray:
    """Return the log of the sum of exponentials over an axis."""
    peak = log_terms.max(axis=axis)
    safe = np.where(np.isfinite(peak), peak, 0.0)
    return np.asarray(safe + np.log(np.exp(log_terms - np.expand_dims(safe, axis)).sum(axis=axis)))


def _climb(located: Located) -> Located:
    """Newton's method for every class and node at once; a step that does not climb is halved. Nodes of which all
    classes have arrived are left alone while others, often a few far out, go on."""
    if not len(located.mode):
        return located
    modes, left = located.mode.copy(), np.arange(located.mode.shape[-1], dtype=np.intp)
    here, v = located._replace(root=located.mode), located.mode
    value, gradient, curvature = derivatives_at(here, v)
    length = np.ones(v.shape[1:])
    for _ in range(_MOST_STEPS):
        step = _solve(curvature, gradient)
        size = np.sqrt(np.sum(step * step, axis=0))
        step = step * np.minimum(1.0, _LONGEST_STEP / np.maximum(size, 1e-300))
        moved = np.sqrt(np.maximum(np.sum(step * gradient, axis=0), 0.0))
        going = np.any((moved >= _NEAR) & (length >= 1e-6), axis=0)
        if not going.any():
            break
        if np.count_nonzero(going) < _MOSTLY * len(going):
            modes[..., left] = v
            kept = np.flatnonzero(going)
            left, here = left[kept], here.at_nodes(kept)
            parts = (v, value, gradient, curvature, length, step)
            v, value, gradient, curvature, length, step = (part[..., kept] for part in parts)
        proposal = v + length * step
        new_value, new_gradient, new_curvature = derivatives_at(here, proposal)
        better = new_value >= value - 1e-12 * (1.0 + np.abs(value))
        if better.all():
            v, value, gradient, curvature = proposal, new_value, new_gradient, new_curvature
            length = np.minimum(1.0, 2.0 * length)
            continue
        v = np.where(better, proposal, v)
        value = np.where(better, new_value, value)
        gradient = np.where(better, new_gradient, gradient)
        curvature = np.where(better, new_curvature, curvature)
        length = np.where(better, np.minimum(1.0, 2.0 * length), 0.3 * length)
    modes[..., left] = v
    return located._replace(mode=modes)


def measure_distance_from_modes(located: Located) -> float:
    """Return the longest Newton step that is left at the modes, in conditional sds, over classes and nodes whose
    integrand is a number: 0 where all were found, many where rounding or a cliff ended a search early."""
    if not len(located.mode):
        return 0.0
    value, gradient, curvature = derivatives_at(located, located.mode)
    left = np.sqrt(np.maximum(np.sum(_solve(curvature, gradient) * gradient, axis=0), 0.0))
    return float(np.max(left, where=np.isfinite(value) & np.isfinite(left), initial=0.0))


def derivatives_at(located: Located, v: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log integrand (class, node), its gradient by v, and minus its Hessian with what is not concave in the
    likelihood left out."""
    rows, columns = located.rows, located.columns
    eta = predict_at(located, v)
    found = located.family.derivatives(eta, located.response, located.dispersion)
    value, first, second = found.value, found.first, np.minimum(found.second, 0.0)
    if rows.counts is not None:
        value, first, second = (part * rows.counts[:, None] for part in (value, first, second))
    total = rows.sum(value) - 0.5 * np.sum(v * v, axis=0)
    total = np.where(np.isnan(total), -np.inf, total)
    n_axes = len(columns)
    gradient = np.empty_like(v)
    curvature = np.empty((n_axes, *v.shape))
    for k in range(n_axes):
        gradient[k] = rows.sum(first * columns[k]) - v[k]
        for j in range(k + 1):
            curvature[k, j] = curvature[j, k] = (k == j) - rows.sum(second * columns[k] * columns[j])
    usable = np.isfinite(gradient).all(axis=0) & np.isfinite(curvature).all(axis=(0, 1))
    gradient = np.where(usable, gradient, 0.0)
    curvature = np.where(usable, curvature, np.eye(n_axes)[..., None, None])
    return np.where(usable, total, -np.inf), gradient, curvature


def _solve(curvature: FloatArray, gradient: FloatArray) -> FloatArray:
    if len(gradient) == 1:
        return np.asarray(gradient / curvature[0])
    if len(gradient) == 2:  # many times faster than a call for each matrix
        (a, b), (_, c) = curvature
        determinant = a * c - b * b
        steps = np.stack([c * gradient[0] - b * gradient[1], a * gradient[1] - b * gradient[0]])
        return np.asarray(steps / determinant)
    if len(gradient) == 3:
        return _solve_three(curvature, gradient)
    matrices = np.moveaxis(curvature, (0, 1), (-2, -1))
    solved = np.linalg.solve(matrices, np.moveaxis(gradient, 0, -1)[..., None])[..., 0]
    return np.asarray(np.moveaxis(solved, -1, 0), dtype=np.float64)


def _solve_three(curvature: FloatArray, gradient: FloatArray) -> FloatArray:
    """Solve three equations by cofactors."""
    (a, b, c), (_, d, e), (_, _, f) = curvature
    rows = (
        (d * f - e * e, c * e - b * f, b * e - c * d),
        (c * e - b * f, a * f - c * c, b * c - a * e),
        (b * e - c * d, b * c - a * e, a * d - b * b),
    )
    determinant = a * rows[0][0] + b * rows[0][1] + c * rows[0][2]
    steps = [sum(cofactor * g for cofactor, g in zip(row, gradient, strict=True)) for row in rows]
    return np.asarray(np.stack(steps) / determinant)


def _scale(located: Located) -> Located:
    """Add the root of the conditional covariance at the modes."""
    mode, columns, rows = located.mode, located.columns, located.rows
    n_axes = len(mode)
    if not n_axes:
        return located._replace(root=np.empty((0, 0, *mode.shape[1:])))
    second = located.family.derivatives(predict_at(located, mode), located.response, located.dispersion).second
    if rows.counts is not None:
        second = second * rows.counts[:, None]
    second = np.where(np.isfinite(second), second, 0.0)
    if n_axes == 1:
        curvature = np.maximum(1.0 - rows.sum(second * columns[0] ** 2), _LEAST_CURVATURE)
        return located._replace(root=curvature[None, None] ** -0.5)
    hessian = np.empty((*mode.shape[1:], n_axes, n_axes))
    for k in range(n_axes):
        for j in range(k + 1):
            hessian[..., k, j] = hessian[..., j, k] = (k == j) - rows.sum(second * columns[k] * columns[j])
    return located._replace(root=np.moveaxis(_covariance_root(hessian, located.family.concave), (-2, -1), (0, 1)))


def _covariance_root(hessian: FloatArray, concave: bool) -> NDArray[np.float64]:
    """Return the lower triangular root of the inverse of each matrix (..., axis, axis), whose eigenvalues are kept
    above a floor where the likelihood is not concave, or its curvature so large that rounding makes some negative."""
    usable = np.asarray(np.isfinite(hessian).all(axis=(-2, -1)))[..., None, None]
    hessian = np.asarray(np.where(usable, hessian, np.eye(hessian.shape[-1])), dtype=np.float64)
    if concave:
        try:
            return _invert_root(hessian)
        except np.linalg.LinAlgError:
            pass
    values, vectors = np.linalg.eigh(hessian)
    # eigenvalues are known to rounding of the largest
    values = np.maximum(values, np.maximum(_LEAST_CURVATURE, 1e-14 * values[..., -1:]))
    return _invert_root(np.einsum("...ik,...k,...jk->...ij", vectors, values, vectors))


def _invert_root(matrices: FloatArray) -> NDArray[np.float64]:
    """Return the lower triangular root of the inverse, from the Cholesky factor with axes in reverse order."""
    flipped = np.linalg.cholesky(matrices[..., ::-1, ::-1])[..., ::-1, ::-1]
    # a general inverse, whose pivoting may leave rounding above the diagonal
    return np.asarray(np.tril(np.linalg.inv(np.swapaxes(flipped, -1, -2))))
