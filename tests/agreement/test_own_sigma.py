"""Groups with sigmas of their own against brute force: everything on dense grids, sigma too, by other rules."""

import numpy as np
import pytest

import partialpool as pp

PRIORS = {
    "Intercept": pp.Normal(10, 5),
    "sd(g)": pp.HalfNormal(2),
    "mean(log sigma)": pp.Normal(0.5, 1),
    "sd(log sigma)": pp.Uniform(0.1, 2),
}
SIZES = (2, 4, 3, 6, 8, 5, 1)


def _rows():
    rng = np.random.default_rng(11)
    codes = np.repeat(np.arange(len(SIZES)), SIZES)
    sigmas = np.array([0.5, 1.0, 3.0, 2.0, 0.7, 4.0, 1.0])
    effects = rng.standard_normal(len(SIZES))
    return {"g": codes, "y": 10.0 + effects[codes] + sigmas[codes] * rng.standard_normal(len(codes))}


class _Grid:
    """Weights over (Intercept, tau, m, s), and each group's posterior given them from a table over log sigma."""

    def __init__(self, data):
        # tau by its root, so that the grid is dense near 0; of log sigma the step is half the least s
        self.intercept = np.linspace(5.5, 14.5, 25)
        self.tau = np.linspace(0.0, 2.4, 25)[1:] ** 2
        self.m = np.linspace(-2.6, 3.0, 29)
        self.s = np.linspace(0.1, 2.0, 25)
        t, step = np.linspace(-7.0, 7.0, 281, retstep=True)
        tables = [self._likelihood(data["y"][data["g"] == k], t) for k in range(len(SIZES))]
        population = np.exp(-0.5 * ((t[:, None, None] - self.m[:, None]) / self.s) ** 2) / self.s * step
        population = population.reshape(len(t), -1) / np.sqrt(2.0 * np.pi)
        shape = (len(self.intercept), len(self.tau), len(self.m), len(self.s))
        own = [table @ population for table in tables]
        log_weight = sum(np.log(part) for part in own).reshape(shape) + self._log_prior()
        self.weight = np.exp(log_weight - log_weight.max())
        self.weight /= self.weight.sum()
        flat = self.weight.reshape(-1, population.shape[1])
        sigma, theta = np.exp(t), self._theta(data, t)
        self.sigmas = [
            [float(np.sum(flat * ((table * sigma**k) @ population) / part)) for k in (1, 2)]
            for table, part in zip(tables, own, strict=True)
        ]
        self.thetas = [
            float(np.sum(flat * ((table * theta[k]) @ population) / part))
            for k, (table, part) in enumerate(zip(tables, own, strict=True))
        ]

    def _likelihood(self, y, t):
        """p(y of a group | intercept, tau, t), (intercept * tau, t), from the determinant and inverse of its
        covariance, by Sherman and Morrison."""
        left = y - self.intercept[:, None, None, None]
        variance = np.exp(2.0 * t)
        tau = self.tau[:, None]
        total = variance + len(y) * tau**2
        squares = (np.sum(left**2, axis=-1) - tau**2 * np.sum(left, axis=-1) ** 2 / total) / variance
        logs = -0.5 * (squares + (len(y) - 1) * np.log(variance) + np.log(total) + len(y) * np.log(2.0 * np.pi))
        return np.exp(logs).reshape(-1, len(t))

    def _theta(self, data, t):
        """Each group's conditional mean, (group, intercept * tau, t)."""
        values = []
        for k, n in enumerate(SIZES):
            mean = data["y"][data["g"] == k].mean()
            share = self.tau[:, None] ** 2 / (self.tau[:, None] ** 2 + np.exp(2.0 * t) / n)
            values.append(self.intercept[:, None, None] + share * (mean - self.intercept[:, None, None]))
        return [
            np.broadcast_to(value, (len(self.intercept), len(self.tau), len(t))).reshape(-1, len(t)) for value in values
        ]

    def _log_prior(self):
        a, tau, m, s = np.meshgrid(self.intercept, self.tau, self.m, self.s, indexing="ij")
        logs = -0.5 * (((a - 10.0) / 5.0) ** 2 + (tau / 2.0) ** 2 + (m - 0.5) ** 2)
        at_ends = np.isin(s, self.s[[0, -1]])
        return logs + 0.5 * np.log(tau) - np.log(2.0) * at_ends  # equal steps of the root; half a step at the ends

    def moments(self, axis):
        values = (self.intercept, self.tau, self.m, self.s)[axis]
        weight = self.weight.sum(axis=tuple(k for k in range(4) if k != axis))
        mean = float(weight @ values)
        return mean, float(np.sqrt(weight @ (values - mean) ** 2))


@pytest.fixture(scope="module")
def fit():
    return pp.fit("y ~ 1 + (1 | g)", _rows(), sigma="pooled by group", priors=PRIORS)


@pytest.fixture(scope="module")
def grid():
    return _Grid(_rows())


def test_population_is_that_of_the_grid(fit, grid):
    table = fit.summary()
    for axis, name in enumerate(("Intercept", "sd(g)", "mean(log sigma)", "sd(log sigma)")):
        mean, sd = grid.moments(axis)
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * sd, name
        assert table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name


def test_groups_are_those_of_the_grid(fit, grid):
    table = fit.summary(effects=True)
    for k, (first, second) in enumerate(grid.sigmas):
        sd = np.sqrt(second - first**2)
        line = table.loc[f"sigma[g={k}]"]
        assert abs(line["mean"] - first) < 0.02 * sd, k
        if SIZES[k] > 1:
            assert line["sd"] == pytest.approx(sd, rel=0.02), k
        theta = table.loc[f"theta[g={k}]"]
        assert abs(theta["mean"] - grid.thetas[k]) < 0.02 * theta["sd"], k


def test_equal_sigmas_are_the_ordinary_model():
    data = _rows()
    own = {"Intercept": PRIORS["Intercept"], "sd(g)": PRIORS["sd(g)"]}
    fixed = own | {"sd(log sigma)": "Fixed(0)", "mean(log sigma)": "Normal(0.5, 1)"}
    one = pp.fit("y ~ 1 + (1 | g)", data, sigma="pooled by group", priors=fixed)
    # the log of a sigma of this prior is Normal(0.5, 1)
    draws = one.draws(4000)
    sigma = np.exp(draws["mean(log sigma)"])
    np.testing.assert_allclose(draws["sigma[g=3]"], sigma, rtol=1e-4)
    expected = _sum_common(data)
    table = one.summary()
    for name, (mean, sd) in expected.items():
        assert abs(table.loc[name, "mean"] - mean) < 0.02 * sd, name
        assert table.loc[name, "sd"] == pytest.approx(sd, rel=0.02), name


def _sum_common(data):
    """Mean and sd of the parameters of one sigma, on a grid."""
    grid = _Grid.__new__(_Grid)
    grid.intercept, grid.tau = np.linspace(5.5, 14.5, 61), np.linspace(0.0, 2.4, 61)[1:] ** 2
    t = np.linspace(-0.5, 2.0, 81)
    shape = (len(grid.intercept), len(grid.tau), len(t))
    logs = sum(np.log(grid._likelihood(data["y"][data["g"] == k], t)) for k in range(len(SIZES))).reshape(shape)
    a, tau, m = np.meshgrid(grid.intercept, grid.tau, t, indexing="ij")
    logs = logs - 0.5 * (((a - 10.0) / 5.0) ** 2 + (tau / 2.0) ** 2 + (m - 0.5) ** 2) + 0.5 * np.log(tau)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    means = {
        name: float((weight * x).sum())
        for name, x in zip(("Intercept", "sd(g)", "mean(log sigma)"), (a, tau, m), strict=True)
    }
    return {
        name: (means[name], float(np.sqrt((weight * (x - means[name]) ** 2).sum())))
        for name, x in zip(means, (a, tau, m), strict=True)
    }


def test_many_rows_and_a_wide_population_are_groups_on_their_own():
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(5), 400)
    data = {"g": codes, "y": np.array([0.1, 1.0, 10.0, 30.0, 3.0])[codes] * rng.standard_normal(2000) + codes}
    wide = {"sd(g)": "Fixed(1000)", "Intercept": "Normal(0, 10)", "sd(log sigma)": "Fixed(30)"}
    pooled = pp.fit("y ~ 1 + (1 | g)", data, sigma="pooled by group", priors=wide).summary(effects=True)
    flat = {"Intercept": "Normal(0, 1000)", "sigma": "Uniform(0, 1000)"}
    alone = pp.fit("y ~ 1 + (1 | g)", data, sigma="by group", pooling="none", priors=flat).summary(effects=True)
    for k in range(5):
        for name in (f"theta[g={k}]", f"sigma[g={k}]"):
            sd = alone.loc[name, "sd"]
            assert abs(pooled.loc[name, "mean"] - alone.loc[name, "mean"]) < 0.06 * sd, name
            assert pooled.loc[name, "sd"] == pytest.approx(sd, rel=0.03), name


def test_a_population_of_sigmas_is_recovered():
    rng = np.random.default_rng(8)
    codes = np.repeat(np.arange(120), 6)
    sigmas = np.exp(1.0 + 0.6 * rng.standard_normal(120))
    y = 20.0 + 2.0 * rng.standard_normal(120)[codes] + sigmas[codes] * rng.standard_normal(720)
    fit = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": codes}, sigma="pooled by group", accuracy=0.1)
    table = fit.summary()
    for name, truth in {"Intercept": 20.0, "sd(g)": 2.0, "mean(log sigma)": 1.0, "sd(log sigma)": 0.6}.items():
        assert abs(table.loc[name, "mean"] - truth) < 3.0 * table.loc[name, "sd"], name
    draws = fit.draws(1000)
    inside = [
        np.quantile(draws[f"sigma[g={j}]"], 0.05) < sigma < np.quantile(draws[f"sigma[g={j}]"], 0.95)
        for j, sigma in enumerate(sigmas)
    ]
    assert 0.81 < np.mean(inside) < 0.99  # 90 %, give or take 3.3 of its standard errors


def test_units_change_nothing():
    data, unit = _rows(), 1e6
    one = pp.fit("y ~ 1 + (1 | g)", data, sigma="pooled by group", accuracy=0.1).summary(effects=True)
    scaled = {**data, "y": unit * data["y"]}
    other = pp.fit("y ~ 1 + (1 | g)", scaled, sigma="pooled by group", accuracy=0.1).summary(effects=True)
    moved = [name for name in one.index if "log sigma" not in name]
    np.testing.assert_allclose(other.loc[moved], unit * one.loc[moved], rtol=2e-4)
    np.testing.assert_allclose(other.loc["sd(log sigma)"], one.loc["sd(log sigma)"], rtol=1e-4)
    shift = other.loc["mean(log sigma)", "mean"] - one.loc["mean(log sigma)", "mean"]
    assert shift == pytest.approx(np.log(unit), abs=1e-4)
