"""How the factors' effects leave, in words, with the predicted cost of one evaluation."""

from __future__ import annotations

from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inputs.columns.places import count_things
from partialpool.reductions.several.remaining_factors import RemainingFactors


def describe_elimination(marginal: GaussianMarginal, names: tuple[str, ...]) -> str:
    """Return the order of elimination, the predicted time of one evaluation, and the memory it takes.

    ``names`` are the factors' in the design's order.
    """
    statistics = marginal.statistics
    if not names:
        return ""
    cross = statistics.cross
    designs = f"{cross.n_classes:,} designs" if cross.n_classes > 1 else "one design"
    groups = count_things(cross.n_groups, "group")
    parts = [f"{names[statistics.leading]} leaves group by group ({groups}, {designs})"]
    megabytes = 8e-6 * cross.n_effects**2 * (4.0 * cross.n_classes + cross.n_groups)
    if statistics.remaining is not None:
        parts += _describe_remaining(statistics.remaining, names)
        megabytes += 8e-6 * statistics.remaining.numbers_a_node
    cost = f"predicted for one evaluation: {_write_seconds(marginal.seconds)}, {max(megabytes, 0.1):.2g} MB"
    return f"{', then '.join(parts)}; {cost}"


def _describe_remaining(remaining: RemainingFactors, names: tuple[str, ...]) -> list[str]:
    named = [names[position] for position in remaining.positions]
    parts = [f"{named[step.place]} level by level" for step in remaining.plan.steps]
    chain = remaining.plan.chain
    if chain is None:
        return parts
    last = " and ".join(named[place] for place in chain.places)
    if len(chain.sizes) == 1:
        return [*parts, f"{last} as a dense matrix of order {chain.n_columns:,}"]
    return [*parts, f"{last} as {len(chain.sizes):,} dense blocks of order up to {max(chain.sizes):,}"]


def _write_seconds(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{1e6 * seconds:.2g} microseconds"
    return f"{1e3 * seconds:.2g} ms" if seconds < 1.0 else f"{seconds:.2g} s"
