"""Parts of a posterior that no line from its middle meets: shelves where an sd vanishes, and a region beside a ridge.

Both data sets are simulated (numbers of ``_SHELF`` and ``_RIDGE`` as drawn, rounded).
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

import partialpool as pp
from partialpool.inference.hyper.hyper_posterior import log_posterior
from partialpool.posterior import Posterior

FloatArray = NDArray[np.float64]

# Four groups of three to eight rows, a covariate some sds from zero: each of two sds can explain the other's effects.
_SHELF = {
    "x": [184.714, 214.546, 206.04, 237.542, 188.012, 193.264, 213.134, 203.554, 202.08, 198.679, 214.042, 208.399,
          201.457, 227.358, 187.708, 204.931, 232.06, 237.68, 208.342, 193.354, 224.749, 202.617, 199.057, 211.849],
    "y": [-1130.34, -90.6927, -285.808, -1455.2, -581.594, 221.006, -510.369, -605.847, -164.583, -442.239, -702.285,
          -60.299, -130.361, -653.527, 14.9625, -233.016, 561.308, -282.478, -395.699, -69.6061, 212.474, -114.321,
          310.494, -51.5818],
    "a": [0, 1, 2, 3, 1, 3, 3, 1, 3, 0, 3, 0, 2, 2, 2, 3, 0, 2, 0, 2, 0, 2, 2, 0],
}  # fmt: skip
# Three groups whose slopes differ by 200 under a prior of scale 0.5: all or nothing of the sd.
_RIDGE = {
    "x": [0.139527, 0.145181, 0.135982, 0.137815, 0.143989, 0.133848, 0.13725, 0.141704, 0.135108, 0.138466, 0.136893,
          0.132608, 0.139547, 0.137419, 0.138618, 0.140796, 0.138953, 0.136886, 0.137592, 0.137608, 0.139612, 0.143091,
          0.13963, 0.137397, 0.135563, 0.1393, 0.142072, 0.132509, 0.145358, 0.131241, 0.142427, 0.141011, 0.142107,
          0.137555, 0.141257, 0.138783, 0.138434, 0.146097, 0.142247, 0.138789, 0.13845, 0.141969, 0.138977, 0.134665,
          0.132768, 0.139473, 0.138483, 0.143981],
    "y": [0.829282, -0.429531, 1.41105, 0.137633, 1.90217, 2.49954, 1.3579, 1.48177, 2.2618, 1.1815, 1.59815, 0.123188,
          -0.0273565, 0.411942, 0.651635, 0.457701, 1.49082, 1.64133, 0.995651, 1.19578, 0.708391, -2.05087, 0.271132,
          0.717906, -0.131761, 0.899142, 0.922649, 2.81993, 0.996052, 3.48972, -1.08495, 1.12814, -1.25348, 0.641325,
          0.944543, 0.918363, 1.10528, 1.76468, 1.55572, 1.44411, -0.0884281, 0.144552, 1.31388, 2.13797, 3.52253,
          0.388067, 0.173558, -2.29517],
    "a": [1, 2, 2, 2, 1, 0, 0, 1, 2, 0, 0, 1, 0, 1, 0, 2, 2, 0, 1, 1, 2, 0, 1, 1, 1, 2, 2, 2, 2, 0, 0, 2, 0, 1, 1, 1,
          1, 1, 1, 2, 0, 2, 2, 0, 0, 2, 0, 0],
}  # fmt: skip


def _grid(middle: float, below: float, above: float, size: int) -> FloatArray:
    """Places of a coordinate, close together in the middle."""
    t = np.sinh(3.0 * np.linspace(-1.0, 1.0, size)) / np.sinh(3.0)
    return middle + np.where(t < 0.0, below * t, above * t)


def _brute_force(fit: Posterior, axes: list[FloatArray]) -> list[FloatArray]:
    """Quantiles of exp(coordinate) by the trapezoid rule over a grid of all coordinates."""
    log_density = log_posterior(fit.fitted.model.space, fit.fitted.marginal)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    with np.errstate(all="ignore"):
        logs = np.concatenate([log_density(part) for part in grid.reshape(-1, len(axes)).reshape(50, -1, len(axes))])
    highest = float(np.nanmax(logs))
    mass = np.exp(logs - highest).reshape(grid.shape[:-1])
    for k, axis in enumerate(axes):
        mass = mass * np.gradient(axis).reshape([-1 if j == k else 1 for j in range(len(axes))])
    quantiles = []
    for k, axis in enumerate(axes):
        density = mass.sum(axis=tuple(j for j in range(len(axes)) if j != k)) / np.gradient(axis)
        fine = np.linspace(axis[0], axis[-1], 40001)
        below = np.cumsum(np.maximum(PchipInterpolator(axis, density)(fine), 0.0))
        quantiles.append(np.exp(np.interp([0.05, 0.5, 0.95], below / below[-1], fine)))
    return quantiles


def test_shelves_where_either_sd_vanishes() -> None:
    """Half a per cent of the posterior, all of it at large sigma: without it the 95 % quantile is 0.06 sds low."""
    fit = pp.fit("y ~ 1 + x + (x || a)", _SHELF)
    assert isinstance(fit, Posterior)
    axes = [_grid(8.73, 12.0, 3.5, 100), _grid(3.4, 12.0, 3.5, 100), _grid(5.2, 1.4, 2.3, 60)]
    quantiles = _brute_force(fit, axes)
    table = fit.summary(quantiles=(0.05, 0.5, 0.95))
    for name, expected in zip(("sd(a, Intercept)", "sd(a, x)", "sigma"), quantiles, strict=True):
        row = table.loc[name]
        assert np.abs(row.to_numpy()[-3:] - expected).max() < 0.02 * row["sd"], name
    assert "cover only a part" in fit.engine.left


def test_a_region_that_only_a_ridge_leads_to() -> None:
    """In coordinates of the formula's zero nothing points to it, and the other region alone has sigma .99 (with clean
    weights); e^10.45 times its mass is here, by grids of both, and the grid of this one tells the quantiles."""
    fit = pp.fit("y ~ 1 + x + (x | a)", _RIDGE, priors={"sd": "HalfCauchy(0.5)"})
    assert isinstance(fit, Posterior)
    axes = [_grid(1.5, 13.0, 6.0, 40), _grid(5.3, 1.6, 3.2, 24), _grid(0.25, 3.0, 3.4, 30), _grid(-0.8, 0.6, 0.9, 30)]
    sigma, row = _brute_force(fit, axes)[3], fit.summary(quantiles=(0.05, 0.5, 0.95)).loc["sigma"]
    assert sigma == pytest.approx([0.3770, 0.4481, 0.5448], abs=3e-4)  # what 70 * 40 * 60 * 50 nodes give
    assert np.abs(row.to_numpy()[-3:] - sigma).max() < 0.03 * row["sd"]
    assert fit.engine.left


def test_many_groups_of_years() -> None:
    """The centred chart is searched however many groups there are: sigma was 5.7, certified, where it is 0.4."""
    rng = np.random.default_rng(0)
    a = np.repeat(np.arange(800), 6)
    x = 2001.0 + rng.integers(0, 20, 4800)
    y = 50.0 + rng.normal(size=800)[a] + rng.normal(size=800)[a] * (x - 2010.0) + 0.4 * rng.normal(size=4800)
    fit = pp.fit("y ~ 1 + x + (x | a)", {"y": y, "x": x, "a": a}, priors={"sd": "HalfCauchy(1)"})
    within = np.sqrt(_pooled_variance(a, x, y))
    assert fit.summary().loc["sigma", "mean"] == pytest.approx(within, rel=0.02)


def _pooled_variance(groups: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Return the residual variance of a straight line in each group."""
    squares, left = 0.0, 0
    for g in np.unique(groups):
        design = np.column_stack([np.ones(np.sum(groups == g)), x[groups == g] - 2010.0])
        rank = np.linalg.matrix_rank(design)
        fitted = design @ np.linalg.lstsq(design, y[groups == g], rcond=None)[0]
        squares += float(np.sum((y[groups == g] - fitted) ** 2))
        left += len(design) - rank
    return squares / left
