"""What a model with several factors costs, told before it is paid."""

from __future__ import annotations

from partialpool.errors import ComputationError
from partialpool.numerics.memory import find_memory
from partialpool.reductions.several.cells import Cells, count_pairs
from partialpool.reductions.several.elimination_plan import EliminationPlan

# Measured at the peak of building the couplings' map: 19 million pairs took 1.8 GB.
_BYTES_A_PAIR = 95.0
# Copies of the chain's blocks while a gradient is computed.
_CHAIN_COPIES = 5
# Share of the memory that one model may take.
_SHARE = 0.9


def check_pairs(cells: tuple[Cells, ...], names: tuple[str, ...]) -> None:
    """Raise ``ComputationError`` where the levels that meet are too many to be listed, before they are."""
    total = 0.0
    for k, first in enumerate(cells):
        for m in range(k, len(cells)):
            effects = first.values.shape[1] * cells[m].values.shape[1]
            leading = len(first.values) * (len(first.values) + 1) / 2
            total += count_pairs(first.start, cells[m].start, k == m) * effects * leading
    _check(total * _BYTES_A_PAIR, f"{total:.2g} products of levels of {_list(names)} that meet")


def check_plan(plan: EliminationPlan, names: tuple[str, ...]) -> None:
    """Raise ``ComputationError`` where the plan's dense blocks do not fit in memory, before they are allocated."""
    if plan.chain is None:
        return
    factors = tuple(names[place] for place in plan.chain.places)
    order = plan.chain.n_columns
    _check(8.0 * _CHAIN_COPIES * plan.chain.storage, f"a matrix of order {order:,} for the effects of {_list(factors)}")


def _check(needed: float, what: str) -> None:
    there = find_memory()
    if needed > _SHARE * there:
        raise ComputationError(
            f"the model needs about {needed / 1e9:.0f} GB for {what}; there are {there / 1e9:.0f} GB: leave out a "
            "factor or take one with fewer levels, or use a machine with more memory"
        )


def _list(names: tuple[str, ...]) -> str:
    return " and ".join(names)
