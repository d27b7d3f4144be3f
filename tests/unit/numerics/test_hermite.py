"""Rules for integrals over space of what is nearly a normal density."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.numerics.hermite import hermite_rule, uniform_rule


def _density(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * np.sum(z * z, axis=0)) / (2.0 * np.pi) ** (len(z) / 2))


@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("order", [3, 5, 11])
def test_moments_of_a_normal_are_exact(order: int, n_axes: int) -> None:
    rule = hermite_rule(order, n_axes)
    weights = np.exp(rule.log_weights) * _density(rule.points)
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert weights @ rule.points[0] ** 4 == pytest.approx(3.0, rel=1e-10)
    assert weights @ (rule.points[0] ** 2 * rule.points[-1] ** 2) == pytest.approx(3.0 if n_axes == 1 else 1.0)


def test_high_orders_leave_out_what_underflows() -> None:
    rule = hermite_rule(127)
    assert np.isfinite(rule.log_weights).all()
    assert np.exp(rule.log_weights) @ _density(rule.points) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("n_axes", [1, 3])
def test_a_uniform_rule_is_uniform_along_the_first_axis(n_axes: int) -> None:
    rule = uniform_rule(8.0, 0.4, 9, n_axes)
    assert len(np.unique(rule.points[0])) == 41
    assert np.all(np.diff(rule.points[0]) >= 0.0)
    assert np.exp(rule.log_weights) @ _density(rule.points) == pytest.approx(1.0, rel=1e-10)
