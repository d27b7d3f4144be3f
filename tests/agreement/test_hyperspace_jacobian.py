"""Priors on natural parameters, carried to the coordinates of integration, against numerical Jacobians."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate

import partialpool as pp
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperSpace

from .cases import random_case

FloatArray = NDArray[np.float64]


def natural_of(space: HyperSpace, coordinates: FloatArray) -> FloatArray:
    return space.natural_values(space.constrain(coordinates[None])[0])[0]


def log_jacobian(space: HyperSpace, coordinates: FloatArray) -> float:
    """log |d natural / d coordinate| by Richardson's extrapolation of central differences."""
    derivatives = []
    for step in (1e-3, 5e-4):
        columns = []
        for k in range(space.dimension):
            shift = np.zeros(space.dimension)
            shift[k] = step
            columns.append(
                (natural_of(space, coordinates + shift) - natural_of(space, coordinates - shift)) / (2 * step)
            )
        derivatives.append(np.array(columns).T)
    matrix = (4 * derivatives[1] - derivatives[0]) / 3
    return float(np.linalg.slogdet(matrix)[1])


def log_lkj(eta: float, correlations: list[float]) -> float:
    """The normalised density of a correlation matrix's entries, of order 2 or 3."""
    if len(correlations) == 1:
        norm = integrate.quad(lambda r: (1 - r * r) ** (eta - 1), -1, 1)[0]
        return (eta - 1) * math.log1p(-(correlations[0] ** 2)) - math.log(norm)
    a, b, c = correlations
    # r23 = ab + s sqrt(1-a^2) sqrt(1-b^2), |s| < 1, has det = (1-a^2)(1-b^2)(1-s^2)
    outer = integrate.quad(lambda r: (1 - r * r) ** (eta - 0.5), -1, 1)[0]
    inner = integrate.quad(lambda r: (1 - r * r) ** (eta - 1), -1, 1)[0]
    determinant = 1 - a * a - b * b - c * c + 2 * a * b * c
    return (eta - 1) * math.log(determinant) - math.log(outer**2 * inner)


def log_natural_prior(model: Model, natural: FloatArray) -> float:
    """The prior density of the reported parameters, written without the library's coordinates."""
    values = dict(zip(model.space.names, natural, strict=True))
    total, correlations = 0.0, []
    for name, value in values.items():
        prior = model.priors.get(name)
        if name.startswith("cor("):
            correlations.append(float(value))
        else:
            assert prior is not None
            total += float(prior.log_density(value))  # type: ignore[attr-defined]
    if correlations:
        lkj = next(prior for prior in model.priors.values() if isinstance(prior, pp.LKJ))
        total += log_lkj(lkj.eta, correlations)
    return total


SCALES = {"sd": "HalfStudentT(3, 2)", "sigma": "Gamma(2, 1)"}
SPACES: dict[str, tuple[str, str, dict[str, str]]] = {
    "one sd": ("1", " + (1 | g)", {"sd": "HalfCauchy(3)", "sigma": "Exponential(1)"}),
    "bounded sds": ("1", " + (1 | g)", {"sd": "Uniform(0.1, 4)", "sigma": "Uniform(0.2, inf)"}),
    "inverse gammas": (
        "1",
        " + (1 | g)",
        {"sd": "InverseGamma(2, 1, on='variance')", "sigma": "InverseGamma(2, 1, on='sd')"},
    ),
    "sampled coefficients": (
        "x + z",
        " + (1 | g)",
        {**SCALES, "Intercept": "Uniform(-9, 7)", "x": "Uniform(-8, 9)", "z": "Uniform(-3, inf)"},
    ),
    "independent slopes": ("x", " + (x || g)", SCALES),
    "correlated slopes": ("x", " + (1 + x | g)", {**SCALES, "cor": "LKJ(1)"}),
    "correlated slopes, eta 4": ("x", " + (1 + x | g)", {**SCALES, "cor": "LKJ(4)"}),
    "slopes without an intercept": ("x", " + (0 + x + z | g)", {**SCALES, "cor": "LKJ(2)"}),
    "three correlated": ("x + z", " + (1 + x + z | g)", {**SCALES, "cor": "LKJ(2)"}),
    "three, eta 1/2": ("x + z", " + (1 + x + z | g)", {**SCALES, "cor": "LKJ(0.5)"}),
    "a block and one": ("x + z", " + (1 + x | g) + (0 + z | g)", {**SCALES, "cor": "LKJ(3)"}),
}


@pytest.mark.parametrize("name", list(SPACES))
@pytest.mark.parametrize("seed", range(3))
def test_prior_and_jacobian(name: str, seed: int) -> None:
    population, groups, priors = SPACES[name]
    case = random_case(population, groups, "rows", "default", [5, 4, 3, 6, 2], seed=seed)
    case.priors.update(priors)
    model, _ = case.build()
    space = model.space
    rng = np.random.default_rng(seed)
    for _ in range(4):
        coordinates = space.starts()[3] + 0.7 * rng.normal(size=space.dimension)
        _, log_prior = space.constrain(coordinates[None])
        expected = log_natural_prior(model, natural_of(space, coordinates)) + log_jacobian(space, coordinates)
        assert log_prior[0] == pytest.approx(expected, abs=1e-7)


def test_some_blocks_above_are_about_a_column_far_from_zero() -> None:
    """Else the change to centred columns, and its Jacobian, would be next to nothing."""
    cases = [random_case("x", " + (1 + x | g)", "rows", "default", [5, 4, 3, 6, 2], seed=seed) for seed in range(3)]
    assert max(abs(case.build()[0].space.blocks[0].centre[1]) for case in cases) > 2.0


@pytest.mark.parametrize("order", [2, 3])
def test_unconstrain_inverts_constrain(order: int) -> None:
    groups, population = (" + (1 + x | g)", "x") if order == 2 else (" + (1 + x + z | g)", "x + z")
    case = random_case(population, groups, "rows", "default", [5, 4, 3, 6, 2], seed=1)
    block = case.build()[0].space.blocks[0]
    rng = np.random.default_rng(0)
    for _ in range(5):
        log_sds, fisher_z = rng.normal(size=(order, 1)), rng.normal(size=(order * (order - 1) // 2, 1))
        root, _ = block.constrain(log_sds, fisher_z)
        back_sds, back_z = block.unconstrain(root[:, :, 0])
        assert np.allclose(back_sds, log_sds[:, 0], atol=1e-10)
        assert np.allclose(back_z, fisher_z[:, 0], atol=1e-9)


def integrate_prior(model: Model, fixed: FloatArray, axis: int) -> float:
    """Integrate a scalar coordinate's prior over the line: 1 where the prior is proper."""

    def density(coordinate: float) -> float:
        at = fixed.copy()
        at[axis] = coordinate
        return float(np.exp(model.space.constrain(at[None])[1][0]))

    return float(integrate.quad(density, -60, 60, points=[-10, 0, 10], limit=500)[0])


@pytest.mark.parametrize(
    "prior", ["HalfCauchy(3)", "Uniform(0.1, 4)", "Gamma(0.5, 2)", "HalfNormal(2)", "PCPrior(1, 0.05)"]
)
def test_a_proper_prior_integrates_to_one_over_its_coordinate(prior: str) -> None:
    case = random_case("1", " + (1 | g)", "standard errors", "default", [1, 2, 1, 1], seed=1)
    case.priors.update({"sd": prior})
    model, _ = case.build()
    assert integrate_prior(model, np.zeros(1), 0) == pytest.approx(1.0, abs=1e-7)
