"""Derivatives of every family with every link against central differences, and what else holds for all of them."""

import numpy as np
import pytest

from partialpool.models.families import FAMILIES, read_family

from .cases import CASES

STEP = 1e-4


@pytest.fixture(params=CASES, ids=str)
def case(request):
    return CASES[request.param]


def difference(function, step):
    """Fourth-order central difference."""
    near = function(step) - function(-step)
    far = function(2 * step) - function(-2 * step)
    return (8 * near - far) / (12 * step)


def assert_derivative(computed, numeric, scale):
    """Rounding of the density is divided by the step: that much beside 1e-6 of the derivative is allowed."""
    error = np.abs(computed - numeric)
    allowed = 1e-6 * np.abs(numeric) + 1e-14 / STEP * scale
    assert np.isfinite(computed).all()
    assert (error <= allowed).all(), (error / allowed).max()


def test_value_is_the_density(case):
    np.testing.assert_allclose(case.derivatives().value, case.density(), rtol=1e-12, atol=1e-12)


def test_first_derivative(case):
    numeric = difference(lambda step: case.density(case.eta + step), STEP)
    assert_derivative(case.derivatives().first, numeric, 1 + np.abs(case.density()))


def test_second_derivative(case):
    numeric = difference(lambda step: case.derivatives(case.eta + step).first, STEP)
    assert_derivative(case.derivatives().second, numeric, 1 + np.abs(case.derivatives().first))


def test_derivatives_by_dispersion(case):
    found = case.derivatives().by_dispersion
    assert len(found) == len(case.dispersion) == len(case.family.dispersions)
    for k, by_dispersion in enumerate(found):

        def moved(step, k=k):
            values = list(case.dispersion)
            values[k] *= np.exp(step)
            return case.density(dispersion=values)

        numeric = difference(moved, STEP) / case.dispersion[k]
        assert_derivative(by_dispersion, numeric, (1 + np.abs(case.density())) / case.dispersion[k])


def test_concave_families_are(case):
    eta = np.broadcast_to(np.linspace(case.eta.min(), case.eta.max(), 200), (len(case.eta), 200))
    if case.family.concave:
        assert (case.derivatives(eta).second <= 1e-12).all()


@pytest.mark.parametrize(
    "name",
    [
        "beta_binomial logit 3",
        "gamma identity 9",
        "exponential limited",
        "gaussian log",
        "student_t",
        "beta logit 400",
        "zero_inflated_poisson",
    ],
)
def test_others_are_not(name):
    case = CASES[name]
    eta = np.broadcast_to(np.linspace(case.eta.min(), case.eta.max(), 200), (len(case.eta), 200))
    assert not case.family.concave
    assert case.derivatives(eta).second.max() > 1e-6


def test_broadcasts_over_nodes_and_points(case):
    response = case.response.expand(2)
    eta = np.repeat(case.eta[:, None], 3, axis=1)
    dispersion = tuple(np.full((1, 3, 1), value) for value in case.dispersion)
    wide = case.family.log_density(eta, response, dispersion)
    np.testing.assert_allclose(wide, np.repeat(case.density()[:, None], 3, axis=1), rtol=1e-14, atol=1e-14)
    found = case.family.derivatives(eta, response, dispersion)
    assert all(part.shape == eta.shape for part in (*found[:3], *found.by_dispersion))


def test_nothing_that_is_given_is_changed(case):
    eta = case.eta.copy()
    values = case.response.values.copy()
    case.density(), case.derivatives()
    np.testing.assert_array_equal(eta, case.eta)
    np.testing.assert_array_equal(values, case.response.values)


def test_linear_scale_inverts_the_response_scale(case):
    eta = np.clip(case.eta, -3, 3)
    np.testing.assert_allclose(case.family.linear_scale(case.family.response_scale(eta)), eta, rtol=1e-9, atol=1e-9)


def test_typical_eta_and_guesses_are_finite(case):
    counts = np.ones(len(case.response.values))
    location, spread = case.family.typical_eta(case.response, counts)
    assert np.isfinite(location)
    assert 0 < spread < np.inf
    guesses = case.family.guess_dispersions(case.response, counts)
    assert len(guesses) == len(case.family.dispersions)
    assert all(0 < guess < np.inf for guess in guesses)
    eta = np.full((len(counts), 1), location)
    assert np.isfinite(case.density(eta, guesses)).all()


def test_text_and_back(case):
    assert read_family(str(case.family)) == case.family


def test_every_family_and_link_has_a_case():
    have = {(case.family.name, case.family.link) for case in CASES.values()}
    assert have == {(name, link) for name, family in FAMILIES.items() for link in family.links}
