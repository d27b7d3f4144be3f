"""Which moments exist on the response's scale under a log link, from tails: link, priors of sds, likelihood.

A group's value is exp(theta), and its moment of order k is finite if the posterior of theta falls faster than
exp(-k theta). It falls at the sum of two rates. The population's: given an sd tau the effects are normal, and what is
left of exp(k theta) after them is exp(k^2 tau^2 / 2), so that a prior of tau whose tail is heavier than a normal one
(half Student-t, Cauchy, exponential) gives 0, HalfNormal(b) gives 1 / b, a bounded or fixed sd more than any k. And the
data's: a Poisson row falls like exp(-exp(theta)), an exponential one like exp(-theta), a right-censored one not at all.
The number of nodes or draws that are averaged does not come in: their averages are always finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from partialpool.inputs.columns.places import join_words
from partialpool.models.latent_model import LatentModel
from partialpool.models.priors import HalfNormal, Prior, ScalarPrior
from partialpool.numerics.arrays import FloatArray, IntArray

# Of a skew-normal population, whose longer tail is that of a normal with up to so many times its sd.
_SKEWED = math.sqrt(1.0 / (1.0 - 2.0 / math.pi))


@dataclass(frozen=True)
class ResponseMoments:
    """How many moments (0, 1 or 2) exist on the response's scale: of a new group's value, of the average over the
    population, of a curve at the average, and of an observation beyond those of its mean; ``reason`` says why there
    are fewer than two."""

    new_group: int
    average: int
    at_average: int
    observation: int
    reason: str


def has_heavy_scale(model: LatentModel) -> bool:
    """Say whether the response's scale is the exponential of the linear predictor's."""
    return model.family.link == "log"


def count_response_moments(model: LatentModel) -> ResponseMoments:
    """Count the moments of predictions on the response's scale."""
    observation = _count_of_noise(model)
    if not has_heavy_scale(model):
        return ResponseMoments(2, 2, 2, observation, "" if observation == 2 else _explain_noise(model))
    rate = min(_population_rates(model), default=math.inf)
    heavy = any(_is_heavy(model.priors.get(name)) for name in model.design.population.names)
    at_average = 0 if heavy and rate < 2.0 and model.groups else 2
    new, average = _count(rate), _count(rate * rate)
    said = [_explain_population(model, new)] if min(new, average) < 2 else []
    said += [_explain_noise(model)] if observation < 2 else []
    return ResponseMoments(new, average, at_average, observation, "; ".join(said))


def count_group_moments(model: LatentModel, factor: int) -> IntArray:
    """Count the moments (group,) of each group's own value on the response's scale."""
    group = model.groups[factor]
    if not has_heavy_scale(model) or not model.population.centred or model.pooling != "partial":
        return np.full(group.n_levels, 2)
    rates = _population_rates(model)
    data = _data_rates(model, group.codes, group.n_levels)
    for other, rate in enumerate(rates):  # which may move the other way and leave the rows where they are
        if other != factor:
            pairs = np.unique(np.stack([group.codes, model.groups[other].codes]), axis=1)
            met = np.bincount(pairs[0], minlength=group.n_levels)
            with np.errstate(invalid="ignore"):
                data = np.minimum(data, np.where(met > 0, np.sqrt(met) * rate if rate else 0.0, np.inf))
    return np.array([_count(rates[factor] + float(rate)) for rate in data])


def count_row_moments(model: LatentModel, codes: IntArray) -> IntArray:
    """Count the moments of the value of each new row (row,) in known groups, ``codes`` (row, factor)."""
    if not has_heavy_scale(model) or not model.population.centred or model.pooling != "partial":
        return np.full(len(codes), 2)
    own = np.stack([group.codes for group in model.groups], axis=1)
    cells, place = np.unique(np.concatenate([own, codes]), axis=0, return_inverse=True)
    place = place.ravel()
    data = _data_rates(model, place[: len(own)].astype(np.intp), len(cells))[place[len(own) :]]
    rate = min(_population_rates(model), default=math.inf)
    return np.array([_count(rate + float(value)) for value in data])


def explain_missing(model: LatentModel) -> str:
    """Say why a known group's moments do not exist: neither the population nor its own rows bound its value."""
    name = model.family.response_name
    if model.population.name == "student_t":
        sources = ["a Student-t population"]
    else:
        sources = [f"{prior} on {sd}" for sd, prior in _list_heavy(model)]
    remedy = "read the quantiles, or give HalfNormal(0.5)"
    if _least_shape(model) == 0.0 and model.family.name == "gamma":
        sources.append("a shape that may be near 0")
        remedy = "read the quantiles, or give the shape (family='gamma(shape=2)')"
    elif model.family.name == "lognormal" and _noise_rate(model) < 2.0:
        sources.append(f"{model.priors.get('sigma')} on sigma")
    else:
        sources.append("rows that do not bound it from above")
    return f"a group's {name} has no such moment under {join_words(sources)}: {remedy}"


def explain_few(model: LatentModel) -> str:
    """Say why a moment that exists is not told: its sum over nodes rests on a few of them."""
    sds = [name for group in model.groups for name in group.sd_names if name in model.priors]
    remedy = f", or give a tighter prior for {join_words(sds)}" if sds else ""
    return (
        "this moment exists, but so few nodes of the posterior's far tail carry it that its sum is not to be trusted: "
        f"read the quantiles{remedy}"
    )


def _count(rate: float) -> int:
    """Return how many of the first two moments are finite where the density falls like exp(-rate theta); at the rate
    itself the prior of what is left is proper."""
    return int(rate >= 1.0) + int(rate >= 2.0)


def _population_rates(model: LatentModel) -> list[float]:
    """Return at which rate each factor's effects fall, over their sd."""
    if not model.population.centred or model.pooling != "partial":
        return []
    if model.population.name == "student_t":
        return [0.0] * len(model.groups)
    skewed = _SKEWED if model.population.name == "skew_normal" else 1.0
    return [min(_scale_rate(model.priors.get(name)) for name in group.sd_names) / skewed for group in model.groups]


def _scale_rate(prior: Prior | None) -> float:
    """Return the rate at which a normal number falls whose sd has this prior: 1 / b of HalfNormal(b), whose sd grows
    with the number; 0 of heavier tails."""
    if prior is None:
        return math.inf
    if isinstance(prior, HalfNormal):
        return 1.0 / prior.sigma
    if isinstance(prior, ScalarPrior) and not math.isinf(prior.support[1]):
        return math.inf
    return 0.0


def _data_rates(model: LatentModel, codes: IntArray, n_groups: int) -> FloatArray:
    """Return at which rate the likelihood of each group's rows falls as its value grows, (group,)."""
    rows, normal = _row_rates(model)
    total = np.bincount(codes, weights=rows, minlength=n_groups).astype(np.float64)
    return np.sqrt(total) * normal if normal is not None else total


def _row_rates(model: LatentModel) -> tuple[FloatArray, float | None]:
    """Return the rate of each row (row,); or, of log-normal rows, which of them bound their value, and the rate of one,
    which grows with the root of their number."""
    response, family = model.response, model.family
    repeats = model.design.measurements.counts
    counts = np.ones(len(response.values)) if repeats is None else repeats
    bounded = counts.copy()
    if response.censoring is not None:
        bounded = np.where(response.censoring == 1, 0.0, counts)
    if response.upper_limit is not None:  # the chance of being in the data falls with the density
        bounded = np.where(np.isfinite(response.upper_limit), 0.0, bounded)
    if family.zero_inflated:  # a zero may be structural, however large the mean
        bounded = np.where(response.values == 0.0, 0.0, bounded)
    if family.name == "lognormal":
        return bounded, _noise_rate(model)
    each = {
        "poisson": math.inf,
        "zero_inflated_poisson": math.inf,
        "exponential": 1.0,
        "gaussian": math.inf,
        "student_t": 2.0,
    }.get(family.name)
    if each is None:  # a power of the mean: the shape, which may be any unless it is given
        each = _least_shape(model)
    with np.errstate(invalid="ignore"):
        return np.where(bounded > 0.0, bounded * each, 0.0), None


def _least_shape(model: LatentModel) -> float:
    known = getattr(model.family, "shape", None)
    if known is not None:
        return float(known)
    prior = model.priors.get("shape")
    return float(prior.support[0]) if isinstance(prior, ScalarPrior) else 0.0


def _noise_rate(model: LatentModel) -> float:
    """Return the rate of a log-normal row: over the prior of sigma as of the sd of effects over theirs."""
    known = model.response.standard_errors is not None or getattr(model.family, "sigma", None) is not None
    return math.inf if known else _scale_rate(model.priors.get("sigma"))


def _count_of_noise(model: LatentModel) -> int:
    """Count the moments of an observation given its mean, over the parameters of the noise."""
    if model.family.name == "lognormal":
        return _count(_noise_rate(model))
    if model.family.name != "student_t":
        return 2
    nu = getattr(model.family, "nu", None)
    if nu is None:
        prior = model.priors.get("nu")
        nu = prior.support[0] if isinstance(prior, ScalarPrior) else 0.0
    return int(nu > 1.0) + int(nu > 2.0)


def _explain_population(model: LatentModel, existing: int) -> str:
    if model.population.name == "student_t":
        return "the exponential of a Student-t number has no mean"
    heavy = [f"{prior} on {name}" for name, prior in _list_heavy(model)]
    if not heavy:
        return "a mean on the response's scale is exp(sd^2 / 2) times the rate at the average"
    return (
        f"a new group's mean holds exp(sd^2 / 2), which has no {_missing(existing)} under {join_words(heavy)}: "
        "read the quantiles, or give HalfNormal(0.5)"
    )


def _list_heavy(model: LatentModel) -> list[tuple[str, Prior]]:
    """Return the sds, and their priors, that leave a mean under a log link without two moments."""
    return [
        (name, model.priors[name])
        for group in model.groups
        for name in group.sd_names
        if name in model.priors and _scale_rate(model.priors[name]) < 2.0
    ]


def _missing(existing: int) -> str:
    return "sd" if existing else "average"


def _explain_noise(model: LatentModel) -> str:
    if model.family.name == "student_t":
        return "Student-t observations have no mean where nu may be 1 or less, no variance where it may be 2 or less"
    missing, prior = _missing(_count_of_noise(model)), model.priors.get("sigma")
    return f"an observation's mean holds exp(sigma^2 / 2), which has no {missing} under {prior} on sigma"


def _is_heavy(prior: Prior | None) -> bool:
    """Say whether a coefficient's prior falls no faster than a power, or is flat."""
    return isinstance(prior, ScalarPrior) and (not prior.proper or not math.isinf(prior.tail_exponent))
