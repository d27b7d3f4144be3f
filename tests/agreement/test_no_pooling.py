"""No pooling and raw estimates against least squares, and what a raw estimate's sd holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool import errors


def make_rows(seed: int = 3, n_groups: int = 5, size: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    x, w = rng.normal(size=len(g)), rng.normal(3.0, 1.0, len(g)) + g
    y = 1.0 + 0.5 * x + 2.0 * w + rng.normal(size=n_groups)[g] + rng.normal(size=len(g))
    return {"y": y, "x": x, "w": w, "g": g}


def indicate(data: dict[str, Any]) -> Any:
    return (data["g"][:, None] == np.unique(data["g"])).astype(float)


@pytest.mark.parametrize("formula", ["y ~ w + (1 | g)", "y ~ w + x + (1 + x | g)"])
def test_raw_sd_holds_the_common_coefficients_uncertainty(formula: str) -> None:
    """With flat priors, known noise and no pooling, raw and raw_sd are those of least squares on all columns."""
    data = make_rows() | {"se": np.full(30, 0.8)}
    flat = {"coefficients": "Flat"}
    fit = pp.fit(formula, data, standard_error="se", pooling="none", priors=flat)
    own = indicate(data)
    design = np.column_stack([own, own * data["x"][:, None], data["w"]] if "x |" in formula else [own, data["w"]])
    covariance = 0.64 * np.linalg.inv(design.T @ design)
    estimate = covariance @ design.T @ data["y"] / 0.64
    groups = fit.groups()
    order = np.arange(design.shape[1] - 1).reshape(-1, 5).T.ravel()
    for mean, sd in (("raw", "raw_sd"), ("mean", "sd")):
        assert np.allclose(groups[mean], estimate[order], rtol=1e-6, atol=1e-6)
        assert np.allclose(groups[sd], np.sqrt(np.diag(covariance))[order], rtol=1e-6)


@pytest.mark.parametrize("formula", ["y ~ w + (1 | g)", "y ~ w + (1 + x | g)", "y ~ w + x + (1 + x | g)"])
@pytest.mark.parametrize("prior", ["Normal(0, 10)", "StudentT(3, 0, 10)"])
def test_raw_sd_by_differences(formula: str, prior: str) -> None:
    """raw is linear in a common coefficient: its slope, by two fits that know the coefficient, times the sd."""
    data = make_rows()
    fit = pp.fit(formula, data, priors={"w": prior})
    rows = [pp.fit(formula, data, priors={"w": f"Normal({at}, 1e-4)"}).groups() for at in (1.0, 2.0)]
    slope = (rows[1]["raw"] - rows[0]["raw"]).to_numpy()
    line = fit.summary().loc[["w", "sigma"]]
    own = rows[0]["raw_sd"] / pp.fit(formula, data, priors={"w": "Normal(1, 1e-4)"}).summary()["mean"]["sigma"]
    expected = np.hypot(own * line["mean"]["sigma"], slope * line["sd"]["w"])
    assert np.allclose(fit.groups()["raw_sd"], expected, rtol=1e-4)


def test_raw_of_an_intercept_alone() -> None:
    data = make_rows()
    fit = pp.fit("y ~ 1 + (1 | g)", data)
    assert np.allclose(fit.groups()["raw_sd"], fit.summary()["mean"]["sigma"] / np.sqrt(6), rtol=1e-12)


def test_known_population_of_slopes() -> None:
    """With x in the population part its known mean is every group's."""
    fit = pp.fit("y ~ x + (1 + x | g)", make_rows(), pooling="none", priors={"x": "Normal(5, 0.01)"})
    slopes = fit.groups().xs("x", level="coefficient")
    assert np.allclose(slopes["mean"], 5.0, atol=0.02)


def test_predictions_are_of_known_groups() -> None:
    data = make_rows()
    fit = pp.fit("y ~ x + (x | g)", data, pooling="none", priors={"coefficients": "Flat"})
    table = fit.predict({"x": [1.0, 2.0], "g": [0, 4]})
    assert list(table["quantity"]) == ["group mean", "new observation"] * 2
    own = data["g"] == 4
    expected = np.polyval(np.polyfit(data["x"][own], data["y"][own], 1), 2.0)
    assert table["mean"].iloc[2] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(errors.DataError, match="row 2 is of the unseen group '9': without pooling nothing is known"):
        fit.predict({"x": [1.0, 2.0], "g": [0, 9]})
