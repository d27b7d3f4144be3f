"""Rows within casks within batches by brute force: all own values on one grid, integrals as products with kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]


def kernel(grid: FloatArray, sd: float, centres: FloatArray | None = None) -> FloatArray:
    """Return probabilities (centre, point) of normal values about each centre, those of a centre adding to one."""
    centres = grid if centres is None else centres
    z = (grid - centres[:, None]) / sd
    density = np.exp(-0.5 * (z * z - np.min(z * z, axis=1, keepdims=True)))
    return density / density.sum(axis=1, keepdims=True)


def log_likelihood(
    log_rows: FloatArray, levels: Sequence[FloatArray], grid: FloatArray, sds: Sequence[float], mu: float
):
    """Return log p(y | mu, sds) of any number of nested levels.

    ``log_rows`` (row, point) are the rows' log densities along the grid, ``levels`` the codes (row,) of each factor
    from the finest to the coarsest, ``sds`` theirs.
    """
    logs, places = log_rows, np.arange(len(log_rows))
    for k, codes in enumerate(levels):
        parents = np.array([codes[np.flatnonzero(places == unit)[0]] for unit in range(len(logs))])
        summed = np.zeros((parents.max() + 1, len(grid)))
        np.add.at(summed, parents, logs)
        centres = grid if k + 1 < len(levels) else np.array([mu])
        peaks = summed.max(axis=1)
        logs = np.log(kernel(grid, sds[k], centres) @ np.exp(summed - peaks[:, None]).T).T + peaks[:, None]
        places = codes
    return float(logs.sum())


class Moments(NamedTuple):
    """log p(y), and posterior means and sds by name."""

    log_marginal_likelihood: float
    mean: dict[str, float]
    sd: dict[str, float]


@dataclass(frozen=True)
class NestedBrute:
    """Log densities of rows along a grid ``log_rows`` (row, point), casks (row,) and the batches of the casks (cask,),
    both numbered from 0; priors Normal(0, ``prior_sd``) and HalfNormal(``scale``) for both sds."""

    log_rows: FloatArray
    casks: FloatArray
    batches: FloatArray
    grid: FloatArray
    prior_sd: float
    scale: float

    def integrate(self, n: int = 20) -> Moments:
        """Return the posterior by Gauss-Legendre over both sds and the trapezoid rule over the intercept."""
        nodes, weights = np.polynomial.legendre.leggauss(n)
        t = 0.5 * (nodes + 1.0)
        sds = self.scale * t / (1.0 - t)
        widths = 0.5 * weights * self.scale / (1.0 - t) ** 2
        mus = np.linspace(-3.5 * self.prior_sd, 3.5 * self.prior_sd, 121)
        prior_mu = stats.norm.logpdf(mus, 0, self.prior_sd) + np.log(mus[1] - mus[0])
        prior_sd = stats.halfnorm.logpdf(sds, 0, self.scale) + np.log(widths)
        own = np.zeros((self.casks.max() + 1, len(self.grid)))
        np.add.at(own, self.casks, self.log_rows)
        log_weights, values = [], []
        above = [kernel(self.grid, sd, mus) for sd in sds]
        for j, sd in enumerate(sds):
            below = self._casks(own, sd)
            for i, outer in enumerate(above):
                log_own, found = self._batches(outer, mus, *below)
                log_weights.append(prior_mu + prior_sd[i] + prior_sd[j] + log_own)
                found |= {"Intercept": (mus, mus**2)}
                found |= {
                    name: (np.full(len(mus), at), np.full(len(mus), at**2))
                    for name, at in (("sd(a)", sds[i]), ("sd(b)", sd))
                }
                values.append(found)
        logs = np.concatenate(log_weights)
        total = float(np.logaddexp.reduce(logs))
        share = np.exp(logs - total)
        first = {name: float(share @ np.concatenate([each[name][0] for each in values])) for name in values[0]}
        second = {name: float(share @ np.concatenate([each[name][1] for each in values])) for name in values[0]}
        return Moments(total, first, {name: float(np.sqrt(second[name] - first[name] ** 2)) for name in first})

    def _casks(self, own: FloatArray, sd: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return log integrals (cask, point) by the batch's own value, and the mean and mean square of u."""
        inner = kernel(self.grid, sd)
        shift = self.grid - self.grid[:, None]
        peaks = own.max(axis=1)
        scaled = np.exp(own - peaks[:, None]).T
        total = inner @ scaled
        # far from the data nothing is left
        total = np.maximum(total, 1e-300)
        first, second = (inner * shift) @ scaled / total, (inner * shift**2) @ scaled / total
        return np.log(total).T + peaks[:, None], first.T, second.T

    def _batches(
        self, outer: FloatArray, mus: FloatArray, logs: FloatArray, first: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, dict[str, tuple[FloatArray, FloatArray]]]:
        summed = np.zeros((self.batches.max() + 1, len(self.grid)))
        np.add.at(summed, self.batches, logs)
        peaks = summed.max(axis=1)
        scaled = np.exp(summed - peaks[:, None])
        total = np.maximum(outer @ scaled.T, 1e-300)
        found = {}
        for batch, density in enumerate(scaled):
            moments = [outer @ (density * self.grid**power) / total[:, batch] for power in (1, 2)]
            found[f"theta[a={batch}]"] = (moments[0], moments[1])
            found[f"u[a={batch}]"] = (moments[0] - mus, moments[1] - 2 * mus * moments[0] + mus**2)
        for cask, batch in enumerate(self.batches):
            both = [outer @ (scaled[batch] * each[cask]) / total[:, batch] for each in (first, second)]
            found[f"u[b={cask}]"] = (both[0], both[1])
        return np.log(total).sum(axis=1) + peaks.sum(), found
