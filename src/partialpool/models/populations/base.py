"""The contract of a population: the distribution of a group's parameter t on the linear predictor's scale.

Populations that live on the response's scale carry the Jacobian: a beta distribution of p is one of t = logit p, a
gamma distribution of a positive mean or rate one of t = its log. A population is a pure function of arrays: ``t`` and
the ``values`` of the parameters have any shapes that broadcast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from partialpool.numerics.arrays import FloatArray

#: The scale on which a population lives: the line, or one that needs a log link, or one that needs a logit link.
Support = Literal["line", "positive", "probability"]


class PopulationDerivatives(NamedTuple):
    """The log density ``value``, its first and second derivatives by t, and ``by_parameter``, one array for each
    unknown parameter by its natural value; all of the broadcast shape."""

    value: FloatArray
    by_t: FloatArray
    by_t2: FloatArray
    by_parameter: tuple[FloatArray, ...]


@dataclass(frozen=True)
class Population(ABC):
    """A population of groups' parameters; frozen and comparable by value.

    ``centred`` populations are of deviations about the linear predictor; the others replace the intercept. ``support``
    is the scale on which the distribution is named.
    """

    name: ClassVar[str]
    support: ClassVar[Support]
    centred: ClassVar[bool]

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """The names of the unknown parameters, in the order in which their values are passed."""

    @abstractmethod
    def log_density(self, t: FloatArray, values: tuple[FloatArray, ...]) -> FloatArray:
        """Return the log density of t, normalised on t's scale."""

    @abstractmethod
    def derivatives(self, t: FloatArray, values: tuple[FloatArray, ...]) -> PopulationDerivatives:
        """Return the log density as ``log_density`` gives it, with its derivatives."""

    @abstractmethod
    def window(self, values: tuple[FloatArray, ...], log_drop: float) -> tuple[FloatArray, FloatArray]:
        """Return an interval outside which the density is below exp(-``log_drop``) of its peak and each side holds no
        more mass than about that; the ends have the parameters' broadcast shape."""

    @abstractmethod
    def location_scale(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Return a place in the body of the density and the width of what is narrowest there.

        With ``stretch`` b the grid centre + scale sinh(b z) / b, equally spaced in z, resolves body and tails.
        """

    def stretch(self, values: tuple[FloatArray, ...]) -> FloatArray:
        """Return the b of ``location_scale``'s grid; 0 is the limit centre + scale z."""
        return np.zeros(np.broadcast_shapes(*[np.shape(value) for value in values]))

    @abstractmethod
    def draw(self, values: tuple[FloatArray, ...], shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw t of a ``shape`` with which the parameters broadcast."""

    @abstractmethod
    def mean_sd_response(self, values: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray]:
        """Return mean and sd of the parameter on its own scale: probability, rate, positive mean, or deviation.

        An infinite sd is inf, a mean that does not exist nan.
        """
