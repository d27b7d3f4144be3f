"""Arguments that contradict each other or are not what they should be: refused with a remedy before computing."""

from __future__ import annotations

from typing import Any

import pytest

import partialpool as pp

SCHOOLS = pp.datasets.eight_schools()
FORMULA = "effect ~ 1 + (1 | school)"


def test_known_and_separate_noise_contradict() -> None:
    with pytest.raises(pp.errors.DataError, match="noise is known: drop one"):
        pp.fit(FORMULA, SCHOOLS, standard_error="se", pooling="none", sigma="by group")


@pytest.mark.parametrize("seed", ["a", 1.5, -1, None, True])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    with pytest.raises(pp.errors.DataError, match="whole number"):
        pp.fit(FORMULA, SCHOOLS, standard_error="se", seed=seed)


@pytest.mark.parametrize("quantiles", [("a",), (0.0,), (1.2,), (None,), ((0.1, 0.2),)])
def test_quantiles_are_probabilities(quantiles: Any) -> None:
    fit = pp.fit(FORMULA, SCHOOLS, standard_error="se")
    with pytest.raises(pp.errors.DataError, match="strictly between 0 and 1"):
        fit.summary(quantiles=quantiles)
    with pytest.raises(pp.errors.DataError, match="strictly between 0 and 1"):
        fit.predict({"school": ["A"]}, quantiles=quantiles)
