"""A coarse quadrature, corrected, against the fine one at every node; and a surrogate that only guides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.inference.hyper import by_cheaper as dear
from partialpool.inference.hyper.by_cheaper import integrate_by_coarser
from partialpool.inference.hyper.by_importance import integrate_exactly
from partialpool.inference.quadrature.adaptive_hermite import AdaptiveHermite
from partialpool.posterior import Posterior

ACCURACY, ROUGH = 0.02, 0.05


def _outcomes() -> dict[str, Any]:
    rng, n_groups, n_rows = np.random.default_rng(6), 5, 6
    g, x = np.repeat(np.arange(n_groups), n_rows), rng.normal(size=n_groups * n_rows)
    eta = -0.3 + rng.normal(size=n_groups)[g] + (0.5 + 0.7 * rng.normal(size=n_groups)[g]) * x
    return {"y": (rng.random(len(g)) < 1.0 / (1.0 + np.exp(-eta))).astype(int), "x": x, "g": g}


@pytest.fixture(scope="module")
def fitted() -> Posterior:
    fit = pp.fit("y ~ x + (x | g)", _outcomes(), family="bernoulli", accuracy=ROUGH)
    assert isinstance(fit, Posterior)
    return fit


def test_posterior_and_evidence(fitted: Posterior) -> None:
    """Within the errors of both lattices and of the correction, which is measured to be far smaller."""
    assert isinstance(fitted.fitted.latent, AdaptiveHermite)
    fine, space = replace(fitted.fitted.latent, order=21), fitted.fitted.model.space
    assert fine.coarser is not None
    assert fine.coarser.order == 5
    found = integrate_by_coarser(space, fine, ACCURACY, None)
    assert found is not None
    evidence = found.engine.evidence
    assert evidence["correction's error (sd)"] < ACCURACY
    assert evidence["evaluations"] < 100 < 0.05 * evidence["coarse evaluations"]
    exact = integrate_exactly(space, fine, ACCURACY)
    for name, column in zip(space.names, range(len(space.names)), strict=True):
        ours, its = found.values[:, column], exact.values[:, column]
        mean, sd = exact.weights @ its, np.sqrt(exact.weights @ (its - exact.weights @ its) ** 2)
        moved = found.value_weights @ ours
        assert abs(moved - mean) < 3 * ACCURACY * sd, name
        assert np.sqrt(found.value_weights @ (ours - moved) ** 2) == pytest.approx(sd, rel=0.04), name
    assert found.log_marginal_likelihood == pytest.approx(exact.log_marginal_likelihood, abs=0.05)


def test_what_matters_is_corrected(fitted: Posterior) -> None:
    """The coarse quadrature is off by more than the correction's error, so that leaving it out would show."""
    assert isinstance(fitted.fitted.latent, AdaptiveHermite)
    points = fitted.fitted.hyper.points.select(np.arange(0, fitted.fitted.hyper.points.n_nodes, 16))
    fine = replace(fitted.fitted.latent, order=21)
    assert fine.coarser is not None
    off = fine.log_likelihood(points) - fine.coarser.log_likelihood(points)
    assert np.abs(off).max() > 0.02


def test_a_correction_that_is_not_accurate_is_not_taken(fitted: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(fitted.fitted.latent, AdaptiveHermite)
    exact = dear.correct

    def inaccurate(*arguments: Any) -> Any:
        return replace(exact(*arguments), error=1.01 * ROUGH)

    monkeypatch.setattr(dear, "correct", inaccurate)
    fine = replace(fitted.fitted.latent, order=21)
    assert integrate_by_coarser(fitted.fitted.model.space, fine, ROUGH, None) is None


def test_nothing_is_integrated_where_no_rule_is_much_cheaper(fitted: Posterior) -> None:
    assert isinstance(fitted.fitted.latent, AdaptiveHermite)
    assert replace(fitted.fitted.latent, order=7).coarser is None
    assert integrate_by_coarser(fitted.fitted.model.space, replace(fitted.fitted.latent, order=7), ROUGH, None) is None


def test_a_fit_takes_it_and_says_so(fitted: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a surrogate does not become accurate: here it is never asked."""
    monkeypatch.setattr("partialpool.inference.hyper.by_quadrature._PATIENCE_WITH_FEW", 0.0)
    monkeypatch.setattr("partialpool.inference.hyper.by_quadrature.integrate_by_way_of_surrogate", lambda *_: None)
    monkeypatch.setattr("partialpool.inference.quadrature.adaptive_hermite._MUCH_CHEAPER", 1.5)
    fit = pp.fit("y ~ x + (x | g)", _outcomes(), family="bernoulli", accuracy=ROUGH)
    assert "coarser quadrature" in fit.engine.reason
    assert "correction's error (sd)" in fit.engine.evidence
    ours, its = fit.summary(), fitted.summary()
    assert np.all(np.abs(ours["mean"] - its["mean"]) < 3 * ROUGH * its["sd"])
    assert np.all(np.abs(ours["sd"] / its["sd"] - 1.0) < 0.1)
    ours, its = fit.groups(), fitted.groups()
    assert np.all(np.abs(ours["mean"] - its["mean"]) < 3 * ROUGH * its["sd"])
