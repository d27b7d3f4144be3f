"""What a reader of a factor's groups must know to read their numbers: where they are reported, and on what points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.models.latent_model import LatentModel
from partialpool.models.populations.support import SupportPopulation
from partialpool.numerics.arrays import FloatArray

if TYPE_CHECKING:
    from partialpool.models.model import Model
    from partialpool.results.fitted import Fitted

#: Zero is far from a column whose mean is more sds away from it than this, and which is nowhere on its other side.
FAR = 10.0


class FarZero(NamedTuple):
    """A column of the formula whose zero lies far outside its data: its ``mean``, ``sds`` away from zero."""

    name: str
    mean: float
    sds: float
    numeric: bool

    @property
    def remedy(self) -> str:
        """How the formula can have the column's zero at its mean."""
        return f"center({self.name})" if self.numeric else f"a centred {self.name}"


def find_far_zeros(model: Model, factor: int) -> list[FarZero]:
    """Return the columns at whose far zero a factor's groups are reported; none where only slopes vary by group."""
    design, group = model.design, model.groups[factor]
    if "Intercept" not in group.names:
        return []
    columns = dict(zip(design.population.names, design.population.values.T, strict=True))
    columns |= dict(zip(group.names, group.values.T, strict=True))
    return [found for name, values in columns.items() for found in _measure(model, name, values)]


def _measure(model: Model, name: str, values: FloatArray) -> Iterator[FarZero]:
    mean, sd = float(np.mean(values)), float(np.std(values))
    if name != "Intercept" and sd > 0.0 and abs(mean) > FAR * sd and np.all(values * np.sign(mean) > 0.0):
        levels = model.design.column_levels
        yield FarZero(name, mean, abs(mean) / sd, name in levels and levels[name] is None)


def note_far_zero(posterior: Fitted, factor: int) -> tuple[str, ...]:
    """Return a note where a factor's groups are reported far outside the data."""
    lines = "groups" if posterior.model.groups[factor].names == ("Intercept",) else "lines of the Intercept"
    return _say_far_zero(lines, find_far_zeros(posterior.model, factor))


def note_far_intercepts(posterior: Fitted) -> tuple[str, ...]:
    """Return notes for the table of the population, where an intercept and its sd are far outside the data because
    slopes vary as well."""
    return tuple(
        note
        for factor, group in enumerate(posterior.model.groups)
        if len(group.names) > 1 and "Intercept" in group.names
        for note in _say_far_zero(
            f"the Intercept and {group.sd_names[group.names.index('Intercept')]}",
            find_far_zeros(posterior.model, factor),
        )
    )


def _say_far_zero(lines: str, far: Sequence[FarZero]) -> tuple[str, ...]:
    if not far:
        return ()
    where = " and ".join(f"{each.name} = 0, {each.sds:,.0f} sds from its mean of {each.mean:.5g}" for each in far)
    remedies = " and ".join(each.remedy for each in far)
    return (
        f"{lines} are where {where}: write {remedies} in the formula for groups at the mean, or ask predict() for "
        "chosen rows",
    )


def caution_far_zero(posterior: Fitted, factor: int, name: str) -> str | None:
    """Return the same for a coefficient's axis, in one line."""
    far = find_far_zeros(posterior.model, factor)
    if name != "Intercept" or not far:
        return None
    if len(far) == 1:
        return f"{far[0].name} = 0 is {far[0].sds:,.0f} sds from its mean: {far[0].remedy}"
    return f"{', '.join(each.name for each in far)} = 0 is far outside the data: centre them"


def find_support(model: Model) -> FloatArray | None:
    """Return the points (point,) of an estimated population that consists of points, as linear predictors."""
    if isinstance(model, LatentModel) and isinstance(model.population, SupportPopulation):
        return model.population.points
    return None


def note_support(posterior: Fitted) -> tuple[str, ...]:
    """Return a note where quantiles are among the points of an estimated population."""
    points = find_support(posterior.model)
    if points is None:
        return ()
    if len(points) == 1:
        return (
            "the estimated population is one point: groups have neither sd nor interval, which is an estimate, not a "
            "finding",
        )
    return (
        f"quantiles are among the {len(points)} points of the estimated population: an interval of no width, or "
        "without the mean, does not say that a group is known",
    )


def note_groups(posterior: Fitted, factor: int) -> tuple[str, ...]:
    """Return the notes that stand below every table of a factor's groups."""
    return (*note_far_zero(posterior, factor), *note_support(posterior))
