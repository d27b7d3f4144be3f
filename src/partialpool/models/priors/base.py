"""The contract of a prior: its density, its support, its tails, and text that parses back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from partialpool.errors import PriorError

FloatArray = NDArray[np.float64]
Kind = Literal["coefficient", "scale", "correlation", "shape", "probability", "pair"]


@dataclass(frozen=True)
class Prior(ABC):
    """A prior distribution, frozen and comparable by value.

    ``kinds`` names the parameters it suits. ``str`` gives the compact form for printing, ``repr`` the exact
    form for saving; ``parse_prior`` reads both.
    """

    kinds: ClassVar[frozenset[Kind]]
    #: Whether texts also write it with its location, 0, before the scale: HalfCauchy(0, 2).
    may_name_zero: ClassVar[bool] = False

    @property
    @abstractmethod
    def proper(self) -> bool:
        """Whether the density integrates to 1."""

    def __str__(self) -> str:
        rounded = {name: shorten(value) for name, value in self._arguments().items() if (name, value) != ("at", "zero")}
        try:  # rounding may leave the legal range: Uniform(1.00001, 1.00002), PCPrior(1, 0.99999)
            type(self)(**{name: _read_back(text) for name, text in rounded.items()})
        except PriorError:
            rounded = {name: repr(value) for name, value in self._arguments().items() if name in rounded}
        by_name = {argument.name for argument in fields(self) if argument.kw_only}
        texts = [f"{name}={text}" if name in by_name else text for name, text in rounded.items()]
        return f"{type(self).__name__}({', '.join(texts)})"

    def _arguments(self) -> dict[str, Any]:
        ordered = sorted(fields(self), key=lambda argument: bool(argument.kw_only))
        return {argument.name: getattr(self, argument.name) for argument in ordered}

    def _set(self, argument: str, value: float) -> None:
        object.__setattr__(self, argument, value)

    def _set_finite(self, *arguments: str) -> None:
        for argument in arguments:
            value = read_number(self, argument, getattr(self, argument))
            if not math.isfinite(value):
                raise argument_error(self, argument, value, "give a finite number")
            self._set(argument, value)

    def _set_positive(self, *arguments: str, instead: str = "") -> None:
        for argument in arguments:
            value = read_number(self, argument, getattr(self, argument))
            if not (0.0 < value < math.inf):
                remedy = instead if instead and value == math.inf else "give a positive, finite number"
                raise argument_error(self, argument, value, remedy)
            self._set(argument, value)


class ScalarPrior(Prior):
    """A prior on one number: a coefficient, or a standard deviation on its own scale."""

    @property
    def support(self) -> tuple[float, float]:
        """The closed interval outside which the density is 0."""
        return (0.0, math.inf)

    @property
    def proper(self) -> bool:
        """Whether the density integrates to 1."""
        return True

    @property
    @abstractmethod
    def tail_exponent(self) -> float:
        """The a in density ~ value^-a as value goes to infinity; inf for exponential or lighter tails."""

    @property
    def zero_exponent(self) -> float:
        """The b in density ~ value^b as value falls to 0; inf where the density vanishes faster."""
        return 0.0

    @property
    def even(self) -> bool:
        """Whether the density of a positive number goes on smoothly as an even function through 0."""
        return False

    def log_density(self, values: ArrayLike) -> FloatArray:
        """Return the log density at each of ``values`` (any shape), in the same shape.

        Normalised where the prior is proper, else the log of the density named by the prior; -inf outside
        the support; the limit from inside at its ends (inf where the density is unbounded there).
        """
        points = np.asarray(values, dtype=np.float64)
        lower, upper = self.support
        with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
            logs = self._log_density(points)
        return np.where((points < lower) | (points > upper), -np.inf, logs)

    def quantile(self, probabilities: ArrayLike) -> FloatArray:
        """Return the values below which the given ``probabilities`` (any shape) lie, in the same shape.

        Quantiles of uniform random numbers are draws from the prior.

        Raises:
            PriorError: the prior is improper, or a probability is outside [0, 1].
        """
        if not self.proper:
            raise PriorError(f"{self}: an improper prior has no quantiles; give a proper prior to draw from it")
        points = np.asarray(probabilities, dtype=np.float64)
        if not np.all((points >= 0) & (points <= 1)):
            raise PriorError(f"{self}: quantiles are asked for outside [0, 1]: give probabilities")
        with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
            return np.asarray(self._quantile(points), dtype=np.float64)

    @abstractmethod
    def _log_density(self, values: FloatArray) -> FloatArray:
        """The log density inside the support; anything outside it."""

    def _quantile(self, probabilities: FloatArray) -> FloatArray:
        raise NotImplementedError  # only for improper priors, which quantile() has refused


def read_number(prior: Prior, argument: str, value: object) -> float:
    """Return ``value`` as a float, or raise a PriorError naming the prior and the argument."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if isinstance(value, bool) or not isinstance(value, Real):
        raise argument_error(prior, argument, value, "give a number")
    try:
        number = float(value)
    except OverflowError:
        number = -math.inf if value < 0 else math.inf
    if math.isnan(number):
        raise argument_error(prior, argument, number, "give a number")
    return number


def argument_error(prior: Prior, argument: str, value: object, remedy: str) -> PriorError:
    """Return the error for one argument: which prior, which argument, its value, and what to give instead."""
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    return PriorError(f"{type(prior).__name__}: {argument} is {shown}: {remedy}")


def shorten(value: object) -> str:
    """Four digits, all digits of whole numbers: '5', '0.01', '2.667'."""
    if not isinstance(value, float):
        return repr(value)
    text = f"{int(value)}" if abs(value) < 1e6 and value.is_integer() else f"{value:.4g}"
    return repr(value) if math.isinf(float(text)) and math.isfinite(value) else text


def _read_back(text: str) -> object:
    return text.strip("'") if text.startswith("'") else float(text)
