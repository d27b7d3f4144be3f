"""What a model with a sigma of its own for every group asks of its data, and which moments sigmas have."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from partialpool.errors import (
    DataError,
    FormulaError,
    IdentificationError,
    NotYetError,
    PriorError,
    PriorWarning,
    warn_user,
)
from partialpool.inputs.designs.design import Design
from partialpool.models.families.own_sigma import DEFAULT_SPREAD, LOG_SIGMA_MEAN, LOG_SIGMA_SD
from partialpool.models.latent_model import LatentModel
from partialpool.models.priors import Fixed, HalfNormal, Prior, ScalarPrior, parse_prior
from partialpool.numerics.arrays import IntArray

_WHAT = "sigma='pooled by group'"


def check_own_sigma(design: Design, priors: Mapping[str, Prior | str] | None, *, other: str, method: str) -> None:
    """Raise where the model has no pooled sigmas or they are not computed; ``other`` says what makes the likelihood or
    the population another one, '' where it is normal.

    Raises ``FormulaError`` without a group term, ``NotYetError`` for slopes, several factors, another likelihood and
    plug-in estimates, ``DataError`` for known standard errors, ``IdentificationError`` where no group has two rows,
    ``PriorError`` for a prior of the sigma that the model has not.
    """
    measured = design.measurements
    if other:
        raise NotYetError(f"{_WHAT} is computed for gaussian rows of normal groups: {other}, or leave sigma='common'")
    if measured.known_scale:
        raise DataError(
            f"{_WHAT} asks for an unknown sigma of each group, but standard_error says that the noise is known: drop "
            "one of them"
        )
    if not design.groups:
        raise FormulaError(f"{_WHAT} needs a group term, such as (1 | g)")
    if len(design.groups) > 1:
        names = " and ".join(group.name for group in design.groups)
        raise NotYetError(
            f"{_WHAT} is computed for one grouping factor, and here are {names}: keep the factor whose groups differ "
            "in their noise, or leave sigma='common'"
        )
    (group,) = design.groups
    if group.names != ("Intercept",):
        raise NotYetError(
            f"{_WHAT} is computed where an intercept alone varies by group: write (1 | {group.name}), the columns "
            f"({', '.join(name for name in group.names if name != 'Intercept')}) without the bar, or leave "
            "sigma='common'"
        )
    if method in ("grid", "empirical_bayes"):
        raise NotYetError(f"{_WHAT} is computed by quadrature: leave method='auto' instead of {method!r}")
    if any("".join(str(key).split()) == "sigma" for key in priors or {}):
        raise PriorError(
            f"priors: 'sigma' is each group's own under {_WHAT}, and has no prior but its population: give priors of "
            f"'{LOG_SIGMA_MEAN}' and '{LOG_SIGMA_SD}'"
        )
    _check_repeated(design, priors)
    _check_scatter(design, priors)


def _check_repeated(design: Design, priors: Mapping[str, Prior | str] | None) -> None:
    """Refuse data whose groups have one row each, and warn where a single one has more."""
    (group,) = design.groups
    rows = _count_rows(design)
    n_repeated = int(np.count_nonzero(rows > 1))
    given = {"".join(str(key).split()) for key in priors or {}}
    if not n_repeated:
        raise IdentificationError(
            f"every group of {group.name} has one row, which does not show a sigma of its own: give several rows a "
            "group, or leave sigma='common'"
        )
    if n_repeated == 1 and "".join(LOG_SIGMA_SD.split()) not in given:
        name = group.labels[int(np.argmax(rows > 1))]
        warn_user(
            f"one group of {group.name} ('{name}') has more than one row, which does not show how sigmas differ: the "
            f"answer rests on the default prior of {LOG_SIGMA_SD}; give one that says what is known, or a value as "
            "Fixed(value)",
            PriorWarning,
        )


def _check_scatter(design: Design, priors: Mapping[str, Prior | str] | None) -> None:
    """Refuse groups of equal rows under a prior that does not bound how far their sigmas may be from the others'.

    n equal rows have a likelihood like sigma^(1 - n), whose average over log sigma ~ Normal(m, s) is exp((n - 1)^2
    s^2 / 2 - (n - 1) m): over HalfNormal(b) on s it exists where the squares (n - 1)^2 of all such groups sum to less
    than 1 / b^2. Rows are equal exactly where measurements are rounded.
    """
    (group,) = design.groups
    measured = design.measurements
    response = measured.response if measured.offset is None else measured.response - measured.offset
    low, high = np.full(group.n_levels, np.inf), np.full(group.n_levels, -np.inf)
    np.minimum.at(low, group.codes, response)
    np.maximum.at(high, group.codes, response)
    equal = (low == high) & (_count_rows(design) > 1)
    if measured.within_squares is not None:
        scattered = np.bincount(group.codes, weights=measured.within_squares, minlength=group.n_levels)
        equal &= scattered == 0.0
    if not equal.any() or equal.all():  # where all are, nothing scatters at all: said elsewhere
        return
    given = {"".join(str(key).split()): value for key, value in (priors or {}).items()}
    prior = parse_prior(given.get("".join(LOG_SIGMA_SD.split()), HalfNormal(DEFAULT_SPREAD)))
    if isinstance(prior, ScalarPrior) and math.isfinite(prior.support[1]):
        return
    growth = float(np.sum((_count_rows(design)[equal] - 1.0) ** 2))
    if isinstance(prior, HalfNormal) and growth * prior.sigma**2 < 1.0:
        return
    name, more = group.labels[int(np.argmax(equal))], int(equal.sum()) - 1
    raise IdentificationError(
        f"group '{name}' of {group.name}{f' (and {more} more)' if more else ''} has the same response in all its rows: "
        f"its sigma goes to 0, and under {prior} on {LOG_SIGMA_SD} the posterior is improper; leave the group out, "
        f"leave sigma='common', or bound how sigmas differ, priors={{'{LOG_SIGMA_SD}': 'Uniform(0, 1)'}}"
    )


def _count_rows(design: Design) -> IntArray:
    (group,) = design.groups
    counts = design.measurements.counts
    return np.bincount(group.codes, weights=counts, minlength=group.n_levels).astype(np.intp)


def has_own_sigma(model: object) -> bool:
    """Say whether every group of a model has its own sigma, from a population of them."""
    return isinstance(model, LatentModel) and LOG_SIGMA_SD in model.family.dispersions


def count_sigma_moments(model: LatentModel) -> IntArray:
    """Count the finite moments (group,) of each group's sigma, up to 2."""
    free = _count_free_moments(model, most=2)
    # k rows leave a likelihood that falls like sigma^-k
    own = [sum(order - rows <= free for order in (1, 2)) for rows in _count_rows(model.design)]
    return np.array(own, dtype=np.intp)


def count_noise_moments(model: LatentModel, codes: IntArray) -> IntArray:
    """Count the finite moments, up to 2, of an observation in groups ``codes`` (row,), -1 for a new one."""
    known, new = count_sigma_moments(model), _count_free_moments(model, most=2)
    return np.where(codes >= 0, known[codes], new)


def _count_free_moments(model: LatentModel, most: int) -> int:
    """Count the finite moments of a sigma of which there are no rows: exp(k^2 s^2 / 2), the k-th given s, has an
    average under HalfNormal(b) where b k is 1 or less, as what the other groups say of s falls like a power; under
    heavier tails none."""
    prior = model.priors[LOG_SIGMA_SD]
    if isinstance(prior, Fixed) or (isinstance(prior, ScalarPrior) and math.isfinite(prior.support[1])):
        return most
    return min(most, int(1.0 / prior.sigma + 1e-12)) if isinstance(prior, HalfNormal) else 0
