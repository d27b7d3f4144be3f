"""Random ordinary models: how many are refused, fail, or disagree with a second engine.

python benchmarks/refusals.py 0 2000                     fit, and compare quantiles with the second engine
python benchmarks/refusals.py 0 2000 --without-second    fit only
python benchmarks/refusals.py 0 2000 --sampler 50        compare 50 of moderate size, of all kinds, with a long sampler

The recipe of the models is in random_models.py, the second engine in second_engine.py, the sampler in
long_sampler.py. Every model that is refused, warned of or off is printed with its seed, then the counts.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

import partialpool as pp
from compare_sampler import choose_models, compare_with_sampler, measure_apart
from partialpool.inference.hyper.hyper_posterior import log_posterior, weighted_quantiles
from random_models import RandomModel, draw_model
from second_engine import sample_again

FloatArray = NDArray[np.float64]

PROBABILITIES = np.array([0.05, 0.5, 0.95])
# Quantiles may be off by this share of a posterior sd.
TOLERANCE = 0.05
# Seconds of likelihood that the second engine's last points may take, and the effective draws without which it says
# nothing.
_SECONDS, _LEAST_EFFECTIVE = 3.0, 4000.0
_SLOW = 10.0
# Models after which the counts so far are printed.
_TOLD_EVERY = 20


def main() -> None:
    """Fit the models of the seeds asked for and print what is wrong with them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int)
    parser.add_argument("last", type=int)
    parser.add_argument("--without-second", action="store_true")
    parser.add_argument("--only", choices=["gaussian", "other"])
    parser.add_argument("--sampler", type=int, metavar="N", help="compare N models with a long sampler instead")
    asked = parser.parse_args()
    if asked.sampler is not None:
        compare_with_sampler(choose_models(range(asked.first, asked.last), asked.sampler, asked.only))
        return
    counts: Counter[str] = Counter()
    largest: list[tuple[float, str]] = []
    for seed in range(asked.first, asked.last):
        model = draw_model(seed)
        if asked.only is not None and (asked.only == "other") == ("family" not in model.options):
            continue
        counts["models"] += 1
        fit = _fit(model, counts)
        if fit is not None and not asked.without_second:
            largest.append(_compare(model, fit, counts))
        if counts["models"] % _TOLD_EVERY == 0:
            print(f"up to seed {seed}: {dict(counts)}", flush=True)
    for what, count in counts.items():
        print(f"{what}: {count}")
    differences = sorted((each for each in largest if not np.isnan(each[0])), reverse=True)
    if differences:
        at = np.quantile([difference for difference, _ in differences], [0.5, 0.9, 0.99])
        print(f"largest difference of a model in sds: median {at[0]:.3f}, 90 % {at[1]:.3f}, 99 % {at[2]:.3f}")


def _fit(model: RandomModel, counts: Counter[str]) -> Any:
    """Fit and count; None where that fails."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            fit = pp.fit(model.formula, model.data, **model.options)
            fit.summary()
        except Exception as error:
            counts[f"failed: {type(error).__name__}"] += 1
            print(f"FAILED {model}\n  {type(error).__name__}: {error}", flush=True)
            return None
    counts[f"{fit.engine.route}{' (a route before was left)' if fit.engine.left else ''}"] += 1
    for each in said:
        counts[f"warned: {each.category.__name__}"] += 1
        print(f"WARNED {model}\n  {each.message}", flush=True)
    if (seconds := time.process_time() - start) > _SLOW:
        counts[f"over {_SLOW:.0f} s"] += 1
        print(f"SLOW {model}\n  {seconds:.1f} s", flush=True)
    return fit


def _second_quantiles(fit: Any, seed: int, log_more: int = 0) -> dict[str, FloatArray] | None:
    """Return sd and quantiles of every hyperparameter by the second engine, in the natural chart, or in the centred one
    with 2**log_more times the points; None where it did not get there."""
    space = fit.fitted.model.space if log_more else fit.fitted.model.space.in_chart("natural")
    marginal = fit.fitted.marginal
    if space.dimension == 0:
        return {}
    n_points = 2 ** int(np.clip(np.log2(_SECONDS / marginal.seconds), 13, 16)) << log_more
    try:
        with np.errstate(all="ignore"):
            sample = sample_again(
                log_posterior(space, marginal),
                space.starts(),
                seed,
                n_steps=100 if n_points > 2**14 else 60,
                n_points=n_points,
            )
            values = space.natural_values(space.constrain(sample.nodes)[0])
    except np.linalg.LinAlgError:  # its mixture has no covariance
        return None
    if not sample.effective_size >= _LEAST_EFFECTIVE:
        return None
    found, weighs = {}, sample.weights > 0.0  # of what weighs nothing the values may not exist
    values, weights = values[weighs], sample.weights[weighs]
    for k, name in enumerate(space.names):
        mean = weights @ values[:, k]
        sd = np.sqrt(weights @ (values[:, k] - mean) ** 2)
        found[name] = np.array([sd, *weighted_quantiles(values[:, k], weights, PROBABILITIES)])
    return found


def _compare(model: RandomModel, fit: Any, counts: Counter[str]) -> tuple[float, str]:
    """Count the model as agreeing, off or undecided; return its largest difference in sds and where that is.

    Where the difference is above the tolerance the second engine runs once more with eight times the points, in the
    centred chart: the quantiles of a long tail are uncertain by .03 sds with 65,536, and of covariates far from zero
    the natural chart's ridges are thin.
    """
    differences = _differences(fit, _second_quantiles(fit, model.seed))
    if differences is None or not max(differences, default=(0.0, ""))[0] <= TOLERANCE:
        differences = _differences(fit, _second_quantiles(fit, model.seed + 1, log_more=3))
        counts["second engine: run twice"] += 1
    if differences is None:
        counts["second engine: undecided"] += 1
        print(f"UNDECIDED {model}", flush=True)
        return np.nan, ""
    largest = max(differences, default=(0.0, ""))
    counts[f"second engine: {'agrees' if largest[0] <= TOLERANCE else 'OFF'}"] += 1
    if not largest[0] <= TOLERANCE:
        print(f"OFF by {largest[0]:.3f} sd from the second engine: {model}\n  {largest[1]}\n  {fit.engine}", flush=True)
    return largest


def _differences(fit: Any, other: dict[str, FloatArray] | None) -> list[tuple[float, str]] | None:
    """Return every parameter's largest difference in sds, and what differs; None where there is nothing to compare."""
    if other is None:
        return None
    table = fit.summary(quantiles=tuple(PROBABILITIES))
    differences = []
    for name, (sd, *quantiles) in other.items():
        found = table.loc[name].to_numpy(dtype=float)[-3:]
        apart = measure_apart(found, np.array(quantiles), sd)
        differences.append((float(apart.max()), f"{name} {found} {np.array(quantiles)} sd {sd:.4g}"))
    return differences


if __name__ == "__main__":
    main()
