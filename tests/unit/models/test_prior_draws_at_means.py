"""Draws from priors: where an intercept's prior is of the value at the columns' means."""

from __future__ import annotations

import numpy as np
import pytest

import partialpool as pp
from partialpool.models.prior_draws import (
    draw_coefficients_from_priors,
    draw_hyperparameters_from_priors,
    log_priors,
)

N_DRAWS = 20_000


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
@pytest.mark.parametrize("pooling", ["partial", "none"])
def test_the_value_at_the_means_has_the_intercepts_prior(family: str, pooling: str) -> None:
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(6), 5), 500 + rng.standard_normal(30)
    data = {"y": rng.poisson(3.0, 30), "x": x, "z": 90 + rng.standard_normal(30), "g": g}
    model = pp.fit("y ~ x + z + (1 | g)", data, family=family, pooling=pooling, accuracy=0.1).fitted.model
    points = draw_hyperparameters_from_priors(model.space, N_DRAWS, rng)
    coefficients = draw_coefficients_from_priors(model, points, rng)
    names = model.design.population.names
    # without pooling the intercept varies about its prior's mean, apart from the common slopes
    prior = model.priors["Intercept"]
    if pooling == "none":
        np.testing.assert_allclose(coefficients[names.index("Intercept")], prior.mu)
        assert points.effect_root[0, 0, 0] == pytest.approx(prior.sigma)
        return
    at_means = coefficients[0] + x.mean() * coefficients[names.index("x")]
    at_means += np.mean(data["z"]) * coefficients[names.index("z")]
    assert at_means.mean() == pytest.approx(prior.mu, abs=4 * prior.sigma / N_DRAWS**0.5)
    assert at_means.std() == pytest.approx(prior.sigma, rel=0.03)
    values = dict(zip(names, coefficients, strict=True))
    np.testing.assert_allclose(log_priors(model, values, points)["Intercept"], prior.log_density(at_means), atol=1e-6)
