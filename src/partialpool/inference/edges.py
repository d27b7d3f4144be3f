"""Estimates at the edge of their space: an sd at 0, a correlation at +-1. Said with the estimate, because they are
where the likelihood happens to be highest and no finding that groups are alike or effects tied."""

from __future__ import annotations

import numpy as np

from partialpool.models.space.hyperspace import HyperPoints, HyperSpace

# Below this share of its guess an sd is 0; correlations this near to 1 are 1, and so for covariances left over.
_ZERO, _ONE = 1e-5, 1e-8


def describe_edges(space: HyperSpace, point: HyperPoints) -> str:
    """Return which sds and correlations of one point are at their edges, '' for none.

    Three or more effects may be tied without any two of them being so: the covariance of their factor is singular.
    """
    roots = point.effect_root[..., 0]
    sds = np.sqrt(np.sum(roots * roots, axis=1))
    zero = [
        bool(sd <= _ZERO * hyper.guess) and hyper.given is None
        for sd, hyper in zip(sds, space.effect_sds, strict=False)
    ]
    said = [f"{hyper.name} is estimated at 0" for hyper, at in zip(space.effect_sds, zero, strict=True) if at]
    for block in space.blocks:
        places = [place for place in block.positions if not zero[place]]
        unit = roots[places] / sds[places, None]
        correlations = unit @ unit.T
        names = iter(block.names)
        tied = []
        for i, first in enumerate(block.positions):
            for second in block.positions[i + 1 :]:
                name = next(names)
                if not (zero[first] or zero[second]):
                    value = float(correlations[places.index(first), places.index(second)])
                    if abs(value) >= 1.0 - _ONE:
                        tied.append(f"{name} is estimated at {'1' if value > 0 else '-1'}")
        if not tied and len(places) > 1 and np.linalg.eigvalsh(correlations)[0] < _ONE:
            effects = ", ".join(space.effect_sds[place].name for place in places)
            tied.append(f"the covariance behind {effects} is estimated to be singular")
        said += tied
    return ", ".join(said)
