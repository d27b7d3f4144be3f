"""Links between a probability and the linear predictor, whose logs and derivatives hold at both ends.

Logs of p and of 1 - p are computed each on its own, so that neither is lost where the other is near one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from partialpool.models.families.normal_tails import hazard
from partialpool.numerics.arrays import FloatArray

# Beyond it squares of exp overflow; derivatives are kept finite there.
LARGEST_LOG = 340.0


class Curve(NamedTuple):
    """A function of eta with its first and second derivatives."""

    value: FloatArray
    first: FloatArray
    second: FloatArray


class ProbabilityLink(NamedTuple):
    """A probability as a function of eta: ``probability`` and its inverse ``linear``; ``logs`` gives log p and
    log(1 - p), ``curves`` the same with their derivatives."""

    probability: Callable[[FloatArray], FloatArray]
    linear: Callable[[FloatArray], FloatArray]
    logs: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    curves: Callable[[FloatArray], tuple[Curve, Curve]]


def log_sigmoid(eta: FloatArray) -> FloatArray:
    """Return log(1 / (1 + exp(-eta))) without loss at either end."""
    # faster than logaddexp by half: exp and log1p run over the array at once
    return np.asarray(np.minimum(eta, 0.0) - np.log1p(np.exp(-np.abs(eta))))


def sigmoid(eta: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-eta))."""
    small = np.exp(-np.abs(eta))
    return np.asarray(np.where(eta >= 0.0, 1.0, small) / (1.0 + small))


def log_of_cloglog(eta: FloatArray) -> FloatArray:
    """Return log(1 - exp(-exp(eta))) without loss at either end."""
    rate = np.exp(np.minimum(eta, LARGEST_LOG))
    small = np.minimum(rate, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = eta + np.log(np.where(small > 0.0, -np.expm1(-small) / small, 1.0))
    return np.where(rate > 1.0, np.log1p(-np.exp(-np.maximum(rate, 1.0))), below)


def cloglog_curve(eta: FloatArray) -> Curve:
    """Return log(1 - exp(-exp(eta))) with its derivatives w and w (1 - x - w), w = x / (exp(x) - 1), x = exp(eta)."""
    rate = np.exp(np.minimum(eta, LARGEST_LOG))
    with np.errstate(over="ignore", invalid="ignore"):
        weight = np.where(rate > 0.0, rate / np.expm1(rate), 1.0)
    # 1 - x - w cancels at small x: its series there (the Bernoulli numbers)
    x = np.minimum(rate, 0.1)
    square = x * x
    series = -x * 0.5 - square * (1 / 12 - square * (1 / 720 - square * (1 / 30240 - square / 1209600)))
    return Curve(log_of_cloglog(eta), weight, weight * np.where(rate < 0.1, series, 1.0 - rate - weight))


def _logit(p: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - np.log1p(-p))


def _logit_curves(eta: FloatArray) -> tuple[Curve, Curve]:
    p, q = sigmoid(eta), sigmoid(-eta)
    second = -p * q
    return Curve(log_sigmoid(eta), q, second), Curve(log_sigmoid(-eta), -p, second)


def _probit_curves(eta: FloatArray) -> tuple[Curve, Curve]:
    rise, rise_slope = hazard(-eta)
    fall, fall_slope = hazard(eta)
    return Curve(log_ndtr(eta), rise, -rise_slope), Curve(log_ndtr(-eta), -fall, -fall_slope)


def _minus_rate(eta: FloatArray) -> FloatArray:
    return np.asarray(-np.exp(np.minimum(eta, LARGEST_LOG)))


def _cloglog(p: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(-np.log1p(-p)))


def _cloglog_curves(eta: FloatArray) -> tuple[Curve, Curve]:
    minus = _minus_rate(eta)
    return cloglog_curve(eta), Curve(minus, minus, minus)


PROBABILITY_LINKS: dict[str, ProbabilityLink] = {
    "logit": ProbabilityLink(sigmoid, _logit, lambda eta: (log_sigmoid(eta), log_sigmoid(-eta)), _logit_curves),
    "probit": ProbabilityLink(
        lambda eta: np.asarray(ndtr(eta)),
        lambda p: np.asarray(ndtri(p)),
        lambda eta: (log_ndtr(eta), log_ndtr(-eta)),
        _probit_curves,
    ),
    "cloglog": ProbabilityLink(
        lambda eta: np.asarray(-np.expm1(_minus_rate(eta))),
        _cloglog,
        lambda eta: (log_of_cloglog(eta), _minus_rate(eta)),
        _cloglog_curves,
    ),
}
