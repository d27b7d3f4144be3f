"""Far tails and limits, where textbook formulas cancel, against 100-digit arithmetic and the limits' families."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy import stats

from partialpool.models.families import (
    BetaBinomial,
    BetaFamily,
    Binomial,
    ExponentialFamily,
    GammaFamily,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    StudentTFamily,
)
from partialpool.models.families.links import PROBABILITY_LINKS
from partialpool.models.families.normal_interval import (
    log_normal_interval,
    log_normal_tail,
    normal_interval,
    normal_tail,
)

from .cases import CASES, columns
from .decimal_normal import interval, upper_tail

LIMIT = (np.array(1e12),)
_PI = "3.14159265358979323846264338327950288419716939937510582"


def decimal_log(link, eta):
    """Return log p and log(1 - p)."""
    if link == "logit":
        return -(1 + (-eta).exp()).ln(), -(1 + eta.exp()).ln()
    if link == "probit":
        return upper_tail(-eta).ln(), upper_tail(eta).ln()
    rate = eta.exp()
    return ((1 - (-rate).exp()).ln() if rate < 200 else -(-rate).exp()), -rate


@pytest.mark.parametrize("link", PROBABILITY_LINKS)
@pytest.mark.parametrize("eta", [-40.0, -27.6, -8.0, -2.3, -1e-9, 0.4, 2.5, 8.0, 40.0])
def test_logs_of_probabilities(link, eta):
    with localcontext() as context:
        context.prec = 300
        step = Decimal(10) ** -25
        points = [decimal_log(link, Decimal(eta) + k * step) for k in (-1, 0, 1)]
        for curve, log in zip(PROBABILITY_LINKS[link].curves(np.array(eta)), zip(*points, strict=True), strict=True):
            below, at, above = log
            truth = [at, (above - below) / (2 * step), (above - 2 * at + below) / step**2]
            np.testing.assert_allclose(
                np.array(curve), [float(value) for value in truth], rtol=1e-12, atol=1e-300, err_msg=f"{link} {eta}"
            )
    both = PROBABILITY_LINKS[link].logs(np.array(eta))
    np.testing.assert_allclose(both, [curve.value for curve in PROBABILITY_LINKS[link].curves(np.array(eta))])


@pytest.mark.parametrize("z", [-4e3, -24.0, -12.0, -3.0, -0.9, 0.0, 1e-9, 0.8, 4.0, 24.0])
def test_intervals_without_an_end(z):
    with localcontext() as context:
        context.prec = 300
        log_p = upper_tail(-Decimal(z)).ln() if z > -100 else None
        density = (-(Decimal(z) ** 2) / 2).exp() / (2 * Decimal(_PI)).sqrt()
        rate = density / log_p.exp() if log_p is not None else None
    below, above = normal_tail(np.array(z), np.array(1.0)), normal_tail(np.array(z), np.array(-1.0))
    assert below.log_p == above.log_p == log_normal_tail(np.array(z))
    assert below.slope == -above.slope
    if log_p is None:  # the hazard's series: z + 1/z - 2/z^3
        np.testing.assert_allclose(below.slope, -z - 1 / z + 2 / z**3, rtol=1e-12)
        np.testing.assert_allclose(below.curvature, 1 - 1 / z**2, rtol=1e-12)
        return
    np.testing.assert_allclose(below.log_p, float(log_p), rtol=1e-12)
    np.testing.assert_allclose(below.slope, float(rate), rtol=1e-12)
    np.testing.assert_allclose(below.scale_slope, z * float(rate), rtol=1e-12)
    np.testing.assert_allclose(below.curvature, float(rate * (rate + Decimal(z))), rtol=1e-8)


@pytest.mark.parametrize(
    ("a", "width"),
    [
        (40.0, 1.0),
        (40.0, 1e-9),
        (40.0, 0.02),
        (40.0, 0.1),
        (-41.0, 0.5),
        (3.0, 100.0),
        (0.0, 1e-12),
        (0.3, 0.9),
        (-0.5, 1.0),
        (-0.45, 1.1),
        (-2.0, 9.0),
        (-7.0, 3.0),
        (999.0, 5.0),
        (1001.0, 5.0),
        (5000.0, 1e-4),
        (-30.0, 60.5),
    ],
)
def test_intervals(a, width):
    with localcontext() as context:
        context.prec = 100
        truth = [float(value) for value in interval(Decimal(a), Decimal(a) + Decimal(width))]
    ends = np.array([a]), np.array([a + width]), np.array([width])
    found = normal_interval(*ends)
    # conditioning: the curvature is one less a variance of about a^-2 in the tail
    np.testing.assert_allclose(np.array(found)[:, 0], truth, rtol=2e-12 + 1e-15 * a * a, atol=1e-14)
    np.testing.assert_allclose(log_normal_interval(*ends)[0], truth[0], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("z", [-30.0, -1.0, 0.0, 5.0, 40.0, 900.0, 2000.0])
def test_half_lines(z):
    with localcontext() as context:
        context.prec = 100
        tail = upper_tail(Decimal(z)).ln()
        hazard = (-(Decimal(z) ** 2) / 2).exp() / Decimal(2 * np.pi).sqrt() / upper_tail(Decimal(z))
    above = normal_interval(np.array([z]), np.array([np.inf]), np.array([np.inf]))
    below = normal_interval(np.array([-np.inf]), np.array([-z]), np.array([np.inf]))
    for moments, sign in ((above, 1.0), (below, -1.0)):
        assert moments.log_p[0] == pytest.approx(float(tail), rel=1e-13)
        assert sign * moments.slope[0] == pytest.approx(-float(hazard), rel=1e-12)
        assert moments.curvature[0] == pytest.approx(float(hazard * (hazard - Decimal(z))), rel=1e-9)
        assert moments.scale_slope[0] == pytest.approx(-float(hazard) * z, rel=1e-12)
    everything = normal_interval(np.array([-np.inf]), np.array([np.inf]), np.array([np.inf]))
    assert [float(part[0]) for part in everything] == [0.0, 0.0, 0.0, 0.0]


def test_censored_and_truncated_measurements_against_scipy():
    case = CASES["gaussian limited"]
    r, eta, norm = case.response, case.eta, stats.norm
    inside = norm.cdf(r.upper_limit[:, None], eta, 1.3) - norm.cdf(r.lower_limit[:, None], eta, 1.3)

    def share(low, high, row):
        return norm.cdf(high, eta[row], 1.3) - norm.cdf(low, eta[row], 1.3)

    expected = np.array(
        [
            norm.pdf(-3.0, eta[0], 1.3),
            share(-np.inf, 0.2, 1),
            share(0.4, 7.0, 2),
            share(2.0, 2.001, 3),
            norm.pdf(1.0, eta[4], 1.3),
            share(1.5, 4.0, 5),
            share(0.9, np.inf, 6),
        ]
    )
    computed = case.density() + case.family.log_constant(r)[:, None]
    near = np.abs(eta) < 2
    np.testing.assert_allclose(computed[near], np.log(expected[near] / inside[near]), rtol=1e-8)


def test_censored_and_truncated_times_against_scipy():
    case = CASES["exponential limited"]
    r, eta, expon = case.response, case.eta, stats.expon
    scale = np.exp(eta)

    def share(low, high, row):
        return expon.sf(low, scale=scale[row]) - expon.sf(high, scale=scale[row])

    rows = [(0.3, None), (-np.inf, 0.2), (0.4, 7.0), (2.0, 2.001), (1.0, None), (1.5, 4.0), (0.9, np.inf)]
    expected = np.array(
        [
            expon.pdf(low, scale=scale[row]) if high is None else share(low, high, row)
            for row, (low, high) in enumerate(rows)
        ]
    )
    inside = np.array([share(r.lower_limit[row], r.upper_limit[row], row) for row in range(7)])
    near = (eta > -1) & (expected > 0)
    np.testing.assert_allclose(case.density()[near], np.log(expected[near] / inside[near]), rtol=1e-8)


def test_truncation_far_in_the_tail():
    """All of the density is within 1 / z sds of the limit, as an exponential distribution."""
    response = columns([40.01], lower_limit=[40.0], upper_limit=[np.inf])
    found = Gaussian().derivatives(np.array([0.0]), response, (np.array(1.0),))
    value = found.value[0] + Gaussian().log_constant(response)[0]
    assert value == pytest.approx(np.log(40.0) - 0.01 * 40.0 - 0.5e-4 + np.log1p(1 / 1600 - 2 / 40**4), rel=1e-6)
    assert found.first[0] == pytest.approx(40.01 - (40 + 1 / 40 - 2 / 40**3), rel=1e-5)
    assert found.second[0] == pytest.approx(-1 / 1600, rel=0.01)


def test_poisson_limit_of_the_negative_binomial():
    response = columns([0, 3, 1_000_000, 40], [1, 2, 1, 1e6]).expand(1)
    eta = np.array([[-30.0, 0.0, 2.0], [-27.6, 0.3, 1.0], [13.0, 13.8, 14.0], [-11.0, -10.0, -9.0]])
    found, limit = NegativeBinomial().derivatives(eta, response, LIMIT), Poisson().derivatives(eta, response, ())
    mean = response.sizes * np.exp(eta)
    squares = (response.values - mean) ** 2
    # the difference is of order 1e-12 ((y - m)^2 - y) / 2
    np.testing.assert_allclose(found.value, limit.value, rtol=1e-14, atol=float(1e-12 * squares.max()))
    np.testing.assert_allclose(found.first, limit.first, rtol=2e-6, atol=1e-9)
    np.testing.assert_allclose(found.second, limit.second, rtol=2e-6)
    np.testing.assert_allclose(found.by_dispersion[0], (response.values - squares) / 2e24, rtol=1e-5)


def test_negative_binomial_of_large_counts():
    y = np.array([1e6, 999_000.0, 0.0, 1e6])
    eta = np.log(np.array([1e6, 1e6, 1e6, 20.0]))
    for shape in (1e-3, 3.0, 1e4):
        computed = NegativeBinomial(shape=shape).log_density(eta, columns(y), ())
        computed = computed + NegativeBinomial().log_constant(columns(y))
        expected = stats.nbinom.logpmf(y, shape, shape / (shape + np.exp(eta)))
        np.testing.assert_allclose(computed, expected, rtol=1e-8)


@pytest.mark.parametrize("link", Binomial.links)
def test_binomial_limit_of_the_beta_binomial(link):
    response = columns([0, 10, 3, 0, 50_000], [10, 10, 10, 20_000, 100_000]).expand(1)
    eta = np.array([[-40.0, -27.6, 0.0, 1.3]])
    whole = BetaBinomial(link).derivatives(eta, response, LIMIT)
    limit = Binomial(link).derivatives(eta, response, ())
    # where p is below 1 / c further successes come by scatter
    regular = np.broadcast_to((response.values == 0) | (eta > -20), limit.value.shape)
    for found, expected in zip(whole[:3], limit[:3], strict=True):
        np.testing.assert_allclose(found[regular], expected[regular], rtol=1e-5, atol=1e-12)
    # the log density is linear in 1 / c here
    ten_million = BetaBinomial(link).derivatives(eta[:, 2:], response, (np.array(1e9),)).by_dispersion[0]
    scaled = whole.by_dispersion[0][:, 2:] * 1e24
    small = response.sizes[:, 0] <= 10
    np.testing.assert_allclose(scaled[small], 1e18 * ten_million[small], rtol=1e-6)


@pytest.mark.parametrize("link", Binomial.links)
def test_no_success_in_a_million_trials(link):
    response = columns([0.0], 1e6)
    for p in (1e-12, 1e-16, 1e-30):
        eta = Binomial(link).linear_scale(np.array([p]))
        found, limit = (
            BetaBinomial(link).derivatives(eta, response, LIMIT),
            Binomial(link).derivatives(eta, response, ()),
        )
        np.testing.assert_allclose(found.value, limit.value, rtol=2e-6, atol=1e-16)
        np.testing.assert_allclose(np.array(found[1:3]), np.array(limit[1:3]), rtol=2e-6)


def test_beta_binomial_where_probabilities_underflow():
    response = columns([0, 1, 9, 10], 10.0).expand(1)
    for link, eta in (("logit", 800.0), ("probit", 45.0), ("cloglog", 8.0)):
        for sign in (-1.0, 1.0):
            for c in (1e-8, 1.0, 1e8):
                found = BetaBinomial(link).derivatives(np.array([[sign * eta]]), response, (np.array(c),))
                assert all(np.isfinite(part).all() for part in (*found[:3], *found.by_dispersion))


def test_normal_limits():
    y, eta = columns([0.3, -2.0, 9.0]), np.array([0.0, 1.0, 0.5])
    normal = Gaussian().derivatives(eta, y, (np.array(0.7),))
    t = StudentTFamily().derivatives(eta, y, (np.array(0.7), *LIMIT))
    for found, expected in zip((*t[:3], t.by_dispersion[0]), (*normal[:3], normal.by_dispersion[0]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    z = (y.values - eta) / 0.7
    np.testing.assert_allclose(t.by_dispersion[1], (-(z**4) / 4 + z**2 / 2 + 0.25) / 1e24, rtol=1e-6)
    y = columns([1.0 + 1e-6, 1.0 - 3e-6])
    gamma = GammaFamily().log_density(np.zeros(2), y, LIMIT)
    np.testing.assert_allclose(gamma, stats.norm.logpdf(y.values, 1.0, 1e-6), rtol=1e-4)


def test_all_or_none_succeed():
    response = columns([1e6, 0.0, 1e6], 1e6)
    value = Binomial().log_density(np.array([40.0, -40.0, -27.6]), response, ())
    np.testing.assert_allclose(value, [-1e6 * np.exp(-40), -1e6 * np.exp(-40), -27.6e6], rtol=1e-9)
    rare = Binomial("cloglog").derivatives(np.array([np.log(1e-12)]), columns([0.0], 1e6), ())
    assert rare.value[0] == pytest.approx(-1e-6, rel=1e-12)


def test_outside_the_range_of_a_link():
    eta = np.array([[-1.0, 0.0, 1e-3]])
    for link in ("sqrt", "identity"):
        found = Poisson(link).derivatives(eta, columns([0.0, 2.0]).expand(1), ())
        np.testing.assert_array_equal(np.isneginf(found.value), [[True, False, False], [True, True, False]])
        assert (found.first[:, 0] == 0).all()
        assert (found.second[:, 0] == 0).all()
        assert found.value[0, 1] == pytest.approx(0.0, abs=1e-99)
        assert np.isfinite(found.first).all()
        assert (Poisson(link).response_scale(eta) >= 0).all()
    assert Poisson("identity").derivatives(eta, columns([0.0]).expand(1), ()).first[0, 1] == -1.0
    for link in ("inverse", "identity"):
        found = GammaFamily(link).derivatives(eta, columns([2.0]).expand(1), (np.array(3.0),))
        np.testing.assert_array_equal(np.isneginf(found.value), [[True, True, False]])
        assert (found.first[0, :2] == 0).all()


@pytest.mark.parametrize("name", CASES)
def test_predictors_far_out_give_numbers(name):
    case = CASES[name]
    for eta in (-800.0, -300.0, 300.0, 800.0):
        with np.errstate(over="ignore"):
            found = case.derivatives(np.full_like(case.eta, eta))
            value = case.density(np.full_like(case.eta, eta))
        assert not np.isnan(value).any()
        assert (value < np.inf).all()
        assert not any(np.isnan(part).any() for part in found[:3])


def test_times_of_extreme_hazards():
    response = columns([1e-12, 5.0], censoring=[-1, 2], upper=[0.0, 5.0 + 1e-9]).expand(1)
    found = ExponentialFamily().derivatives(np.array([[0.0], [-3.0]]), response, ())
    rate = np.exp(3.0)
    assert found.value[0, 0] == pytest.approx(np.log(1e-12), rel=1e-12)
    assert found.value[1, 0] == pytest.approx(3.0 + np.log(5.0 + 1e-9 - 5.0) - 5 * rate, rel=1e-9)
    assert found.first[0, 0] == pytest.approx(-1.0)


def test_lognormal_limits_at_zero_limit_nothing():
    y = columns([0.4, 2.0])
    limited = columns([0.4, 2.0], lower_limit=[0.0, -3.0], upper_limit=[np.inf, np.inf])
    args = (np.array([0.1, 0.2]), (np.array(0.5),))
    np.testing.assert_allclose(
        LogNormal().log_density(args[0], limited, args[1]), LogNormal().log_density(args[0], y, args[1]), rtol=1e-14
    )


@pytest.mark.parametrize("link", BetaFamily.links)
def test_normal_limit_of_the_beta(link):
    y, phi = np.array([0.02, 0.4, 0.93]), 1e12
    sd = np.sqrt(y * (1 - y) / phi)
    z = np.array([-1.5, 0.0, 2.0])
    family, response = BetaFamily(link), columns(y)
    eta = family.linear_scale(y + z * sd)
    # eta is rounded to a share of an sd, which z multiplies
    found = family.log_density(eta, response, LIMIT) + family.log_constant(response)
    np.testing.assert_allclose(found, stats.norm.logpdf(z) - np.log(sd), atol=2e-3)
    slope = family.derivatives(eta, response, LIMIT).first / PROBABILITY_LINKS[link].curves(eta)[0].first / (y + z * sd)
    np.testing.assert_allclose(slope, -z / sd, rtol=2e-3, atol=1e-3 / sd.min())


@pytest.mark.parametrize("link", BetaFamily.links)
@pytest.mark.parametrize("eta", [-900.0, -720.0, 720.0, 900.0])
def test_beta_where_shapes_underflow(link, eta):
    found = BetaFamily(link).derivatives(np.array([eta]), columns([0.3]), (np.array(2.0),))
    assert all(np.isfinite(part).all() for part in (*found[:3], *found.by_dispersion))
    if link == "logit":  # a density at 0.3 falls in proportion to the smaller shape
        assert found.first[0] == pytest.approx(-np.sign(eta), rel=1e-6)
