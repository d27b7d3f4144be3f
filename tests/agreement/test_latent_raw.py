"""Groups' own estimates under likelihoods that are integrated by quadrature, against their closed forms."""

import numpy as np
import pytest

import partialpool as pp

Y = np.array([2.1, -1.112, -0.4, 0.3, 0.8, -0.7, 0.5, -0.2, 1.1, 0.1, -0.9, 0.6])


@pytest.mark.parametrize("population", ["student_t(nu=4)", "mixture(2)", "nonparametric"])
@pytest.mark.parametrize("vague", [1000.0, 1e8])
def test_raw_of_a_measurement_is_the_measurement(population, vague):
    errors = np.append([1e-6, vague], np.full(10, 0.5))
    data = {"y": Y, "se": errors, "g": np.arange(12)}
    fitted = pp.fit(
        "y ~ 1 + (1 | g)",
        data,
        standard_error="se",
        population=population,
        **({"method": "empirical_bayes"} if "t(" in population else {}),
    )
    groups = fitted.groups()
    np.testing.assert_allclose(groups["raw"], Y, rtol=1e-9)
    np.testing.assert_allclose(groups["raw_sd"], errors, rtol=1e-9)


def test_raw_of_several_measurements_is_their_weighted_mean():
    rng = np.random.default_rng(2)
    codes, errors = np.repeat(np.arange(6), 3), 10.0 ** rng.uniform(-5, 4, 18)
    values = rng.normal(size=18) + errors * rng.normal(size=18)
    data = {"y": values, "se": errors, "g": codes}
    groups = pp.fit("y ~ 1 + (1 | g)", data, standard_error="se", population="nonparametric").groups()
    precision = np.bincount(codes, errors**-2)
    np.testing.assert_allclose(groups["raw"], np.bincount(codes, values / errors**2) / precision, rtol=1e-9)
    np.testing.assert_allclose(groups["raw_sd"], precision**-0.5, rtol=1e-9)


def test_raw_of_few_counts_among_many_is_their_rate():
    data = {"y": [1, 3, 10**9, 0], "e": [1e9, 1.0, 1e3, 5.0], "g": list("abcd")}
    groups = pp.fit("y ~ 1 + (1 | g)", data, family="poisson", exposure="e", population="nonparametric").groups()
    np.testing.assert_allclose(groups["raw"], [1e-9, 3.0, 1e6, 0.0], rtol=1e-4)
