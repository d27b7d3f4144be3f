"""The integral of a chance over a population against its closed form, for limits however sharp and far."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.inference.quadrature.selection_integral import Objects, chance_of_single_rows, integrate_chance
from partialpool.models.families.base import ResponseColumns
from partialpool.models.families.gaussian import Gaussian
from partialpool.models.populations.normal import NormalPopulation
from partialpool.reductions.grouped_rows import group_rows

MEANS = np.array([-300.0, -40.0, -12.0, -5.0, -1.0, -0.1, 0.0, 0.1, 1.0, 5.0, 12.0, 40.0, 300.0])


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 0.1, 1.0, 30.0])
@pytest.mark.parametrize("limits", [(0.0, np.inf), (-np.inf, 0.0), (0.0, 0.5), (0.0, 1e-4), (0.0, 50.0)])
def test_normal_population(limits: tuple[float, float], noise: float) -> None:
    family, one = Gaussian(known_noise=True), np.ones(1)
    lower, upper = (np.full(1, limit) for limit in limits)
    response = ResponseColumns(one, one, np.full(1, noise), lower_limit=lower, upper_limit=upper)
    rows = group_rows(family, response, None, np.ones((1, 1)), np.empty((1, 0)), None, np.zeros(1, np.intp), 1)
    objects, sd = Objects(family, "all", rows, MEANS[None], ()), np.ones(len(MEANS))
    with np.errstate(all="ignore"):
        expected = chance_of_single_rows(objects, sd)
        found = integrate_chance(objects, NormalPopulation(), (sd,), order=7).log_total
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-8)
