"""Populations whose form the data decide: a finite mixture of normals, and the nonparametric distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from partialpool.errors import DataError

MOST_COMPONENTS = 20


@dataclass(frozen=True)
class EstimatedPopulation(ABC):
    """A population that is estimated by maximum likelihood instead of averaged over: it has no ``Population`` density
    with a fixed set of parameters."""

    name: ClassVar[str]

    @abstractmethod
    def describe(self) -> str:
        """Return the population in words."""


@dataclass(frozen=True)
class NormalMixture(EstimatedPopulation):
    """A mixture of ``components`` normals on the linear predictor's scale."""

    name: ClassVar[str] = "mixture"

    components: int

    def __post_init__(self) -> None:
        count = self.components
        if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MOST_COMPONENTS:
            raise DataError(
                f"population mixture: components={count!r} is no number of components: give a whole number from 2 to "
                f"{MOST_COMPONENTS} (for one component, population='normal')"
            )

    def describe(self) -> str:
        """The number of components."""
        return f"a mixture of {self.components} normals"


@dataclass(frozen=True)
class Nonparametric(EstimatedPopulation):
    """Any distribution: the nonparametric maximum likelihood estimate of Kiefer and Wolfowitz (1956), which sits on a
    finite number of points (Laird 1978)."""

    name: ClassVar[str] = "nonparametric"

    def describe(self) -> str:
        """What it is."""
        return "the nonparametric maximum likelihood estimate"
