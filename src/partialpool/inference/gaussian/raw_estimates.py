"""Each group's own least-squares estimate, from sufficient statistics (a single factor)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partialpool.numerics.arrays import FloatArray
from partialpool.reductions.cross_products import CrossProducts


def raw_estimates(
    cross: CrossProducts, shifted: FloatArray, coefficient: float, effect: int, common: Sequence[int] = ()
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each group's own least-squares value of one effect, its sd over sigma, (group,) each, and its slopes.

    ``shifted`` (coefficient,) are scaled coefficients less the reference fit, which the columns that do not vary by
    group keep; ``coefficient`` is the population's value, to which the effect is added. The slopes (common, group) are
    the derivatives by those coefficients of the formula that do not vary by group, ``common``. NaN where the group's
    rows do not determine it.
    """
    per_common = cross.scaling.population[:, list(common)]
    left = cross.projection[:, -1] - np.einsum("mpg,p->mg", cross.projection[:, :-1], shifted)
    z = np.linalg.inv(cross.scaling.effects)[effect]
    if cross.n_effects == 1:
        root = cross.class_root[0, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            per = np.where(root > 0.0, z[0] / np.where(root > 0.0, root, 1.0), np.nan)
        per = per[cross.class_of]
        slopes = -per * (per_common.T @ cross.projection[0, :-1])
        return coefficient + per * left[0], np.abs(per), slopes
    roots = np.moveaxis(cross.class_root, -1, 0)
    inverse = np.linalg.pinv(roots, rcond=1e-9)
    seen = np.einsum("cij,cjk,i->ck", inverse, roots, z)
    determined = np.max(np.abs(seen - z), axis=1) < 1e-7 * np.max(np.abs(z))
    row = np.einsum("i,cim->cm", z, inverse)
    row[~determined] = np.nan
    row = row[cross.class_of]
    slopes = -np.einsum("gm,mpg,pc->cg", row, cross.projection[:, :-1], per_common, optimize=True)
    return coefficient + np.einsum("gm,mg->g", row, left), np.sqrt(np.sum(row * row, axis=1)), slopes
