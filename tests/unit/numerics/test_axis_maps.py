"""Coordinates of axes: their slopes, their inverses, and what they make smooth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from partialpool.numerics.axis_maps import AxisMap, BoundedEvenMap, EndMap, EndsMap, EvenMap, LineMap

FloatArray = NDArray[np.float64]
_X = np.linspace(0.05, 2.5, 21)
MAPS = [LineMap(0.3, 0.7), EvenMap(-1.0), BoundedEvenMap(0.2), EndMap(-1.0), EndsMap(0.3, 0.7)]


@pytest.mark.parametrize("axis", MAPS, ids=lambda axis: type(axis).__name__)
def test_slope_and_inverse(axis: AxisMap) -> None:
    y, log_slope = axis.coordinate(_X)
    step = 1e-6
    slope = (axis.coordinate(_X + step)[0] - axis.coordinate(_X - step)[0]) / (2 * step)
    np.testing.assert_allclose(np.exp(log_slope), slope, rtol=1e-7)
    np.testing.assert_allclose([axis.place(float(each)) for each in y], _X, atol=1e-9)


def _log_natural(density: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    return lambda y: density(np.exp(y)) + y


@pytest.mark.parametrize(
    ("axis", "log_density"),
    [
        (EvenMap(0.0), _log_natural(stats.halfcauchy().logpdf)),
        (EvenMap(0.0), _log_natural(stats.halfnorm().logpdf)),
        (EndMap(0.0), _log_natural(stats.expon().logpdf)),
        (EndMap(0.0), _log_natural(stats.gamma(0.5).logpdf)),
        (BoundedEvenMap(0.3), lambda y: -np.logaddexp(0.0, y) - np.logaddexp(0.0, -y)),  # a uniform share
        (
            EndsMap(0.0, 1.8),
            lambda y: stats.beta(2.0, 0.7).logpdf(expit(y)) - np.logaddexp(0.0, y) - np.logaddexp(0.0, -y),
        ),
    ],
)
def test_the_trapezoid_rule_converges_along_them(
    axis: AxisMap, log_density: Callable[[FloatArray], FloatArray]
) -> None:
    spacing = 0.25
    ends = (-4.0, 4.0) if isinstance(axis, EndsMap) else (0.0 if axis.folded else -6.0, 28.0)
    x = np.arange(*ends, spacing)
    with np.errstate(all="ignore"):
        y, log_slope = axis.coordinate(x)
        heights = np.nan_to_num(np.exp(log_density(y) + log_slope), posinf=0.0)
    if axis.folded:
        heights[0] *= 0.5
    assert spacing * heights.sum() == pytest.approx(1.0, abs=1e-6)
