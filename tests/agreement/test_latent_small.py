"""Small data: the same answers as brute force from few evaluations, counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from partialpool.inference.contract import ConditionalTables
from partialpool.inference.quadrature import nested_grid
from partialpool.inference.quadrature.nested_grid import NestedGrid
from partialpool.inference.run_quadrature import build_latent_marginal
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.families import ExponentialFamily, Poisson
from partialpool.models.families.parse import read_family
from partialpool.models.latent_model import build_latent_model
from partialpool.models.populations.parse import read_population
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.mixtures.table_mixture import table_moments

from .latent_nested import log_likelihood

_A, _B, _C = np.repeat(np.arange(4), 12), np.repeat(np.arange(12), 4), np.repeat(np.arange(24), 2)


def _count(monkeypatch: pytest.MonkeyPatch, family: type, names: tuple[str, ...]) -> list[int]:
    """Count the elements whose log density a family is asked for."""
    seen: list[int] = []
    for name in names:
        plain = getattr(family, name)

        def counted(self: Any, eta: Any, *others: Any, plain: Any = plain) -> Any:
            seen.append(np.size(eta))
            return plain(self, eta, *others)

        monkeypatch.setattr(family, name, counted)
    return seen


def _nested_counts() -> NestedGrid:
    rng = np.random.default_rng(0)
    effects = 0.5 * rng.standard_normal(4)[_A] + 0.4 * rng.standard_normal(12)[_B] + 0.3 * rng.standard_normal(24)[_C]
    data = {"y": rng.poisson(np.exp(1.0 + effects)), "a": _A, "b": _B, "c": _C}
    parsed = parse_formula("y ~ 1 + (1 | a/b/c)")
    design = build_design(parsed, read_observations(data, parsed, family="poisson"))
    model = build_latent_model(design, read_family("poisson"), read_population("normal"), {}, "partial")
    marginal = build_latent_marginal(model)
    found = marginal.refine(_points(np.array([[0.4], [0.4], [0.3]]), np.ones(1)))
    assert isinstance(found, NestedGrid)
    assert found.grid is not None
    return found


def _points(sds: np.ndarray, intercepts: np.ndarray) -> HyperPoints:
    """Return points with the sds of a, b and c, (3, node)."""
    root = np.zeros((3, 3, sds.shape[1]))
    root[range(3), range(3)] = sds
    return HyperPoints(root, np.ones(sds.shape[1]), intercepts[None], None, None)


def test_three_levels_on_a_grid_agree_with_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    marginal = _nested_counts()
    sds = np.array([[0.4, 1.5, 0.05, 0.3, 0.1], [0.4, 0.05, 1.2, 0.1, 0.3], [0.3, 0.6, 0.05, 0.9, 0.04]])
    points = _points(sds, np.array([1.0, 0.4, 1.2, 1.6, 1.1]))
    grid = np.linspace(-12.0, 10.0, 2201)
    rows = stats.poisson.logpmf(marginal.response.values[:, None], np.exp(grid))
    with np.errstate(divide="ignore"):  # far from the data nothing is left
        exact = [log_likelihood(rows, [_C, _B, _A], grid, sds[::-1, k], points.coefficients[0, k]) for k in range(5)]
    np.testing.assert_allclose(marginal.log_likelihood(points), exact, rtol=0, atol=1e-3)
    seen = _count(monkeypatch, Poisson, ("log_density", "derivatives"))
    marginal.log_likelihood(points)
    assert sum(seen) <= 5 * 48 * 150  # nested rules visit a row at thousands of points


@pytest.mark.parametrize("factor", range(3))
def test_many_nodes_tables_are_those_of_one_node_at_a_time(factor: int) -> None:
    marginal, rng = _nested_counts(), np.random.default_rng(3)
    points = _points(np.exp(rng.normal(-1.0, 0.7, (3, 60))), rng.normal(1.0, 0.3, 60))
    units = np.arange(marginal.tree.n_units(factor))[::-1]
    mean, sd = table_moments(*_mixed(marginal.tables(points, factor, 0, units)))
    alone = [marginal.tables(points.select(np.array([node])), factor, 0, units) for node in range(60)]
    expected = np.array([table_moments(*_mixed(tables)) for tables in alone])
    np.testing.assert_allclose(mean, expected[:, 0].mean(axis=0), rtol=0, atol=1e-7)
    variance = expected[:, 1] ** 2 + (expected[:, 0] - expected[:, 0].mean(axis=0)) ** 2
    np.testing.assert_allclose(sd, np.sqrt(variance.mean(axis=0)), rtol=1e-7)
    some = marginal.tables(points, factor, 0, units[1:3])
    np.testing.assert_allclose(table_moments(*_mixed(some))[0], mean[1:3], rtol=0, atol=1e-7)


def test_one_node_of_narrow_parts_leaves_one_table_a_node() -> None:
    """Where casks are precise and batches spread the rule's points are a comb: no reason to part all nodes' tables."""
    marginal = _nested_counts()
    sds = np.full((3, 2001), 0.4)
    sds[:, -1] = [3.0, 5.0, 0.05]
    points = _points(sds, np.ones(2001))
    units = np.arange(marginal.tree.n_units(1))
    every = marginal.tables(points.select(np.r_[np.zeros(2000, dtype=np.intp), 2000]), 1, 0, units)
    assert every.node_weights is None
    alone = marginal.tables(points.select(np.array([2000])), 1, 0, units)
    one = marginal.tables(points.select(np.zeros(1, dtype=np.intp)), 1, 0, units)
    expected = [table_moments(*_mixed(tables))[0] for tables in (one, alone)]
    mean = table_moments(*_mixed(every))[0]
    np.testing.assert_allclose(mean, (2000 * expected[0] + expected[1]) / 2001, rtol=0, atol=1e-4)


def test_tables_of_separate_parts_and_joined_ones_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantiles and pooling weights are those of the parts of a node together."""
    rng = np.random.default_rng(1)
    a, b = np.repeat(np.arange(3), 12), np.repeat(np.arange(9), 4)
    effects = 0.5 * rng.standard_normal(3)[a] + 0.4 * rng.standard_normal(9)[b]
    data = {"y": rng.poisson(np.exp(2.0 + effects)), "a": a, "b": b}
    given = {"sd(a)": "Fixed(0.5)", "Intercept": "Fixed(2)"}
    fit = pp.fit("y ~ 1 + (1 | a/b)", data, family="poisson", priors=given)
    assert "up the tree on" in str(fit.engine)  # on a grid
    monkeypatch.setattr(nested_grid, "choose_half", lambda mixtures: 160)
    joined = fit.groups("a:b", quantiles=[0.05, 0.25, 0.5, 0.75, 0.95], scale="linear")
    monkeypatch.setattr(nested_grid, "choose_half", lambda mixtures: None)
    parts = fit.groups("a:b", quantiles=[0.05, 0.25, 0.5, 0.75, 0.95], scale="linear")
    for column in ("weight", "mean", "sd", "q5", "q25", "q50", "q75", "q95"):
        np.testing.assert_allclose(parts[column], joined[column], rtol=0, atol=1e-3, err_msg=column)


def _mixed(tables: ConditionalTables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the moments of tables over nodes of equal weights are made of."""
    parts = 1 if tables.node_weights is None else round(float(tables.node_weights[0].sum()))
    n_nodes = parts if tables.node_weights is not None else tables.centre.shape[1]
    return tables.shares(np.full(n_nodes, 1.0 / n_nodes)), tables.density, tables.values


def test_tables_and_draws_of_three_levels_agree() -> None:
    marginal = _nested_counts()
    points = _points(np.array([[0.4], [0.5], [0.3]]), np.ones(1)).select(np.zeros(3000, dtype=np.intp))
    rng = np.random.default_rng(1)
    drawn = marginal.draw_effects(points, [np.arange(4), np.arange(12), np.arange(24)], rng)
    for factor, group in enumerate(marginal.model.groups):
        classes = marginal.class_of(factor)
        tables = marginal.tables(points.select(np.zeros(1, dtype=np.intp)), factor, 0, classes)
        density = tables.density[:, 0]
        mean = np.sum(density * tables.values[:, 0], axis=-1)
        sd = np.sqrt(np.sum(density * (tables.values[:, 0] - mean[:, None]) ** 2, axis=-1))
        assert np.all(np.abs(drawn[factor][0].mean(axis=0) - mean) < 4.5 * sd / np.sqrt(3000)), group.name
        np.testing.assert_allclose(drawn[factor][0].std(axis=0), sd, rtol=0.07, err_msg=group.name)


def test_tables_of_units_of_unlike_widths_stand_together() -> None:
    """Under wide populations one grid of deviations serves some coarse units and not others."""
    marginal = _nested_counts()
    points = _points(np.array([[3.0], [3.0], [0.3]]), np.ones(1))
    together = marginal.tables(points.select(np.zeros(128, dtype=np.intp)), 1, 0, np.arange(12))
    shares = together.shares(np.full(128, 1.0 / 128.0))
    means = np.sum(shares[..., None] * together.density * together.values, axis=(1, 2))
    for unit in (0, 3, 11):
        alone = marginal.tables(points, 1, 0, np.array([unit]))
        mean = np.sum(alone.shares(np.ones(1))[..., None] * alone.density * alone.values)
        assert abs(means[unit] - mean) < 1e-2


def test_draws_of_one_node_share_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(7), 4)
    data = {"y": rng.exponential(np.exp(1.0 + 0.5 * (rng.exponential(size=7) - 1.0)[g])), "g": g}
    fit = pp.fit("y ~ 1 + (1 | g)", data, family="exponential", population="skew_normal", accuracy=0.1)
    seen = _count(monkeypatch, ExponentialFamily, ("log_density",))
    few = fit.draws(4000, seed=1)
    first, n_nodes = sum(seen), fit.fitted.hyper.points.n_nodes
    many = fit.draws(16 * n_nodes, seed=2)
    assert sum(seen) - first < 7 * n_nodes * 400  # of at most as many rows, however many draws
    table = fit.summary(effects=True)
    for name in ("theta[g=0]", "theta[g=6]"):
        assert abs(many[name].mean() - table.loc[name, "mean"]) < 0.02 * table.loc[name, "sd"]
        assert abs(few[name].mean() - table.loc[name, "mean"]) < 0.08 * table.loc[name, "sd"]
        assert len(np.unique(many[name])) > 15 * n_nodes
