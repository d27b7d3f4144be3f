"""Conditional moments computed in long runs and handed out in short slices.

With several factors every call factors the precision of the effects at each node, whatever the number of quantities:
20,000 predictions asked for 12 to 50 at a time took 70 seconds, of which this leaves 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from partialpool.inference.gaussian.conditional import ConditionalMoments
from partialpool.inference.hyper.mixture import ItemMoments

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Numbers that the arrays of one run may hold (128 MB; temporary ones take as much again).
_NUMBERS = 2**24


def hold_runs(posterior: Fitted, moments: ItemMoments, n_nodes: int, n_items: int) -> ItemMoments:
    """Return the same moments, computed for as many items at a time as memory allows; with one factor as they are."""
    if len(posterior.model.groups) < 2:
        return moments
    # for each node and item: mean, variance, noise, and a vector over the coefficients twice
    length = max(1, _NUMBERS // (n_nodes * (4 + 2 * len(posterior.model.design.population.names))))
    held: dict[int, ConditionalMoments] = {}

    def serve(part: slice) -> ConditionalMoments:
        size = part.stop - part.start
        start = next(iter(held), None)
        if start is None or part.start < start or part.stop > start + held[start].mean.shape[1]:
            held.clear()
            start = part.start
            held[start] = moments(slice(start, min(start + max(length, size), n_items)))
        within = slice(part.start - start, part.stop - start)
        return ConditionalMoments(*(values[:, within] for values in held[start]))

    return serve
