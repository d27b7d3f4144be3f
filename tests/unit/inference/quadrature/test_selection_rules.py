"""Several rows that decide together, down to chances that are lost beside one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_ndtr, logsumexp

from partialpool.inference.quadrature.selection_integral import Objects, chance_of_objects
from partialpool.models.families.base import ResponseColumns
from partialpool.models.families.gaussian import Gaussian
from partialpool.reductions.grouped_rows import group_rows

NOISE = np.array([0.4, 0.7, 0.5])


def _chance(rule: str, means: np.ndarray, upper: float = np.inf) -> np.ndarray:
    family, ones = Gaussian(known_noise=True), np.ones(3)
    response = ResponseColumns(ones, ones, NOISE, lower_limit=0.0 * ones, upper_limit=np.full(3, upper))
    none = np.empty((3, 0))
    rows = group_rows(family, response, None, np.ones((3, 1)), none, None, np.zeros(3, dtype=np.intp), 1)
    base = rows.population @ means[None]
    with np.errstate(all="ignore"):
        return chance_of_objects(Objects(family, rule, rows, base, ()))[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("upper", [np.inf, 1e4])
def test_chances_far_below_the_limit(upper: float) -> None:
    """Rows that hardly ever pass add up: three of them, the noisiest by far the likeliest."""
    means = np.array([-3.0, -10.0, -100.0, -1e4])
    each = log_ndtr(means / NOISE[:, None])
    expected = logsumexp(each, axis=0)
    np.testing.assert_allclose(_chance("any", means, upper), expected, rtol=1e-6)
    np.testing.assert_allclose(_chance("all", means, upper), each.sum(axis=0), rtol=1e-9)


def test_chances_near_the_limit() -> None:
    means = np.array([-2.0, -0.5, 0.0, 0.3, 2.0])
    each = np.exp(log_ndtr(means / NOISE[:, None]))
    np.testing.assert_allclose(np.exp(_chance("any", means)), 1.0 - np.prod(1.0 - each, axis=0), rtol=1e-10)
    np.testing.assert_allclose(np.exp(_chance("all", means)), np.prod(each, axis=0), rtol=1e-10)
