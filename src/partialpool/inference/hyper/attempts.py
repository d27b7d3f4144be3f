"""Attempts at the hyperparameters' posterior: what is wrong with one, and which is the best of those none of which is
right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from partialpool.errors import AccuracyWarning, ComputationError, warn_user
from partialpool.inference.hyper.hyper_posterior import HyperPosterior

# What the certificate calls these.
QUANTILES_ERROR = "quantiles' error (sd)"
MIXED = "importance sampling from a mixture"

# Above 0.7 Pareto-k says that importance weights do not give a reliable answer, below 0.5 that their variance is finite
# (Vehtari et al. 2024, section 3); between them another route is tried before settling.
_MAX_PARETO_K = 0.7
_GOOD_PARETO_K = 0.5
# A map of whose nodes less are effective does not fit: with Pareto-k 0.29 and 25,000 effective draws of 65,536 nodes
# a 95 % quantile was 0.1 sds off.
_LEAST_EFFICIENCY = 0.5
_LEAST_EFFECTIVE = 400.0
# Share of a line through the middle of the density beyond the reach of the nodes: a normal that is covered has 0.0002,
# a core whose shelf of 3 % is not seen 0.03, a normal whose nodes are half as wide 0.06, ridges sampled in part 0.9 and
# more. Above the first another route is tried, above the second none is taken.
_GOOD_MISSED, _MOST_MISSED = 0.001, 0.02
# The former as a share of the error that is asked for, where that is large.
_MISSED_OF_ERROR = 0.05
# Half the difference of the two half lattices' means, in sds, that goes without a warning; and the standard error of a
# quantile: the tail of an sd under a HalfCauchy prior that few rows bound was 0.2 sds off at its 95 % quantile with
# 17,600 effective draws, which the means do not show.
_MAX_HALF_DIFFERENCE, _MAX_ROUGH = 0.02, 0.1
# The error that quantiles are meant to have; few draws asked for differ by chance, by so many sds over the root of
# their number. Where more draws are affordable an attempt is left that stays rougher by a factor.
_EVEN, _BY_CHANCE = 0.0225, 1.5
_ROUGHER = 2.0
# An attempt with this much less in log mass than another misses a region: of 4,000 effective draws the log mass is
# uncertain by 0.01. Of slopes in five groups a map with Pareto-k 0.47 had 0.2 less: a 95 % quantile was 2.7 sds off.
_LESS_MASS = 0.05


class Attempt(NamedTuple):
    """A posterior, what is wrong with it, and whether that is a region that it misses."""

    posterior: HyperPosterior
    fault: str
    misses_region: bool = False


def allowed_error(target: float) -> float:
    """Return the standard error of quantiles, in sds, that the wanted draws are meant to have."""
    return max(_EVEN, _BY_CHANCE / float(np.sqrt(target)))


def find_fault(posterior: HyperPosterior, target: float, more: bool) -> str:
    """Say why an attempt is not the answer yet, ``target`` draws wanted and more affordable or not; nothing where it
    is."""
    evidence = posterior.engine.evidence
    # asked this way round, evidence that is NaN is a fault as well
    if not evidence["unseen share"] <= max(_GOOD_MISSED, _MISSED_OF_ERROR / float(np.sqrt(target))):
        return f"the nodes cover only a part of the density (unseen share {evidence['unseen share']:.2g})"
    if not evidence["Pareto-k"] <= _GOOD_PARETO_K:
        return f"Pareto-k {evidence['Pareto-k']:.2f}"
    if not _is_efficient(posterior):
        return f"{evidence['effective draws']:.0f} effective draws in {evidence['nodes']:.0f} nodes"
    if not evidence["effective draws"] >= target:
        return f"{evidence['effective draws']:.0f} effective draws of {target:.0f}"
    if not evidence["half-lattice difference (sd)"] <= _MAX_HALF_DIFFERENCE:
        return f"half lattices that differ by {evidence['half-lattice difference (sd)']:.2f} sds"
    if not evidence[QUANTILES_ERROR] <= (_ROUGHER * allowed_error(target) if more else _most_rough(target)):
        return f"quantiles with an error of {evidence[QUANTILES_ERROR]:.2f} sds"
    return ""


def _most_rough(target: float) -> float:
    """Return the standard error of quantiles that goes without a warning."""
    return max(_MAX_ROUGH, _ROUGHER * allowed_error(target))


def find_lacking_mass(posterior: HyperPosterior, before: Sequence[Attempt]) -> str:
    """Say that an attempt before found more mass, where one did whose weights can be trusted."""
    most = max((each.log_marginal_likelihood for each, _, _ in before if _is_reliable(each)), default=-np.inf)
    lacking = most - posterior.log_marginal_likelihood
    return f"{100.0 * -np.expm1(-lacking):.0f} % less mass than another" if lacking > _LESS_MASS else ""


def choose(attempts: Sequence[Attempt]) -> Attempt:
    """Return the best of attempts none of which was accepted: one that misses mass that another found is not.

    Raises ``ComputationError`` where none is reliable.
    """
    reliable = [each.posterior.log_marginal_likelihood for each in attempts if _is_reliable(each.posterior)]
    most = max(reliable, default=-np.inf)
    whole = [each for each in attempts if each.posterior.log_marginal_likelihood > most - _LESS_MASS]
    best = min(whole or attempts, key=lambda each: (each.misses_region, *_rank(each.posterior)))
    _check_reliable(best)
    return best


def _rank(posterior: HyperPosterior) -> tuple[bool, bool, bool, bool, float, float]:
    """Order attempts: reliable, whole, of a map that fits, of light tails, of even quantiles, of many draws."""
    evidence = posterior.engine.evidence
    return (
        not _is_reliable(posterior),
        not evidence["unseen share"] <= _GOOD_MISSED,
        not _is_efficient(posterior),
        not evidence["Pareto-k"] <= _GOOD_PARETO_K,
        evidence[QUANTILES_ERROR],
        -evidence["effective draws"],
    )


def _is_efficient(posterior: HyperPosterior) -> bool:
    """Whether a map fits; a mixture is wide on purpose."""
    evidence = posterior.engine.evidence
    return posterior.engine.route == MIXED or evidence["effective draws"] >= _LEAST_EFFICIENCY * evidence["nodes"]


def _is_reliable(posterior: HyperPosterior) -> bool:
    evidence = posterior.engine.evidence
    covers = evidence["unseen share"] <= _MOST_MISSED
    return covers and evidence["Pareto-k"] <= _MAX_PARETO_K and evidence["effective draws"] >= _LEAST_EFFECTIVE


def _check_reliable(attempt: Attempt) -> None:
    """Raise ``ComputationError`` where an attempt is not to be trusted."""
    posterior = attempt.posterior
    if _is_reliable(posterior) and not attempt.misses_region:
        return
    evidence = posterior.engine.evidence
    blocks = posterior.space.blocks
    simpler = ", or a simpler group term ((x || g) instead of (x | g))" if blocks else ""
    raise ComputationError(
        f"importance sampling over the {posterior.space.dimension} hyperparameters is not reliable (Pareto-k "
        f"{evidence['Pareto-k']:.2f}, effective draws {evidence['effective draws']:.0f} of {evidence['nodes']:.0f} "
        f"nodes, unseen share {evidence['unseen share']:.2f}; {attempt.fault}): give more informative priors for the "
        f"scales{simpler}"
    )


def warn_if_short(posterior: HyperPosterior, target: float) -> None:
    """Warn where the integration is reliable but not as accurate as it is meant to be."""
    evidence = posterior.engine.evidence
    difference, rough = evidence["half-lattice difference (sd)"], evidence[QUANTILES_ERROR]
    if evidence["effective draws"] < target or difference > _MAX_HALF_DIFFERENCE or rough > _most_rough(target):
        warn_user(
            f"the hyperparameters were integrated with {evidence['effective draws']:.0f} effective draws ({target:.0f} "
            f"are meant), Pareto-k {evidence['Pareto-k']:.2f}: means may be off by about {max(difference, 0.01):.2f} "
            f"posterior sds and 5 and 95 % quantiles by about {max(rough, 0.01):.2f}; more informative priors for the "
            "scales would sharpen them",
            AccuracyWarning,
        )
