"""Moving couplings, borders and inverses between factors' own arrays and the chain of dense blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.block_chain import Chain
from partialpool.reductions.several.elimination_plan import ChainLayout

if TYPE_CHECKING:
    from partialpool.reductions.several.remaining_factors import RemainingFactors


def fill_chain(
    remaining: RemainingFactors, layout: ChainLayout, entries: dict[tuple[int, int], FloatArray], n_nodes: int
) -> Chain:
    """Return I plus the couplings as a chain, of which only lower triangles are to be read."""
    storage = np.zeros((n_nodes, layout.storage))
    for pair, places in remaining.chain_places.items():
        values = entries[pair]
        for i in range(values.shape[0]):
            for k in range(values.shape[1]):
                storage[:, places[i, k]] = values[i, k].T
    chain = _view(layout, storage)
    for block in chain.diagonal:
        np.einsum("nii->ni", block)[...] += 1.0
    return chain


def read_chain(remaining: RemainingFactors, layout: ChainLayout, chain: Chain) -> dict[tuple[int, int], FloatArray]:
    """Return the blocks of a symmetric chain that the couplings have, (effect, effect, block, node)."""
    n_nodes = len(chain.diagonal[0])
    parts = [block.reshape(n_nodes, -1) for block in (*chain.diagonal, *chain.below)]
    storage = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return {pair: np.moveaxis(storage[:, places], 0, -1) for pair, places in remaining.chain_places.items()}


def to_chain_order(layout: ChainLayout, values: list[FloatArray]) -> FloatArray:
    """Return borders (effect, side, level, node) of the chain's factors as sides (node, column, side)."""
    flat = [part.transpose(3, 0, 2, 1).reshape(part.shape[3], -1, part.shape[1]) for part in values]
    together = np.concatenate(flat, axis=1)
    ordered = np.empty_like(together)
    ordered[:, layout.position] = together
    return ordered


def from_chain_order(remaining: RemainingFactors, layout: ChainLayout, values: FloatArray) -> list[FloatArray]:
    """Return sides (node, column, side) as (effect, side, level, node) for each of the chain's factors."""
    n_nodes, _, n_sides = values.shape
    together = values[:, layout.position]
    parts, start = [], 0
    for k in layout.places:
        stop = start + remaining.n_effects[k] * remaining.n_levels[k]
        part = together[:, start:stop].reshape(n_nodes, remaining.n_effects[k], remaining.n_levels[k], n_sides)
        parts.append(part.transpose(1, 3, 2, 0))
        start = stop
    return parts


def locate_in_storage(remaining: RemainingFactors, layout: ChainLayout) -> dict[tuple[int, int], IntArray]:
    """Return where each entry (effect, effect, block) of the couplings lies in the chain's storage."""
    ends = np.cumsum([0, *layout.sizes])
    sizes = np.array(layout.sizes)
    diagonal = np.concatenate([[0], np.cumsum(sizes**2)])
    below = diagonal[-1] + np.concatenate([[0], np.cumsum(sizes[1:] * sizes[:-1])])
    starts = dict(zip(layout.places, np.cumsum([0, *_columns(remaining, layout)]), strict=False))
    located = {}
    for coupling in remaining.couplings:
        pair = (coupling.first, coupling.second)
        if pair[0] not in starts or pair[1] not in starts:
            continue
        shape = (remaining.n_effects[pair[0]], remaining.n_effects[pair[1]], coupling.n_blocks)
        places = np.empty(shape, dtype=np.intp)
        for i in range(shape[0]):
            row = layout.position[starts[pair[0]] + i * remaining.n_levels[pair[0]] + coupling.row]
            for k in range(shape[1]):
                column = layout.position[starts[pair[1]] + k * remaining.n_levels[pair[1]] + coupling.column]
                low, high = np.minimum(row, column), np.maximum(row, column)
                of_low, of_high = (np.searchsorted(ends, part, side="right") - 1 for part in (low, high))
                inner = (high - ends[of_high]) * sizes[of_low] + low - ends[of_low]
                places[i, k] = np.where(of_low == of_high, diagonal[of_low], below[of_low]) + inner
        located[pair] = places
    return located


def _columns(remaining: RemainingFactors, layout: ChainLayout) -> list[int]:
    return [remaining.n_effects[k] * remaining.n_levels[k] for k in layout.places]


def _view(layout: ChainLayout, storage: FloatArray) -> Chain:
    """Return the chain whose blocks are views of the storage (node, entry)."""
    n_nodes, sizes = len(storage), layout.sizes
    diagonal, below, start = [], [], 0
    for size in sizes:
        diagonal.append(storage[:, start : start + size**2].reshape(n_nodes, size, size))
        start += size**2
    for size, following in pairwise(sizes):
        below.append(storage[:, start : start + size * following].reshape(n_nodes, following, size))
        start += size * following
    return Chain(diagonal, below)
