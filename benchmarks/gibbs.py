"""A Gibbs sampler for Gaussian models with several factors and correlated slopes, written without the library's algebra.

Coefficients and all effects are drawn together from their normal conditional; sigma, population sds and Fisher z of the
correlations by slices, the sds both given the effects and given the effects over their sds, which mixes near zero where
neither alone would. Priors are evaluated by scipy where they are stated: at the columns' means or at their zero.

Source: Yu and Meng (2011), J. Computational and Graphical Statistics 20:531-570 (interweaving); Neal (2003), Annals of
Statistics 31:705-767 (slices).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import solve_triangular

import partialpool as pp

FloatArray = NDArray[np.float64]

_WARM_UP = 1000
_BATCHES = 10
_WIDTH = 1.0


@dataclass
class _Block:
    """Effects of one factor that are correlated among themselves, or one alone: columns (row, effect), codes (row,)."""

    columns: FloatArray
    codes: NDArray[np.intp]
    n_levels: int
    names: list[str]
    log_priors: list[Callable[[float], float]]
    shape: float
    shift: FloatArray  # from the stated effects to those of the formula's own columns
    start: int = 0

    @property
    def places(self) -> NDArray[np.intp]:
        """Where the effects are among all unknowns, (effect, level)."""
        order = len(self.names)
        return self.start + np.arange(order * self.n_levels).reshape(order, self.n_levels)


def _log_prior(prior: Any) -> Callable[[float], float]:
    """Return the log density of a prior of an sd, up to a constant."""
    if isinstance(prior, pp.HalfStudentT):
        return lambda sd: -0.5 * (prior.nu + 1) * float(np.log1p((sd / prior.sigma) ** 2 / prior.nu))
    if isinstance(prior, pp.HalfCauchy):
        return lambda sd: -float(np.log1p((sd / prior.scale) ** 2))
    if isinstance(prior, pp.Exponential):
        return lambda sd: -prior.rate * sd
    raise TypeError(f"{prior!r} is not among the recipe's priors")


def _blocks(fit: Any, start: int) -> list[_Block]:
    blocks = []
    for group in fit.model.groups:
        for places in group.blocks:
            order = len(places)
            names = [group.sd_names[k] for k in places]
            correlation = [p for name, p in fit.model.priors.items() if name.startswith(f"cor({group.name}")]
            columns, shift = group.values[:, list(places)].astype(float), np.eye(order)
            at_means = order > 1 and getattr(correlation[0], "at", "zero") == "means"
            for k in range(1, order) if at_means else ():
                shift[0, k] = -columns[:, k].mean()
            columns = columns @ np.linalg.inv(shift.T).T if False else columns + 0.0
            for k in range(1, order) if at_means else ():
                columns[:, k] -= columns[:, k].mean()
            block = _Block(
                columns,
                group.codes,
                group.n_levels,
                names,
                [_log_prior(fit.model.priors[name]) for name in names],
                correlation[0].eta if order > 1 else 1.0,
                shift,
                start,
            )
            start += order * group.n_levels
            blocks.append(block)
    return blocks
