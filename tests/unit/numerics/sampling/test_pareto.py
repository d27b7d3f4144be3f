"""The tail of importance weights on samples whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.numerics.sampling.pareto import effective_sample_size, normalise_log_weights, pareto_k


@pytest.mark.parametrize("shape", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_shape_of_generalised_pareto_weights(shape: float) -> None:
    """Weights ((1 - u)^-k - 1) / k have exactly this tail; the fit's own prior pulls it towards 0.5 by 10 points."""
    found = []
    for seed in range(40):
        u = np.random.default_rng(seed).random(8192)
        found.append(pareto_k((((1 - u) ** -shape) - 1) / shape))
    n_tail = int(3 * np.sqrt(8192))
    expected = (n_tail * shape + 5) / (n_tail + 10)
    error = (1 + shape) / np.sqrt(n_tail) / np.sqrt(40)  # of the mean of 40, from the fit's information
    assert abs(np.mean(found) - expected) < 4 * error


def test_bounded_weights_have_no_tail() -> None:
    u = np.random.default_rng(0).random(4096)
    assert pareto_k(u) < 0.0
    assert pareto_k(np.full(1024, 1 / 1024)) == -np.inf


def test_the_scale_of_the_weights_does_not_matter() -> None:
    weights = np.random.default_rng(1).lognormal(size=4096)
    assert pareto_k(weights) == pytest.approx(pareto_k(weights * 1e-200), rel=1e-6)


def test_too_few_weights_say_nothing() -> None:
    assert np.isnan(pareto_k(np.ones(20)))


def test_effective_sample_size() -> None:
    assert effective_sample_size(np.full(50, 1 / 50)) == pytest.approx(50)
    assert effective_sample_size(np.array([1.0, 0.0, 0.0])) == 1.0


def test_normalise_log_weights_of_any_size() -> None:
    logs = np.array([0.0, np.log(3.0), -np.inf])
    for shift in (0.0, 1e5, -1e5):
        weights, total = normalise_log_weights(logs + shift)
        assert np.allclose(weights, [0.25, 0.75, 0.0], rtol=1e-10)
        assert total == pytest.approx(np.log(4.0) + shift, rel=1e-12)
