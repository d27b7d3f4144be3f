"""The leading factor's effects given the hyperparameters, factored once for a set of nodes and design classes.

Given a node, beta and u_j are jointly normal: u_j | beta has mean K R' (a_y - a_X beta) and covariance sigma^2 K with
K = L (I + L' R' R L)^-1 L', L the effects' relative root. Everything is a sum of positive terms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.small_matrices import factor_ldl, invert_unit_lower, lower_pairs, multiply
from partialpool.reductions.cross_products import CrossProducts


class EffectFactors(NamedTuple):
    """The effects' conditional distribution for each node and design class.

    With U D U' the inverse of I + (R L)'(R L), L the effects' relative root for scaled columns: ``inner`` is U D^(1/2)
    (effect, effect, node, class), ``outer`` is L (effect, effect, node) and ``back`` is L on the formula's scale. All
    exist where an effect's variance is zero as well.
    """

    inner: FloatArray
    outer: FloatArray
    back: FloatArray

    @property
    def root(self) -> FloatArray:
        """The root of the effects' conditional covariance over sigma^2, on the formula's scale, shaped as ``inner``."""
        return multiply(self.back[..., None], self.inner, right_is="upper")


def factor_effects(cross: CrossProducts, points: HyperPoints, classes: IntArray | slice) -> EffectFactors:
    """Factor the effects' conditional distribution once for a set of nodes and design classes."""
    outer = scaled_relative_root(cross, points)
    factor = factor_ldl(_identity_plus_congruence(outer, cross.class_gram[:, classes]))
    # pivots of I plus a positive matrix are 1 or more, but may round to less where the effects' sds are huge
    inner = invert_unit_lower(factor.lower).swapaxes(0, 1) / np.sqrt(np.maximum(factor.pivots, 1.0))
    return EffectFactors(inner, outer, points.effect_root / points.residual_sd)


def _identity_plus_congruence(root: FloatArray, gram: FloatArray) -> FloatArray:
    """Return I + root' M root (effect, effect, node, class), the lower triangle only, as products of matrices.

    ``root`` is (effect, effect, node), ``gram`` the lower triangles of M (pair, class).
    """
    order = len(root)
    result = np.zeros((order, order, root.shape[2], gram.shape[1]))
    for i in range(order):
        for j in range(i + 1):
            terms = [
                root[k, i] * root[k, j] if k == m else root[k, i] * root[m, j] + root[m, i] * root[k, j]
                for k, m in lower_pairs(order)
            ]
            np.matmul(np.stack(terms, axis=1), gram, out=result[i, j])
        result[i, i] += 1.0
    return result


def pull_of(factors: EffectFactors, root: FloatArray, class_root: FloatArray) -> FloatArray:
    """Return what takes projections' residuals to the effects' conditional means, (effect, projection, node, class).

    ``root`` is ``factors.root``, ``class_root`` R (effect, effect, class) of the same classes.
    """
    design = class_root[:, :, None].swapaxes(0, 1)
    inward = multiply(factors.outer[..., None].swapaxes(0, 1), design, right_is="lower")
    return multiply(root, multiply(factors.inner.swapaxes(0, 1), inward, left_is="lower"))


def scaled_relative_root(cross: CrossProducts, points: HyperPoints) -> FloatArray:
    """Return the effects' covariance root for scaled columns relative to the residual sd, (effect, effect, node)."""
    return multiply(cross.scaling.effects[:, :, None], points.effect_root) / points.residual_sd
