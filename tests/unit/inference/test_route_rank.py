"""Which attempt is taken where none is as good as is wanted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from partialpool.errors import AccuracyWarning, ComputationError
from partialpool.inference.hyper import by_importance
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.models.space.hyperspace import HyperSpace


def _attempt(
    pareto_k: float, effective: float, unseen: float = 0.0, log_evidence: float = 0.0, route: str = ""
) -> HyperPosterior:
    evidence = {
        "nodes": 1e5,
        "effective draws": effective,
        "Pareto-k": pareto_k,
        "half-lattice difference (sd)": 0.01,
        "quantiles' error (sd)": 0.02,
        "unseen share": unseen,
    }
    space = HyperSpace((), (), None, (), 0)
    engine = Engine(route, "", evidence, "", 0.0)
    return HyperPosterior(space, np.empty((1, 0)), np.ones(1), log_evidence, None, engine)


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch):
    def run(*attempts: HyperPosterior, misses: Mapping[int, str] | None = None) -> HyperPosterior:
        missed = {id(attempts[k]): text for k, text in (misses or {}).items()}
        names = [by_importance._Route(str(k), attempt.space) for k, attempt in enumerate(attempts)]
        monkeypatch.setattr(by_importance, "_list_routes", lambda *_: iter(names))
        monkeypatch.setattr(by_importance, "_find_all_modes", lambda *_, **__: {})
        monkeypatch.setattr(by_importance, "find_missed_region", lambda posterior, *_: missed.get(id(posterior), ""))
        monkeypatch.setattr(by_importance, "_sample", lambda route, *_: attempts[int(route.name)])

        class Marginal:
            work, seconds = 1e9, 1.0

        return by_importance.integrate_exactly(attempts[0].space, Marginal(), 0.0158)

    return run


def test_a_reliable_attempt_comes_before_a_smaller_pareto_k(routes) -> None:
    """35 effective draws of 163,840 nodes had the smaller Pareto-k, and the fit was refused."""
    assert routes(_attempt(0.60, 35.0), _attempt(0.66, 22_000.0)).engine.evidence["Pareto-k"] == 0.66


def test_what_is_seen_in_part_is_never_taken(routes) -> None:
    assert routes(_attempt(0.55, 9e3, unseen=0.3), _attempt(0.66, 9e3)).engine.evidence["Pareto-k"] == 0.66
    with pytest.raises(ComputationError, match=r"unseen share 0\.30"):
        routes(_attempt(0.1, 9e3, unseen=0.3))


def test_what_misses_mass_that_another_attempt_found_is_not_taken(routes) -> None:
    found = routes(_attempt(0.55, 9e4, log_evidence=-3.0), _attempt(0.66, 2e4))
    assert found.engine.evidence["Pareto-k"] == 0.66


def test_a_mixture_comes_before_a_map_that_does_not_fit(routes) -> None:
    """Of a map's nodes few are effective; a mixture is wide on purpose."""
    mixture = _attempt(0.6, 2e4, route="importance sampling from a mixture")
    assert routes(_attempt(0.3, 3e4), mixture).engine.evidence["Pareto-k"] == 0.6


def test_what_is_whole_comes_before_more_draws(routes) -> None:
    found = routes(_attempt(0.55, 9e4, unseen=0.003), _attempt(0.6, 6e4, unseen=0.0005))
    assert found.engine.evidence["Pareto-k"] == 0.6


def test_less_mass_than_an_attempt_before_is_a_fault(routes) -> None:
    """Of slopes in five groups the last map had all that is asked for but a fifth of the mass."""
    mixture = _attempt(0.55, 8e4, log_evidence=0.2, route="importance sampling from a mixture")
    found = routes(mixture, _attempt(0.47, 6e4, log_evidence=0.0))
    assert found.engine.evidence["Pareto-k"] == 0.55
    assert "of this one: Pareto-k 0.55" in found.engine.left


def test_rough_quantiles_are_warned_of(routes) -> None:
    attempt = _attempt(0.6, 9e4)
    attempt.engine.evidence["quantiles' error (sd)"] = 0.14
    with pytest.warns(AccuracyWarning, match=r"5 and 95 % quantiles by about 0\.14"):
        routes(attempt)


def test_what_misses_a_region_is_never_taken(routes) -> None:
    """With nothing else wrong it was returned as converged where no other route was reliable."""
    told = {0: "a region of about 13 times the mass of the nodes has hardly any"}
    assert routes(_attempt(0.1, 9e4), _attempt(0.66, 2e4), misses=told).engine.evidence["Pareto-k"] == 0.66
    with pytest.raises(ComputationError, match="13 times the mass"):
        routes(_attempt(0.1, 9e4), misses=told)


def test_the_fault_of_what_is_taken_is_said(routes) -> None:
    found = routes(_attempt(0.66, 2e4), _attempt(0.6, 9e4))
    assert found.engine.left == "0 was left: Pareto-k 0.66; no route is without fault, of this one: Pareto-k 0.60"


def test_rough_quantiles_are_a_fault(routes) -> None:
    rough = _attempt(0.1, 9e4)
    rough.engine.evidence["quantiles' error (sd)"] = 0.12
    assert routes(rough, _attempt(0.1, 6e4)).engine.evidence["effective draws"] == 6e4
