"""Legal priors that mislead, and why."""

from __future__ import annotations

import math

from partialpool.models.priors.base import Prior
from partialpool.models.priors.scale import InverseGamma

SMALL = 0.1
"""InverseGamma shape and scale up to which the prior is cautioned against; texts use .1, .01 and .001."""


def prior_caution(prior: Prior) -> str | None:
    """Return why ``prior`` is known to mislead on a group-level sd, or None.

    InverseGamma(small, small), once thought vague, peaks near 0 (Gelman 2006): where the data leave small
    values plausible the answer follows the peak.
    """
    if not isinstance(prior, InverseGamma) or prior.shape > SMALL or prior.scale > SMALL:
        return None
    on_sd = prior.on == "sd"
    peak = prior.scale / (prior.shape + 1) if on_sd else math.sqrt(prior.scale / (prior.shape + 0.5))
    return (
        f"{prior} is informative near zero: its density has a sharp peak at sd = {peak:.2g}, so with few "
        f"groups or a small sd the answer changes with the scale {prior.scale:g}, however vague that looks "
        "(Gelman 2006); HalfNormal, HalfCauchy, or Flat with enough groups do not do this"
    )
