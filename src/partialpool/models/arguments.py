"""The words that a fit's arguments may be, checked before anything is read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from partialpool.errors import DataError, NotYetError
from partialpool.inputs.roles.measurements import Measurements

# Other names of families, as they are known elsewhere.
_ALIASES = {
    "normal": "gaussian",
    "t": "student_t",
    "nb": "negative_binomial",
    "negbinomial": "negative_binomial",
    "zip": "zero_inflated_poisson",
    "zinb": "zero_inflated_negative_binomial",
}

_CHOICES = {
    "pooling": ("partial", "complete", "none"),
    "method": ("auto", "grid", "importance", "surrogate", "empirical_bayes"),
    "estimator": (None, "moments", "dersimonian_laird", "ml", "reml"),
    "sigma": ("common", "by group", "pooled by group"),
}


# The accuracies that may be asked for: the finest takes a few million evaluations, the coarsest a few hundred.
# 131,072 nodes, which routes end at, are worth the finest.
_FINEST, _COARSEST = 3e-3, 0.1


def check_arguments(
    *,
    pooling: str,
    method: str,
    estimator: str | None,
    sigma: str,
    seed: object,
    accuracy: object = None,
) -> None:
    """Raise ``DataError`` for a word that is not a choice or for choices that contradict each other."""
    given = {"pooling": pooling, "method": method, "estimator": estimator, "sigma": sigma}
    for argument, value in given.items():
        if value not in _CHOICES[argument]:
            raise DataError(f"{argument}={value!r} is not a choice{_suggest(value, _CHOICES[argument])}")
    check_seed(seed)
    if accuracy is not None and not _is_accuracy(accuracy):
        raise DataError(
            f"accuracy={accuracy!r}: give the error of posterior means to aim at, in posterior sds, between {_FINEST} "
            f"and {_COARSEST}"
        )
    if accuracy is not None and method in ("grid", "empirical_bayes"):
        raise DataError(f"accuracy= says how far an integration goes: method={method!r} has none of its own to steer")
    if estimator is not None and method != "empirical_bayes":
        raise DataError(f"estimator={estimator!r} belongs to method='empirical_bayes': add it, or drop the estimator")
    if method == "empirical_bayes" and pooling != "partial":
        raise DataError(f"method='empirical_bayes' estimates a population, which pooling={pooling!r} has not")
    if sigma == "by group" and pooling != "none":
        raise NotYetError(
            "sigma='by group' is computed for pooling='none' only: write sigma='pooled by group' for sigmas that are "
            "partially pooled, as the groups' means are"
        )
    if sigma == "pooled by group" and pooling != "partial":
        instead = "sigma='by group'" if pooling == "none" else "sigma='common'"
        raise DataError(f"sigma='pooled by group' pools partially: with pooling={pooling!r} write {instead}")
    if sigma == "by group" and method != "auto":
        raise DataError(f"sigma='by group' has one method: leave method='auto' instead of {method!r}")


def check_seed(seed: object) -> int:
    """Return a seed of draws; raises ``DataError`` unless it is a whole number that is not negative."""
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise DataError(f"seed={seed!r}: give a whole number that is not negative")
    return int(seed)


def name_family(family: Any) -> str:
    """Return a family's name from its object or its text, which may have arguments; unknown names are passed on.

    >>> name_family("Student_t(nu=4)"), name_family("normal")
    ('student_t', 'gaussian')
    """
    name = family if isinstance(family, str) else getattr(family, "name", None)
    if not isinstance(name, str):
        raise DataError(f"family={family!r}: give a name, such as 'binomial', or a family object")
    plain = name.split("(")[0].strip().casefold()
    return _ALIASES.get(plain, plain)


def is_latent(measurements: Measurements, link: str | None, population: Any) -> bool:
    """Say whether effects do not leave in the Gaussian closed form: another family, a link, limits, a selection, or a
    population that is not normal."""
    return bool(describe_other(measurements, link, population))


def describe_other(measurements: Measurements, link: str | None, population: Any) -> str:
    """Return what takes a model out of the Gaussian ones, as a remedy says it; '' where nothing does."""
    if measurements.family != "gaussian":
        return f"drop family='{measurements.family}'"
    if link not in (None, "identity"):
        return f"drop link={link!r}"
    limits = {
        "censored": measurements.censoring,
        "truncation": measurements.lower_limit,
        "selection": measurements.selection,
    }
    for role, limit in limits.items():
        if limit is not None:
            return f"drop {role}="
    given = population.values() if isinstance(population, Mapping) else [population]
    names = [value if isinstance(value, str) else getattr(value, "name", value) for value in given if value is not None]
    return next((f"drop population={name!r}" for name in names if name != "normal"), "")


def _is_accuracy(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and _FINEST <= float(value) <= _COARSEST


def _suggest(value: object, choices: tuple[str | None, ...]) -> str:
    words = [choice for choice in choices if choice is not None]
    close = difflib.get_close_matches(str(value), words, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ""
    return f"{hint}: choose from {', '.join(map(repr, words))}"
