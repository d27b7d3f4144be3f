"""Links between a positive mean or rate and the linear predictor."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from partialpool.models.families.links import LARGEST_LOG, Curve
from partialpool.numerics.arrays import FloatArray

# Predictors below it are moved to it, so that no derivative overflows.
LEAST = 1e-100

_NIL = np.asarray(0.0)
_ONE = np.asarray(1.0)


class MeanLink(NamedTuple):
    """A mean as a function of eta, which is positive unless ``everywhere``: ``mean`` and ``log_mean`` with their
    derivatives, on a positive eta; ``response`` on any eta, the end of the range beyond it; its inverse ``linear``."""

    everywhere: bool
    mean: Callable[[FloatArray], Curve]
    log_mean: Callable[[FloatArray], Curve]
    response: Callable[[FloatArray], FloatArray]
    linear: Callable[[FloatArray], FloatArray]


def _exp_curve(eta: FloatArray) -> Curve:
    mean = np.exp(np.minimum(eta, LARGEST_LOG))
    return Curve(mean, mean, mean)


def _exp(eta: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(eta))


def _log(mean: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(mean))


def _power_log(power: float) -> Callable[[FloatArray], Curve]:
    """Return the log of eta to a power, with its derivatives."""

    def curve(eta: FloatArray) -> Curve:
        inverse = 1.0 / eta
        return Curve(power * np.log(eta), power * inverse, -power * inverse**2)

    return curve


def _inverse(eta: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / np.maximum(eta, 0.0))


def _inverse_curve(eta: FloatArray) -> Curve:
    inverse = 1.0 / eta
    return Curve(inverse, -(inverse**2), 2.0 * inverse**3)


MEAN_LINKS: dict[str, MeanLink] = {
    "log": MeanLink(True, _exp_curve, lambda eta: Curve(eta, _ONE, _NIL), _exp, _log),
    "sqrt": MeanLink(
        False,
        lambda eta: Curve(eta * eta, 2.0 * eta, 2.0 * _ONE),
        _power_log(2.0),
        lambda eta: np.asarray(np.maximum(eta, 0.0) ** 2),
        lambda mean: np.asarray(np.sqrt(mean)),
    ),
    "identity": MeanLink(
        False,
        lambda eta: Curve(eta, _ONE, _NIL),
        _power_log(1.0),
        lambda eta: np.asarray(np.maximum(eta, 0.0)),
        lambda mean: np.asarray(mean, dtype=np.float64),
    ),
    "inverse": MeanLink(False, _inverse_curve, _power_log(-1.0), _inverse, _inverse),
}
