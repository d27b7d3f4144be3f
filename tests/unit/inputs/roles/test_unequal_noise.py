"""Warnings of groups' sds that one sigma does not make: a test of known level, named rows, silence on ordinary data."""

import numpy as np
import pytest
from scipy.stats import bartlett

import partialpool as pp
from partialpool.errors import UnequalNoiseWarning
from partialpool.inputs.roles.unequal_noise import compare_variances

DATA = {"y": [1.0, 3.0, 2.0, 5.0, 4.0, 6.0], "g": list("abcdef"), "n": [20] * 6, "s": [4.0, 6.0, 15.0, 9.0, 12.0, 5.0]}


def test_statistic_is_bartletts():
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=n) * sd for n, sd in ((5, 1.0), (9, 1.5), (4, 2.0))]
    variances, degrees = np.array([g.var(ddof=1) for g in groups]), np.array([len(g) - 1.0 for g in groups])
    assert compare_variances(variances, degrees) == pytest.approx(bartlett(*groups).pvalue, rel=1e-10)


@pytest.mark.parametrize("degrees", [np.full(8, 9.0), np.full(40, 1.0), np.array([1.0, 2, 4, 9, 30, 60])])
def test_equal_noise_is_warned_of_once_in_a_thousand(degrees):
    rng = np.random.default_rng(1)
    alarms = [compare_variances(rng.chisquare(degrees) / degrees, degrees) < 1e-3 for _ in range(8_000)]
    assert np.mean(alarms) < 0.0025


def test_rows_whose_sds_differ_are_named():
    said = r"p = 7e-09\); furthest from their median 7.35: 15 in row 3 \(g 'c'\), 4 in row 1 \(g 'a'\), 12 in row 5.*"
    said += r"answer changes.*standard_error="
    with pytest.warns(UnequalNoiseWarning, match=said):
        pp.fit("y ~ 1 + (1 | g)", DATA, size="n", sd="s")


def test_sds_are_compared_after_the_weights():
    weights = 1.0 / np.square(DATA["s"])
    assert len(pp.fit("y ~ 1 + (1 | g)", DATA, size="n", sd="s", weights=weights).groups()) == 6
    with pytest.warns(UnequalNoiseWarning, match=r"median 2: 12 in row 6 .g .f..\. The answer"):
        pp.fit("y ~ 1 + (1 | g)", DATA | {"s": [2.0] * 6}, size="n", sd="s", weights=[1.0] * 5 + [36.0])


def test_what_the_warning_tells_to_do_ends_it():
    errors = np.array(DATA["s"]) / np.sqrt(DATA["n"])
    assert len(pp.fit("y ~ 1 + (1 | g)", DATA, standard_error=errors).groups()) == 6
    pp.fit("hours ~ 1 + (1 | school)", pp.datasets.homework(), size="n", sd="sd")


def test_equal_sds_are_not_unequal():
    """Their statistic is 0, of which rounding leaves a little less."""
    for n, sd in ((10, 30.0), (7, 0.1), (13, 1.7)):
        assert compare_variances(np.full(8, sd**2 * (n - 1.0) / (n - 1.0)), np.full(8, n - 1.0)) == 1.0
    pp.fit("effect ~ 1 + (1 | school)", pp.datasets.eight_schools(), size=10, sd=30)
