"""The parameters of likelihoods and populations that carry priors, with their defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from partialpool.errors import PriorError
from partialpool.inputs.designs.design import Design, GroupDesign, PopulationDesign
from partialpool.models.families.base import Family, ResponseColumns, Support
from partialpool.models.families.own_sigma import DEFAULT_SPREAD, LOG_SIGMA_MEAN, LOG_SIGMA_SD, GaussianOwnSigma
from partialpool.models.pooled_sd import pooled_log_sd
from partialpool.models.populations.base import Population
from partialpool.models.priors import (
    AlphaBetaPower,
    Beta,
    Fixed,
    Gamma,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    ParameterSlot,
    Prior,
    parse_prior,
)
from partialpool.models.scales import DataScales
from partialpool.models.slots import get_scalar_prior
from partialpool.models.space.hyperspace import ScalarHyperparameter
from partialpool.models.space.shape_pair import ShapePair

# The default prior sd of the logit of a structural zero: a uniform probability's is pi / sqrt(3) = 1.81.
_ZERO_SD = 2.0
#: The key of a prior on both shapes together.
JOINT = "(alpha, beta)"
# The default sd of the log of a shape, concentration or mean: a factor of 20 either way within two of them.
_LOG_SD = 1.5
# The default of log alpha of a gamma population, and of log(alpha beta / (alpha + beta)) of a beta one: the groups' sd
# on the log or logit scale, about the inverse square root, is 0.08 to 4.5 within two of its sds.
_LOG_ALPHA, _LOG_ALPHA_SD = 1.0, 2.0


def list_latent_slots(
    design: Design,
    family: Family,
    population: Population,
    response: ResponseColumns,
    scales: DataScales,
    given: Mapping[str, Prior | str] | None,
) -> list[ParameterSlot]:
    """List the parameters of the likelihood and of the population beside coefficients, sds and correlations."""
    counts = design.measurements.counts
    guesses = family.guess_dispersions(response, np.ones(len(response.values)) if counts is None else counts)
    if isinstance(family, GaussianOwnSigma):
        slots = _own_sigma_slots(design)
    else:
        own = zip(family.dispersions, family.supports, guesses, strict=True)
        slots = [_dispersion_slot(name, support, guess) for name, support, guess in own if support != "line"]
    slots += [] if design.zero is None else _zero_slots(design.zero)
    for group in design.groups[:1]:
        for name in population.parameters:
            if name == "nu":
                slots.append(ParameterSlot(f"nu({group.name})", "shape", "shape", Gamma(2.0, 0.1)))
            elif name == "skew":
                slots.append(ParameterSlot(f"skew({group.name})", "coefficient", "shape", Normal(0.0, 4.0)))
            elif name == "mean":
                slots.append(ParameterSlot("mean", "shape", "shape", LogNormal(scales.response_mean, _LOG_SD)))
    if population.parameters == ("alpha", "beta"):
        slots += _pair_slots(population, response, scales, given)
    return slots


def _own_sigma_slots(design: Design) -> list[ParameterSlot]:
    """List mean and sd of the groups' log sigmas."""
    return [
        ParameterSlot(LOG_SIGMA_MEAN, "coefficient", "sigma", Normal(pooled_log_sd(design), _LOG_SD)),
        ParameterSlot(LOG_SIGMA_SD, "scale", "sigma", HalfNormal(DEFAULT_SPREAD)),
    ]


def _zero_slots(zero: PopulationDesign) -> list[ParameterSlot]:
    """List the coefficients of structural zeros, on the logit scale, where 2 is about the sd of a uniform probability:
    so far may a column's sd take it, and the intercept the probability at the columns' means."""
    means, sds = zero.values.mean(axis=0), zero.values.std(axis=0)
    if "Intercept" not in zero.names:  # a probability for each level, or a line through one half
        widths = _ZERO_SD / np.sqrt(means**2 + sds**2)
    else:
        safe = np.where(sds > 0.0, sds, 1.0)
        widths = np.where(sds > 0.0, _ZERO_SD / safe, 0.0)
        widths[zero.names.index("Intercept")] = np.hypot(_ZERO_SD, np.sqrt(np.sum((widths * means) ** 2)))
    return [
        ParameterSlot(f"zero: {name}", "coefficient", "shape", Normal(0.0, float(width)))
        for name, width in zip(zero.names, widths, strict=True)
    ]


def _dispersion_slot(name: str, support: Support, guess: float) -> ParameterSlot:
    if support == "unit interval":
        return ParameterSlot(name, "probability", "shape", Beta(1.0, 1.0))
    if name == "sigma":  # in units of the response, which the linear predictor's are not under a log link
        return ParameterSlot("sigma", "scale", "sigma", HalfStudentT(3.0, guess))
    if name == "nu":
        return ParameterSlot("nu", "shape", "shape", Gamma(2.0, 0.1))
    return ParameterSlot(name, "shape", "shape", LogNormal(math.log(guess), _LOG_SD))


def _pair_slots(
    population: Population, response: ResponseColumns, scales: DataScales, given: Mapping[str, Prior | str] | None
) -> list[ParameterSlot]:
    """List the two shapes, or mean and concentration, or both shapes together, whichever has priors given."""
    keys = {"".join(str(key).split()) for key in given or {}}
    together, shapes, others = {"(alpha,beta)"} & keys, {"alpha", "beta"} & keys, {"mean", "concentration"} & keys
    with_mean = population.name == "gamma" and shapes <= {"alpha"} and others <= {"mean"}
    if bool(together) + bool(shapes) + bool(others) > 1 and (together or not with_mean):
        raise PriorError(
            "priors: give them on alpha and beta, on mean and concentration, or on '(alpha, beta)' together, not on "
            "several of these"
        )
    if together:
        return [ParameterSlot(JOINT, "pair", "shape", AlphaBetaPower())]
    if shapes and not with_mean:
        if len(shapes) == 1:
            (name,) = shapes
            value = _given_shape(name, given)
            if value is not None:
                return _beside_given(name, value, guess_pair(population, response, scales)[0], population)
            missing = ({"alpha", "beta"} - shapes).pop()
            raise PriorError(
                f"priors: {shapes.pop()} has one and {missing} has not: give both, or mean= and concentration"
            )
        return [ParameterSlot(name, "shape", "shape", LogNormal(0.0, _LOG_SD)) for name in ("alpha", "beta")]
    mean, size = guess_pair(population, response, scales)
    if population.name == "beta":
        first = ParameterSlot("mean", "probability", "shape", Beta(1.0, 1.0))
    else:
        first = ParameterSlot("mean", "shape", "shape", LogNormal(math.log(mean), _LOG_SD))
    if with_mean:
        return [first, ParameterSlot("alpha", "shape", "shape", LogNormal(_LOG_ALPHA, _LOG_ALPHA_SD))]
    return [first, ParameterSlot("concentration", "shape", "shape", LogNormal(math.log(size), _LOG_ALPHA_SD))]


def _given_shape(name: str, given: Mapping[str, Prior | str] | None) -> float | None:
    """Return the value of a shape where that is given, None where it has another prior."""
    (prior,) = (parse_prior(value) for key, value in (given or {}).items() if "".join(str(key).split()) == name)
    return prior.value if isinstance(prior, Fixed) else None


def _beside_given(name: str, value: float, mean: float, population: Population) -> list[ParameterSlot]:
    """List the shapes of which one is given: the other's default is about what gives the population the data's mean."""
    ratio = mean / (1.0 - mean) if population.name == "beta" else mean
    guess = value / ratio if name == "alpha" else value * ratio
    other = LogNormal(round(math.log(guess), 2), _LOG_SD) if guess > 0.0 else LogNormal(0.0, _LOG_SD)
    defaults = {name: LogNormal(0.0, _LOG_SD), "beta" if name == "alpha" else "alpha": other}
    return [ParameterSlot(each, "shape", "shape", defaults[each]) for each in ("alpha", "beta")]


def guess_pair(population: Population, response: ResponseColumns, scales: DataScales) -> tuple[float, float]:
    """Return a mean near the data's, and the concentration of a population whose sd, on the log or logit scale, is
    about exp(-1 / 2) = 0.6: what groups differ by has nothing to do with how large they are."""
    if population.name == "beta":
        mean = 1.0 / (1.0 + math.exp(-scales.response_mean))
        return mean, math.exp(_LOG_ALPHA) / (mean * (1.0 - mean))
    mean = math.exp(scales.response_mean)
    return mean, math.exp(_LOG_ALPHA) / mean


def build_pair(
    population: Population, response: ResponseColumns, priors: Mapping[str, Prior], scales: DataScales
) -> ShapePair | None:
    """Return the two shapes as hyperparameters, None where the population has none."""
    if population.parameters != ("alpha", "beta"):
        return None
    joint = priors.get(JOINT)
    kind = "beta" if population.name == "beta" else "gamma"
    names = ("alpha", "beta", "mean", "concentration")[: 4 if population.name == "beta" else 3]
    guess = guess_pair(population, response, scales)
    if isinstance(joint, AlphaBetaPower):
        return ShapePair(kind, names, "both", (), joint, guess)  # type: ignore[arg-type]
    if "beta" in priors:
        both = (get_scalar_prior(priors, "alpha"), get_scalar_prior(priors, "beta"))
        return ShapePair(kind, names, "shapes", both, None, guess)  # type: ignore[arg-type]
    if "alpha" in priors:
        with_mean = (get_scalar_prior(priors, "mean"), get_scalar_prior(priors, "alpha"))
        return ShapePair(kind, names, "mean and alpha", with_mean, None, guess)  # type: ignore[arg-type]
    both = (get_scalar_prior(priors, "mean"), get_scalar_prior(priors, "concentration"))
    return ShapePair(kind, names, "mean and concentration", both, None, guess)  # type: ignore[arg-type]


def _list_spreads(family: Family, response: ResponseColumns) -> list[float]:
    """Return the unit of each dispersion that may be any number: of a coefficient what moves its predictor by one."""
    spreads = [1.0] * len(family.dispersions)
    if response.zero_columns is not None:
        sizes = np.sqrt(np.mean(response.zero_columns**2, axis=0))
        spreads[-len(sizes) :] = [1.0 / size if size > 0.0 else 1.0 for size in sizes.tolist()]
    return spreads


def build_extras(
    family: Family,
    population: Population,
    groups: Sequence[GroupDesign],
    response: ResponseColumns,
    priors: Mapping[str, Prior],
    scales: DataScales,
) -> tuple[ScalarHyperparameter, ...]:
    """Return the family's dispersions, then the population's parameters other than its sd and a pair of shapes."""
    guesses = family.guess_dispersions(response, np.ones(len(response.values)))
    own = zip(family.dispersions, family.supports, guesses, _list_spreads(family, response), strict=True)
    extras = [
        ScalarHyperparameter(
            name, "coefficient" if support == "line" else "shape", get_scalar_prior(priors, name), guess, spread
        )
        for name, support, guess, spread in own
    ]
    for group in groups[:1]:
        for name in population.parameters:
            if name == "nu":
                prior = get_scalar_prior(priors, f"nu({group.name})")
                extras.append(ScalarHyperparameter(f"nu({group.name})", "shape", prior, guess=8.0, spread=1.0))
            elif name == "skew":
                prior = get_scalar_prior(priors, f"skew({group.name})")
                extras.append(ScalarHyperparameter(f"skew({group.name})", "coefficient", prior, guess=0.0, spread=2.0))
            elif name == "mean":
                prior, guess = get_scalar_prior(priors, "mean"), math.exp(scales.response_mean)
                extras.append(ScalarHyperparameter("mean", "shape", prior, guess=guess, spread=1.0))
    return tuple(extras)
