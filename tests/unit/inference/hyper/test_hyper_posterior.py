"""The hyperparameter posterior's own arithmetic: refusals, quantiles of weighted nodes, resampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import ComputationError
from partialpool.inference.hyper.attempts import Attempt, choose
from partialpool.inference.hyper.hyper_posterior import HyperPosterior, resample_nodes, weighted_quantiles


@pytest.fixture(scope="module")
def posterior() -> HyperPosterior:
    fit = pp.fit("Reaction ~ Days + (Days | Subject)", pp.datasets.sleepstudy())
    assert isinstance(fit, pp.Posterior)
    return fit.fitted.hyper


@pytest.mark.parametrize(
    ("evidence", "value"),
    [("Pareto-k", 0.71), ("Pareto-k", np.nan), ("effective draws", 90.0), ("effective draws", np.nan)],
)
def test_unreliable_evidence_is_refused(posterior: HyperPosterior, evidence: str, value: float) -> None:
    assert choose([Attempt(posterior, "")]).posterior is posterior
    engine = replace(posterior.engine, evidence={**posterior.engine.evidence, evidence: value})
    with pytest.raises(ComputationError, match="is not reliable"):
        choose([Attempt(replace(posterior, engine=engine), "")])


def test_weights_sum_to_one_and_nodes_keep_to_the_range(posterior: HyperPosterior) -> None:
    assert posterior.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.all(np.isfinite(posterior.values))
    names = posterior.space.names
    for name, column in zip(names, posterior.values.T, strict=True):
        assert np.all(np.abs(column) <= 1.0) if name.startswith("cor(") else np.all(column >= 0.0)


def test_weighted_quantiles() -> None:
    values, weights = np.array([3.0, 1.0, 2.0, 4.0]), np.full(4, 0.25)
    found = weighted_quantiles(values, weights, np.array([0.125, 0.375, 0.5, 0.875, 0.99]))
    assert np.allclose(found, [1.0, 2.0, 2.5, 4.0, 4.0])


def test_resampling_is_even_seeded_and_never_out_of_range() -> None:
    """Systematic: every node is drawn its expected number of times, rounded down or up."""
    weights = np.array([0.5, 0.0, 0.3, 0.2]) / (1 + 1e-12)
    nodes = resample_nodes(weights, 1001, np.random.default_rng(3))
    counts = np.bincount(nodes, minlength=4)
    assert np.all(np.abs(counts - 1001 * weights) < 1.0)
    assert counts[1] == 0
    assert np.array_equal(nodes, resample_nodes(weights, 1001, np.random.default_rng(3)))
    assert np.any(np.diff(nodes) < 0)
