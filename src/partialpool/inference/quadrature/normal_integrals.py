"""Groups' likelihoods integrated under many normals at once, for mixtures of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.inference.quadrature.mixture_marginal import place_normals
from partialpool.inference.quadrature.population_window import PopulationWindow
from partialpool.models.families.base import Family
from partialpool.numerics.arrays import FloatArray
from partialpool.numerics.mixtures.normal_mixture_problem import Integrate, NormalIntegrals
from partialpool.reductions.grouped_rows import GroupedRows


@dataclass(frozen=True)
class Parabolas:
    """Log likelihoods that are parabolas: their ``top``, its ``height`` and the ``sd`` there, (class,) each."""

    top: FloatArray
    height: FloatArray
    sd: FloatArray

    def integrate(self, means: FloatArray, sds: FloatArray) -> NormalIntegrals:
        """Return the closed form: the product of two normal densities is one."""
        own, away = self.sd[:, None], self.top[:, None] - means
        variance = own**2 + sds**2
        logs = self.height[:, None] - 0.5 * away**2 / variance + np.log(own) - 0.5 * np.log(variance)
        z, v = sds * away / variance, own**2 / variance
        return NormalIntegrals(logs, np.stack([z, z**2 + v, z**3 + 3.0 * z * v, z**4 + 6.0 * z**2 * v + 3.0 * v**2]))


def integrate_normals(
    family: Family, rows: GroupedRows, near: FloatArray, normals: AdaptiveHermite | PopulationWindow
) -> Integrate:
    """Return the integrals of ``rows``: in closed form where their log likelihoods are parabolas, else by quadrature.

    ``near`` (class,) is where the classes' likelihoods peak, so that nothing cancels.
    """
    limited = rows.response.censoring is not None or rows.response.lower_limit is not None
    if family.name == "gaussian" and family.link == "identity" and not limited:
        return find_parabolas(family, rows, near).integrate
    return lambda means, sds: NormalIntegrals(*normals.class_moments(place_normals(means, sds)))


def find_parabolas(family: Family, rows: GroupedRows, near: FloatArray) -> Parabolas:
    """Return the parabolas from their values and derivatives ``near`` (class,) their tops."""
    eta = rows.spread(near) if rows.offset is None else rows.spread(near) + rows.offset
    found = family.derivatives(eta, rows.response, ())
    counts = 1.0 if rows.counts is None else rows.counts
    value, first, second = (
        rows.sum((part * counts)[:, None])[:, 0] for part in (found.value, found.first, found.second)
    )
    variance = -1.0 / second
    return Parabolas(near + first * variance, value + 0.5 * first**2 * variance, np.sqrt(variance))
