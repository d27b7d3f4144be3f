"""Random models against the long sampler: which, and whether their quantiles agree."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import partialpool as pp
from long_sampler import Chains, quantile_with_error, sample_model, split_rhat
from long_sampler_model import read_model, read_terms
from random_models import RandomModel, draw_model

FloatArray = NDArray[np.float64]

_PROBABILITIES = (0.05, 0.5, 0.95)
# Quantiles may be off by this share of a posterior sd; the sampler tells it where its own standard errors are a third.
_TOLERANCE = 0.05
_LARGEST_ERROR = _TOLERANCE / 3.0
_LARGEST_RHAT = 1.01
# Processor seconds that the chains of one model may take, and the size of models that are chosen.
_SECONDS = 40.0
_MOST_COLUMNS, _MOST_ROWS = 60, 200
_SHARE_GAUSSIAN = 0.7


def choose_models(seeds: Iterable[int], n: int, only: str | None = None) -> list[RandomModel]:
    """Return the first models of moderate size, seven in ten Gaussian or ``only`` these or others, their shapes and
    likelihoods as even as they come."""
    n_gaussian = round(n * {None: _SHARE_GAUSSIAN, "gaussian": 1.0, "other": 0.0}[only])
    wanted = {True: n_gaussian, False: n - n_gaussian}
    most = {True: -(-wanted[True] // 12), False: -(-wanted[False] // 10)}
    kinds: Counter[tuple[str, str]] = Counter()
    chosen = []
    for seed in seeds:
        model = draw_model(seed)
        gaussian = "family" not in model.options
        kind = (model.formula.split("+ (", 1)[1], str(model.options.get("family")))
        if wanted[gaussian] and kinds[kind] < most[gaussian] and _is_moderate(model):
            chosen.append(model)
            kinds[kind] += 1
            wanted[gaussian] -= 1
    return chosen


def _is_moderate(model: RandomModel) -> bool:
    n_columns = 0
    for factor, effects in read_terms("(" + model.formula.split("+ (", 1)[1]):
        levels = {tuple(labels) for labels in zip(*(model.data[name] for name in factor.split(":")), strict=True)}
        n_columns += len(levels) * (1 if effects[0] in effects[1:] else len(effects))
    return n_columns <= _MOST_COLUMNS and len(model.data["y"]) <= _MOST_ROWS


def compare_with_sampler(models: Iterable[RandomModel]) -> None:
    """Fit and sample each, and print what differs and the counts."""
    counts: Counter[str] = Counter()
    start = time.process_time()
    for model in models:
        counts["models"] += 1
        counts[f"sampler: {_compare(model)}"] += 1
    print(f"{time.process_time() - start:.0f} s")
    for what, count in counts.items():
        print(f"{what}: {count}")


def measure_apart(found: FloatArray, right: FloatArray, sd: float) -> FloatArray:
    """Return how far quantiles (probability,) are from the right ones, in posterior sds; infinitely far where that is
    no number."""
    with np.errstate(all="ignore"):
        apart = np.abs(found - right)
        return np.where(apart == 0.0, 0.0, np.nan_to_num(apart / sd, nan=np.inf, posinf=np.inf))


def _fit(model: RandomModel) -> Any:
    """Fit; None where that fails, which is printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = pp.fit(model.formula, model.data, **model.options)
            fit.summary(quantiles=_PROBABILITIES)
        except Exception as error:
            print(f"FAILED {model}\n  {type(error).__name__}: {error}", flush=True)
            return None
    return fit


def _compare(model: RandomModel) -> str:
    if (fit := _fit(model)) is None:
        return "not fitted"
    table = fit.summary(quantiles=_PROBABILITIES)
    start = time.process_time()
    chains = sample_model(read_model(fit, model.formula, model.data, model.options), model.seed, _SECONDS, _is_enough)
    seconds = time.process_time() - start
    largest, where = 0.0, ""
    for name, draws in zip(chains.names, np.moveaxis(chains.draws, 2, 0), strict=True):
        found, sd = table.loc[name].to_numpy(dtype=float)[-3:], float(draws.std())
        sampled = np.array([quantile_with_error(draws, p)[:2] for p in _PROBABILITIES])
        apart = measure_apart(found, sampled[:, 0], sd)
        if apart.max() > largest:
            k = int(np.argmax(apart))
            largest, (right, error) = float(apart[k]), sampled[k]
            where = f"{_PROBABILITIES[k]:.0%} of {name}: {found[k]:.5g}, sampler {right:.5g} ({error:.2g}), sd {sd:.4g}"
    verdict = "undecided" if not _is_enough(chains) else "agrees" if largest <= _TOLERANCE else "OFF"
    print(f"{verdict}, {largest:.3f} sd, {len(chains.draws)} sweeps, {seconds:.0f} s: {model}\n  {where}", flush=True)
    if verdict == "OFF":
        print(f"  {fit.engine}", flush=True)
    return verdict


def _is_enough(chains: Chains) -> bool:
    """Say whether R-hat and the standard errors of all quantiles are small enough."""
    for draws in np.moveaxis(chains.draws, 2, 0):
        error = np.max([quantile_with_error(draws, p)[1] for p in _PROBABILITIES])
        if not (error <= _LARGEST_ERROR * draws.std() and split_rhat(draws) <= _LARGEST_RHAT):
            return False
    return True
