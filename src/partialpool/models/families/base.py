"""The contract of a likelihood family: elementwise log densities of the response given the linear predictor.

A family is a pure function of arrays. It knows nothing of groups, populations or priors, and broadcasts: ``eta`` has
any shape, the response's columns and the dispersion parameters any shape that broadcasts with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inputs.columns.places import suggest_spelling
from partialpool.inputs.roles.role import DescribeRow
from partialpool.numerics.arrays import FloatArray, IntArray

#: What a group is called on the response's scale: a probability, a rate per unit of exposure, or a mean.
ResponseName = Literal["p", "rate", "mean"]
#: Where an unknown parameter of a family lives.
Support = Literal["positive", "unit interval", "line"]
#: How rows of equal predictors become one: sums of values and sizes are sufficient, or only equal rows collapse.
Merging = Literal["sums", "equal"]


@dataclass(frozen=True)
class ResponseColumns:
    """What a family reads of every row, each (row,) or expanded to broadcast with eta.

    ``values`` are successes, counts or measurements; ``sizes`` trials or exposures, one where there are none;
    ``standard_errors`` the known noise sds. ``censoring`` is -1 where the value is at most ``values``, 1 where it is at
    least ``values``, 2 where it lies between ``values`` and ``upper``, 0 where it is observed; None for no censoring.
    ``lower_limit`` and ``upper_limit`` are the bounds outside which a row would not be in the data (infinite for none).
    ``zero_columns`` (row, coefficient) are the covariates of structural zeros.
    """

    values: FloatArray
    sizes: FloatArray
    standard_errors: FloatArray | None = None
    censoring: IntArray | None = None
    upper: FloatArray | None = None
    lower_limit: FloatArray | None = None
    upper_limit: FloatArray | None = None
    zero_columns: FloatArray | None = None

    def _map(self, change) -> ResponseColumns:  # type: ignore[no-untyped-def]
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        changed: dict[str, Any] = {name: None if array is None else change(array) for name, array in arrays.items()}
        return replace(self, **changed)

    def select(self, rows: IntArray) -> ResponseColumns:
        """Return some of the rows."""
        return self._map(lambda array: array[rows])

    def expand(self, n_axes: int) -> ResponseColumns:
        """Return the columns (row, 1, ...) with ``n_axes`` axes of length one behind."""
        return self._map(lambda array: array.reshape(array.shape + (1,) * n_axes))


class Derivatives(NamedTuple):
    """The log density and its ``first`` and ``second`` derivatives by eta, and ``by_dispersion``, one array for each
    unknown dispersion parameter by its natural value; all of the broadcast shape."""

    value: FloatArray
    first: FloatArray
    second: FloatArray
    by_dispersion: tuple[FloatArray, ...] = ()


class ResponseNoise(NamedTuple):
    """A response given its number m on the response's scale: it has mean ``factor`` m and variance ``constant`` +
    ``linear`` m + ``square`` m^2; each broadcasts with m, and is infinite where a moment does not exist."""

    factor: FloatArray | float
    constant: FloatArray | float
    linear: FloatArray | float
    square: FloatArray | float


@dataclass(frozen=True)
class Family(ABC):
    """A likelihood family with its ``link``; frozen and comparable by value.

    ``links`` are those it may have, the default first. ``dispersions`` names the parameters beside eta that are unknown
    ('sigma', 'shape', 'concentration', 'nu', 'zero'), in the order in which their values are passed; ``supports`` says
    where each lives.
    """

    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]
    merging: ClassVar[Merging] = "equal"
    response_name: ClassVar[ResponseName] = "mean"
    #: Whether the response is a count, so that predictive draws are integers.
    discrete: ClassVar[bool] = False
    #: Whether the likelihood of several rows has one peak in eta: rows in conflict may give a Student-t one more.
    single_peaked: ClassVar[bool] = True
    #: Whether zeros may be structural, so that one does not bound its linear predictor.
    zero_inflated: ClassVar[bool] = False
    #: Time of one log density beside the binomial's under the logit link, by which work is planned.
    cost: ClassVar[float] = 1.0

    link: str

    def __post_init__(self) -> None:
        if self.link not in self.links:
            raise DataError(
                f"link={self.link!r} with family='{self.name}'{suggest_spelling(str(self.link), self.links)}: "
                f"its links are {', '.join(self.links)}"
            )
        for name in self.arguments:
            value = getattr(self, name)
            if value is not None and not 0.0 < value < np.inf:
                raise DataError(
                    f"{name}={value!r} with family='{self.name}': give a positive number, or leave it out to learn it"
                )

    def __str__(self) -> str:
        """The text that ``read_family`` takes: 'gaussian', "student_t(nu=4, link='log')"."""
        given = {name: getattr(self, name) for name in self.arguments}
        said = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        if self.link != self.links[0]:
            said.append(f"link={self.link!r}")
        if getattr(self, "known_noise", False):
            said.append("known_noise=True")
        return f"{self.name}({', '.join(said)})" if said else self.name

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the dispersion parameters that may be fixed to a number, None where they are unknown."""
        return tuple(field.name for field in fields(self) if field.name not in ("link", "known_noise", "zero_names"))

    @property
    def concave(self) -> bool:
        """Whether the log density is concave in eta whatever the response, its censoring and its truncation."""
        return True

    @property
    def dispersions(self) -> tuple[str, ...]:
        """The names of the unknown dispersion parameters."""
        return ()

    @property
    def supports(self) -> tuple[Support, ...]:
        """Where each of them lives."""
        return tuple("positive" for _ in self.dispersions)

    @abstractmethod
    def log_density(self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]) -> FloatArray:
        """Return the log density of each row up to ``log_constant``; -inf where eta is outside the link's range."""

    @abstractmethod
    def derivatives(
        self, eta: FloatArray, response: ResponseColumns, dispersion: tuple[FloatArray, ...]
    ) -> Derivatives:
        """Return the log density as ``log_density`` gives it, with its derivatives."""

    def log_constant(self, response: ResponseColumns) -> FloatArray:
        """Return the terms (row,) of the log density that hold neither eta nor a dispersion."""
        return np.zeros(response.values.shape)

    @abstractmethod
    def response_scale(self, eta: FloatArray) -> FloatArray:
        """Return eta on the response's scale: probability, rate or mean (the inverse link)."""

    @abstractmethod
    def linear_scale(self, mean: FloatArray) -> FloatArray:
        """Return probability, rate or mean on eta's scale (the link)."""

    def settle(self, dispersion: tuple[FloatArray, ...], zero_columns: FloatArray | None) -> tuple[FloatArray, ...]:
        """Return the parameters that rows have, as ``draw`` and ``mean`` take them: a probability of structural zeros
        where it has ``zero_columns`` (row, coefficient, ...), else the dispersions as they are."""
        return dispersion

    def mean_share(self, settled: tuple[FloatArray, ...]) -> FloatArray:
        """Return by what a number on the response's scale is multiplied to give the mean of a row (per trial or unit of
        exposure): less than one where rows may be structural zeros."""
        return np.asarray(1.0)

    @abstractmethod
    def draw(
        self,
        eta: FloatArray,
        sizes: FloatArray,
        standard_errors: FloatArray | None,
        dispersion: tuple[FloatArray, ...],
        rng: np.random.Generator,
    ) -> FloatArray:
        """Draw one response for each element of the broadcast shape: counts of ``sizes`` trials or units of exposure,
        or measurements; censoring and truncation are not applied. ``dispersion`` is as ``settle`` returns it."""

    @abstractmethod
    def response_noise(
        self, sizes: FloatArray, standard_errors: FloatArray | None, dispersion: tuple[FloatArray, ...]
    ) -> ResponseNoise:
        """Return mean and variance of what ``draw`` draws, as functions of the response's scale times
        ``mean_share``; ``dispersion`` is as ``settle`` returns it."""

    def typical_eta(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, float]:
        """Return roughly where the rows' linear predictors lie, and their spread: the data's own scale for default
        priors. Rows are weighted by ``counts``; the spread is positive."""
        raise NotImplementedError

    def guess_dispersions(self, response: ResponseColumns, counts: FloatArray) -> tuple[float, ...]:
        """Return rough values of the unknown dispersions, as starting points."""
        return ()

    @abstractmethod
    def check(self, title: str, response: ResponseColumns, where: DescribeRow) -> None:
        """Raise ``DataError`` for values (row,) that the family cannot have; ``title`` as in "response 'y'",
        ``where`` describes a row."""
