"""The marginal likelihood against the dense covariance of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.models.space.hyperspace import HyperPoints

from . import dense
from .cases import COEFFICIENT_PRIORS, FORMS, GROUPS, POPULATIONS, coefficient_priors, random_case
from .points import covariance_of, random_points


def _sizes(rng: np.random.Generator) -> list[int]:
    """Rows of each group: unbalanced, groups of one row among them."""
    return [int(rng.integers(3, 8)), 1, *rng.integers(1, 7, int(rng.integers(2, 6))).tolist()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", GROUPS)
def test_log_likelihood(groups: str, form: str) -> None:
    """Every kind of rows with every kind of effects; population and priors take turns."""
    rng = np.random.default_rng([list(GROUPS).index(groups), FORMS.index(form)])
    for turn, prior in enumerate(COEFFICIENT_PRIORS):
        population = list(POPULATIONS)[(turn + FORMS.index(form) + list(GROUPS).index(groups)) % len(POPULATIONS)]
        case = random_case(population, groups, form, prior, _sizes(rng), int(rng.integers(2**32)))
        model, marginal = case.build()
        points = random_points(model, int(rng.integers(2**32)))
        for node, value in enumerate(marginal.log_likelihood(points)):
            priors = coefficient_priors(model, points, node)
            expected = dense.log_likelihood(case.rows, covariance_of(points, node), points.residual_sd[node], *priors)
            assert value == pytest.approx(expected, rel=1e-8, abs=1e-8), (population, prior)


@pytest.mark.parametrize("prior", ["Normal(0.5, 2)", "Flat"])
def test_effects_that_do_not_vary_and_perfect_correlations(prior: str) -> None:
    """A covariance matrix of rank one, of rank two, and zero."""
    case = random_case("x", " + (1 + x + z | g)", "weights", prior, [5, 1, 3, 4, 2], seed=8)
    model, marginal = case.build()
    root = np.zeros((3, 3, 3))
    root[:, 0, 0] = [1.0, -0.5, 2.0]
    root[0, 0, 1], root[2, 2, 1] = 0.7, 1.3
    points = HyperPoints(root, np.array([0.5, 1.0, 2.0]), np.empty((0, 3)))
    for node, value in enumerate(marginal.log_likelihood(points)):
        priors = coefficient_priors(model, points, node)
        covariance = covariance_of(points, node)
        expected = dense.log_likelihood(case.rows, covariance, points.residual_sd[node], *priors)
        assert value == pytest.approx(expected, rel=1e-10)
