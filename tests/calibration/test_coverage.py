"""Intervals of the tables, which come from the mixture and not from draws, cover as often as they say."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import partialpool as pp

from .study import Study
from .test_sbc import STUDIES

_QUANTILES = (0.05, 0.25, 0.75, 0.95)
_INTERVALS = {50: ("q25", "q75"), 90: ("q5", "q95")}


def count_coverage(study: Study, n: int, seed: int) -> dict[tuple[str, int], float]:
    """Return how far from nominal the share of covered truths is, in binomial standard errors, by kind and level.

    Of a data set one group and one new row are looked at, so that the truths of different data sets are independent.
    """
    inside: dict[tuple[str, int], int] = defaultdict(int)
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        truth = study.draw_truth(rng)
        data = {"y": study.predictor(truth) + study.noise(truth) * rng.standard_normal(len(study.groups))}
        data |= {"g": study.groups} | ({} if study.x is None else {"x": study.x})
        fit = pp.fit(study.formula, data, standard_error=study.standard_error, priors=study.priors)
        assert isinstance(fit, pp.Posterior)
        summary, groups = fit.summary(quantiles=_QUANTILES), fit.groups(quantiles=_QUANTILES)
        lines = [(name, summary.loc[name], truth[name]) for name in study.priors]
        j = k % study.n_groups
        name = study.effect_name("theta", j, "Intercept")
        lines.append(("a group", groups.loc[j if study.x is None else (j, "Intercept")], truth[name]))
        lines += predict_new_row(study, fit, truth, j, rng)
        for kind, line, value in lines:
            for level, (low, high) in _INTERVALS.items():
                inside[kind, level] += line[low] < value < line[high]
    return {
        (kind, level): (count - n * level / 100) / np.sqrt(n * level / 100 * (1 - level / 100))
        for (kind, level), count in inside.items()
    }


def predict_new_row(study: Study, fit: pp.Posterior, truth: dict[str, float], j: int, rng: np.random.Generator) -> list:
    """Return each predicted quantity of a new row of group j with a value drawn for it."""
    x = rng.normal(5.0, 2.0)
    noise = 0.8 if study.standard_error is not None else truth["sigma"]
    new = {"g": np.array([j]), "x": np.array([x])}
    table = fit.predict(
        new, quantiles=_QUANTILES, standard_error=np.array([noise]) if study.standard_error is not None else None
    )
    mean = sum(
        (x if column == "x" else 1.0) * truth[study.effect_name("theta", j, column)] for column in study.column_names
    )
    values = {"group mean": mean, "new observation": mean + noise * rng.standard_normal()}
    z = rng.standard_normal(2)
    cor = truth.get("cor(g, Intercept, x)", 0.0)
    z[1] = cor * z[0] + np.sqrt(1.0 - cor * cor) * z[1]
    other = sum(
        (x if column == "x" else 1.0) * (truth[column] + truth[study.sd_name(column)] * z[i])
        for i, column in enumerate(study.column_names)
    )
    values["new group, new observation"] = other + noise * rng.standard_normal()
    lines = table.set_index("quantity")
    return [(quantity, lines.loc[quantity], value) for quantity, value in values.items()]


@pytest.mark.calibration
@pytest.mark.parametrize("study", [STUDIES[0], STUDIES[3], STUDIES[5]], ids=lambda study: study.name)
def test_intervals_cover(study: Study) -> None:
    distances = count_coverage(study, 400, seed=5)
    print(f"\n{study.name}: " + ", ".join(f"{kind} {level} %: {d:+.1f}" for (kind, level), d in distances.items()))
    assert max(abs(distance) for distance in distances.values()) < 3.0


def test_intervals_cover_in_short() -> None:
    distances = count_coverage(STUDIES[0], 60, seed=6)
    assert max(abs(distance) for distance in distances.values()) < 3.0
