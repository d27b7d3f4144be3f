"""Ordinary posteriors that one map or a grid does not carry: shelves, two regions, columns that fit any response."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import CubicSpline

import partialpool as pp
from partialpool.errors import IdentificationError

from .quadrature import half_line, interval

FloatArray = NDArray[np.float64]


def crossed_rows(seed: int) -> dict[str, Any]:
    """Twenty-five levels crossed with six, two rows a cell; the six differ little."""
    rng = np.random.default_rng(seed)
    p, y = np.repeat(np.arange(25), 12), np.tile(np.repeat(np.arange(6), 2), 25)
    x = rng.standard_normal(300)
    v = 0.1 * x + 0.5 * rng.standard_normal(25)[p] + 0.2 * rng.standard_normal(6)[y] + rng.standard_normal(300)
    return {"v": v, "x": x, "p": p, "y": y}


def near_pair(seed: int) -> dict[str, Any]:
    """Nine groups of one row, but for one whose two rows are nearly equal: sigma is tiny, or sd(g) is."""
    rng = np.random.default_rng(seed)
    g, y = np.r_[np.arange(9), 4], rng.standard_normal(10)
    y[9] = y[4] + 0.05 * rng.standard_normal()
    return {"y": y, "g": g}


def short_slopes() -> dict[str, Any]:
    """Six groups of two rows: an intercept and a slope of its own fit each exactly, whatever the response."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal(12), rng.standard_normal(12)
    return {"y": y, "x": x, "g": np.repeat(np.arange(6), 2)}


def sum_up(log_values: FloatArray, log_density: FloatArray) -> FloatArray:
    """Mean, sd and three quantiles of exp(log values) under an equally spaced marginal of their log."""
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    fine = np.linspace(log_values[0], log_values[-1], 20 * len(log_values))
    within = np.exp(CubicSpline(log_values, np.maximum(log_density - log_density.max(), -80.0))(fine))
    cumulative = (np.cumsum(within) - 0.5 * within) / within.sum()
    values = np.exp(log_values)
    mean = weights @ values
    quantiles = np.exp(np.interp([0.05, 0.5, 0.95], cumulative, fine))
    return np.array([mean, np.sqrt(weights @ (values - mean) ** 2), *quantiles])


def crossed_by_brute_force(data: dict[str, Any], priors: Any) -> dict[str, FloatArray]:
    """A lattice in log sds; effects and coefficients leave by the dense precision of all of them together."""
    columns = np.column_stack([np.ones(300), data["x"], *(np.eye(n)[data[k]] for k, n in (("p", 25), ("y", 6)))])
    means, sds = zip(*((priors[name].mu, priors[name].sigma) for name in ("Intercept", "x")), strict=True)
    response = data["v"] - columns[:, :2] @ means
    axes = [np.arange(-2.5, 1.4, 0.13), np.arange(-11, 2.3, 0.35), np.arange(-0.3, 0.31, 0.04)]
    p, y, sigma = (a.ravel() for a in np.meshgrid(*axes, indexing="ij"))
    prior = np.empty((len(p), 33))
    prior[:, :2], prior[:, 2:27], prior[:, 27:] = (
        np.array(sds) ** -2.0,
        np.exp(-2 * p)[:, None],
        np.exp(-2 * y)[:, None],
    )
    gram, projected = columns.T @ columns, columns.T @ response
    log_density = np.empty(len(p))
    for part in np.array_split(np.arange(len(p)), 40):
        noise = np.exp(-2 * sigma[part])
        precision = gram * noise[:, None, None]
        precision[:, range(33), range(33)] += prior[part]
        root = np.linalg.cholesky(precision)
        solved = np.linalg.solve(root, projected[:, None])[..., 0] * noise[:, None]
        log_density[part] = (
            -300 * sigma[part]
            - 0.5 * noise * (response @ response)
            + 0.5 * (solved**2).sum(axis=1)
            + 0.5 * np.log(prior[part]).sum(axis=1)
            - np.log(np.einsum("nii->ni", root)).sum(axis=1)
        )
    for name, log_sd in (("sd(p)", p), ("sd(y)", y), ("sigma", sigma)):
        log_density += stats.t(3).logpdf(np.exp(log_sd) / priors[name].sigma) + log_sd
    cube = log_density.reshape([len(a) for a in axes])
    cube -= cube.max()
    return {
        name: sum_up(axes[k], np.log(np.exp(cube).sum(axis=tuple(j for j in range(3) if j != k)) + 1e-300))
        for k, name in enumerate(("sd(p)", "sd(y)", "sigma"))
    }


def pair_by_brute_force(data: dict[str, Any], priors: Any) -> dict[str, FloatArray]:
    """A fine grid of log sds, groups and mean in closed form."""
    axes = [np.linspace(-12, 5, 700), np.linspace(-16, 5, 700)]
    tau, sigma = np.meshgrid(*axes, indexing="ij")
    total = stats.t(3).logpdf(np.exp(tau) / priors["sd(g)"].sigma) + tau
    total = total + stats.t(3).logpdf(np.exp(sigma) / priors["sigma"].sigma) + sigma
    mean, sd = priors["Intercept"].mu, priors["Intercept"].sigma
    precision, linear, square = sd**-2.0, mean / sd**2, mean**2 / sd**2
    for level in np.unique(data["g"]):
        rows = data["y"][data["g"] == level]
        variance = np.exp(2 * tau) + np.exp(2 * sigma) / len(rows)
        total = total - 0.5 * np.log(variance) - (len(rows) - 1) * sigma
        total = total - 0.5 * ((rows - rows.mean()) ** 2).sum() * np.exp(-2 * sigma)
        precision = precision + 1 / variance
        linear, square = linear + rows.mean() / variance, square + rows.mean() ** 2 / variance
    total = total - 0.5 * (square - linear**2 / precision) - 0.5 * np.log(precision)
    total -= total.max()
    return {
        name: sum_up(axes[k], np.log(np.exp(total).sum(axis=1 - k) + 1e-300))
        for k, name in enumerate(("sd(g)", "sigma"))
    }


def slopes_by_quadrature(data: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Mean and sd under HalfNormal(1), LKJ(2) and coefficients N(0, 1), each pair of rows in closed form."""
    axes = [half_line(0.7, 22), half_line(0.7, 22), interval(-1.0, 1.0, 18), half_line(0.4, 26)]
    first, second, rho, sigma = (a.ravel() for a in np.meshgrid(*(values for values, _ in axes), indexing="ij"))
    weights = np.prod(np.meshgrid(*(w for _, w in axes), indexing="ij"), axis=0).ravel()
    log_density = np.log1p(-(rho**2)) - 0.5 * (first**2 + second**2 + sigma**2)
    covariance = np.stack([first**2, first * second * rho, second**2])
    precision, linear = np.tile(np.eye(2).ravel(), (len(rho), 1)).reshape(-1, 2, 2), np.zeros((len(rho), 2))
    for level in range(6):
        x, y = data["x"][2 * level : 2 * level + 2], data["y"][2 * level : 2 * level + 2]
        a, b = (covariance[0] + 2 * z * covariance[1] + z * z * covariance[2] + sigma**2 for z in x)
        c = covariance[0] + (x[0] + x[1]) * covariance[1] + x[0] * x[1] * covariance[2]
        # a b - c c without its cancellation
        determinant = sigma**2 * (a + b - sigma**2) + (first * second * (x[1] - x[0])) ** 2 * (1.0 - rho**2)
        inverse = np.moveaxis(np.array([[b, -c], [-c, a]]) / determinant, 2, 0)
        columns = np.column_stack([np.ones(2), x])
        log_density = log_density - 0.5 * np.log(determinant) - 0.5 * y @ (inverse @ y).T
        precision, linear = precision + columns.T @ inverse @ columns, linear + (inverse @ y) @ columns
    solved = np.linalg.solve(precision, linear[..., None])[..., 0]
    log_density = log_density + 0.5 * (linear * solved).sum(axis=1) - 0.5 * np.log(np.linalg.det(precision))
    weights = weights * np.exp(log_density - log_density.max())
    weights /= weights.sum()
    named = {"sd(g, Intercept)": first, "sd(g, x)": second, "cor(g, Intercept, x)": rho, "sigma": sigma}
    means = {name: float(weights @ value) for name, value in named.items()}
    return {name: (mean, float(np.sqrt(weights @ (named[name] - mean) ** 2))) for name, mean in means.items()}


def assert_agrees(fit: pp.Posterior, expected: dict[str, FloatArray], tolerance: float) -> None:
    """Means and quantiles to some share of the posterior's sd, the sd itself to twice that."""
    table = fit.summary()
    for name, (mean, sd, *quantiles) in expected.items():
        found = table.loc[name]
        assert abs(found["mean"] - mean) < tolerance * sd, name
        assert abs(found["sd"] / sd - 1) < 2 * tolerance, name
        assert np.all(np.abs(found[["q5", "q50", "q95"]].to_numpy() - quantiles) < tolerance * sd), name


@pytest.mark.parametrize("seed", [8, 27, 35])
def test_a_factor_of_few_levels_that_differ_little(seed: int) -> None:
    """The log of its sd has a core at what the data show and a low shelf down to zero: Pareto-k was 1.1."""
    fit = pp.fit("v ~ x + (1 | p) + (1 | y)", crossed_rows(seed))
    assert fit.engine.status == "converged"
    assert fit.engine.evidence["Pareto-k"] < 0.5
    if seed == 8:
        assert_agrees(fit, crossed_by_brute_force(crossed_rows(seed), fit.fitted.model.priors), 0.02)


@pytest.mark.parametrize("seed", [30, 36, 39])
def test_one_nearly_equal_pair(seed: int) -> None:
    """Two regions: sigma tiny beside sd(g), or the other way round; two of these are too much for a grid."""
    data = near_pair(seed)
    fit = pp.fit("y ~ 1 + (1 | g)", data)
    assert_agrees(fit, pair_by_brute_force(data, fit.fitted.model.priors), 0.03)


def test_why_a_route_was_left_is_said() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", near_pair(39))
    assert fit.engine.left.startswith("an adaptive grid was left: a grid of ")
    assert "give" not in fit.engine.left  # a remedy is none of a fit that another route made
    assert fit.engine.left in str(fit.engine)
    assert "an adaptive grid was left" in " ".join(repr(fit).split())


def test_groups_of_no_more_rows_than_effects() -> None:
    """Every response is fitted exactly, and the density stays finite as sigma falls to 0: by quadrature .420 (.215)."""
    data = short_slopes()
    priors = {"coefficients": "Normal(0, 1)", "sd": "HalfNormal(1)", "sigma": "HalfNormal(1)", "cor": "LKJ(2)"}
    table = pp.fit("y ~ x + (x | g)", data, priors=priors).summary()
    for name, (mean, sd) in slopes_by_quadrature(data).items():
        assert table.loc[name, "mean"] == pytest.approx(mean, abs=0.02 * sd), name
        assert table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name


def test_columns_that_fit_any_response_under_flat_coefficients() -> None:
    """Three columns and two groups fit any four rows. One contrast e of them is left, N(0, sigma^2 + c sd^2): with both
    sds HalfNormal(1), the posterior by a fine product rule."""
    rng = np.random.default_rng(0)
    y, x = rng.standard_normal(4), rng.standard_normal(4)
    g = np.array([0, 0, 1, 1])
    priors = {"sd": "HalfNormal(1)", "sigma": "HalfNormal(1)", "coefficients": "Flat"}
    fit = pp.fit("y ~ x + z + (1 | g)", {"y": y, "x": x, "z": x**2, "g": g}, priors=priors)
    contrast = np.linalg.svd(np.column_stack([np.ones(4), x, x**2]).T)[2][-1]
    c = np.sum([contrast[g == k].sum() ** 2 for k in (0, 1)])
    value = np.linspace(1e-3, 6, 1000)
    tau, sigma = np.meshgrid(value, value, indexing="ij")
    variance = sigma**2 + c * tau**2
    density = np.exp(-0.5 * (tau**2 + sigma**2) - 0.5 * (contrast @ y) ** 2 / variance) / np.sqrt(variance)
    for name, axis in (("sd(g)", 1), ("sigma", 0)):
        weights = density.sum(axis=axis) / density.sum()
        mean = weights @ value
        sd = np.sqrt(weights @ (value - mean) ** 2)
        assert fit.summary().loc[name, ["mean", "sd"]].to_list() == pytest.approx([mean, sd], abs=0.02 * sd)


@pytest.mark.parametrize(
    ("prior", "proper"),
    [
        ("HalfNormal(1)", False),
        ("Gamma(2.5, 1)", False),
        ("Gamma(3.5, 1)", True),
        ("InverseGamma(1, 1, on='sd')", True),
    ],
)
def test_an_exact_fit_is_refused_where_its_mass_is_infinite(prior: str, proper: bool) -> None:
    """Three pairs of equal rows: the density of the response grows like sigma^-3 as sigma falls, so that a prior like
    sigma^a leaves a finite mass from a > 2 on."""
    data = {"y": [1.0, 1.0, 2.0, 2.0, 4.0, 4.0], "g": [0, 0, 1, 1, 2, 2]}
    priors = {"sigma": prior, "sd": "HalfNormal(2)", "Intercept": "Normal(2, 2)"}
    if proper:
        assert pp.fit("y ~ 1 + (1 | g)", data, priors=priors).engine.status == "converged"
        return
    with pytest.raises(IdentificationError, match="the response is the same in every row of each group of g"):
        pp.fit("y ~ 1 + (1 | g)", data, priors=priors)


def test_an_exact_fit_by_some_of_the_effects_is_refused_though_all_together_fit_any_response() -> None:
    """Slopes and intercepts of pairs fit anything, and intercepts alone fit equal pairs: sigma and sd(g, x) fall to 0
    together, which takes three factors of 1 / sigma for the two that the priors pay."""
    rng = np.random.default_rng(0)
    data = {"y": np.repeat([1.0, 2.0, 4.0], 2), "x": rng.standard_normal(6), "g": np.repeat(np.arange(3), 2)}
    with pytest.raises(IdentificationError, match="sigma would be 0"):
        pp.fit("y ~ 1 + (x | g)", data, priors={"sd": "HalfNormal(1)", "sigma": "HalfNormal(1)"})
