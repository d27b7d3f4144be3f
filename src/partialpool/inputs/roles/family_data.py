"""Family data: what each likelihood family reads of the data, and which arguments beside the formula suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from partialpool.errors import DataError
from partialpool.inputs.columns.places import suggest_spelling

ResponseKind = Literal["real", "positive", "nonnegative", "share", "outcome", "successes", "count"]
SizeRole = Literal["trials", "exposure"]


@dataclass(frozen=True)
class FamilyData:
    """What a family reads: the ``response`` it describes; ``sizes``, the argument that gives a row's trials or
    exposure; ``dispersion``, the unknown parameter that scatters rows of equal predictors beyond the mean;
    ``known_noise`` where standard errors may be given; ``limits`` where rows may be censored or truncated,
    ``selection`` where objects may be selected by their values, ``zeros`` where these may be structural."""

    response: ResponseKind
    sizes: SizeRole | None = None
    dispersion: Literal["sigma", "shape", "concentration", "precision"] | None = None
    known_noise: bool = False
    limits: bool = False
    selection: bool = False
    zeros: bool = False

    @property
    def is_count(self) -> bool:
        """Whether responses are whole numbers."""
        return self.response in ("outcome", "successes", "count")


FAMILIES: Mapping[str, FamilyData] = {
    "gaussian": FamilyData("real", dispersion="sigma", known_noise=True, limits=True, selection=True),
    "student_t": FamilyData("real", dispersion="sigma", known_noise=True),
    "lognormal": FamilyData("positive", dispersion="sigma", limits=True, selection=True),
    "gamma": FamilyData("positive", dispersion="shape"),
    "exponential": FamilyData("nonnegative", limits=True),
    "beta": FamilyData("share", dispersion="precision"),
    "bernoulli": FamilyData("outcome"),
    "binomial": FamilyData("successes", sizes="trials"),
    "beta_binomial": FamilyData("successes", sizes="trials", dispersion="concentration"),
    "poisson": FamilyData("count", sizes="exposure"),
    "negative_binomial": FamilyData("count", sizes="exposure", dispersion="shape"),
    "zero_inflated_poisson": FamilyData("count", sizes="exposure", zeros=True),
    "zero_inflated_negative_binomial": FamilyData("count", sizes="exposure", dispersion="shape", zeros=True),
}


def find_family(family: str) -> FamilyData:
    """Return what a family reads; raises ``DataError`` for an unknown name."""
    if not isinstance(family, str) or family not in FAMILIES:
        raise DataError(explain_unknown(family))
    return FAMILIES[family]


def explain_unknown(family: object) -> str:
    """Return the message for a family that does not exist, with all those that do."""
    return (
        f"family={family!r} is unknown{suggest_spelling(str(family), FAMILIES)}: the families are {', '.join(FAMILIES)}"
    )


def check_family_roles(family: str, given: Mapping[str, Any]) -> None:
    """Raise ``DataError`` when an argument is given that the family has no use for, or one that it needs is not."""
    kind = find_family(family)
    if kind.sizes == "trials" and "trials" not in given:
        raise DataError(
            f"family='{family}' needs the number of trials of every row: give trials= (a column, or one number), or "
            "family='bernoulli' for 0/1 rows"
        )
    for role in ("trials", "exposure"):
        if role in given and role != kind.sizes:
            raise DataError(explain_size_refused(role, family))
    if family != "gaussian":
        _check_noise_roles(family, kind, given)
    _check_limits(family, kind, given)
    _check_selection(family, kind, given)


def check_zero_part(family: str, zero: str) -> None:
    """Raise ``DataError`` where covariates of structural zeros are given with a family that has none."""
    if zero and not find_family(family).zeros:
        users = [name for name, kind in FAMILIES.items() if kind.zeros]
        raise DataError(
            f"zero is given with family='{family}': it belongs to {' and '.join(users)}; drop it, or give one of these "
            "families"
        )


def explain_size_refused(role: str, family: str) -> str:
    """Return why trials or exposure do not suit a family, and what does."""
    users = [name for name, kind in FAMILIES.items() if kind.sizes == role]
    if role == "trials" and family == "bernoulli":
        remedy = "a bernoulli row is one trial; drop trials=, or give family='binomial' for several"
    elif role == "trials" and family == "beta":
        remedy = (
            "family='beta' is a measured share between 0 and 1, whose trials nobody counted. For successes of trials "
            "whose probabilities vary between groups by a beta distribution give family='binomial' with "
            "population='beta'; where they vary between rows, family='beta_binomial'"
        )
    elif FAMILIES[family].sizes is not None:
        remedy = f"give {FAMILIES[family].sizes}= instead"
    elif role == "exposure" and family == "exponential":
        remedy = "drop it; a time that had not ended yet is censored="
    else:
        remedy = f"drop it, or give family='{users[0]}'"
    return f"{role} is given with family='{family}': it belongs to {' and '.join(users)}; {remedy}"


def _check_noise_roles(family: str, kind: FamilyData, given: Mapping[str, Any]) -> None:
    for role in ("size", "sd"):
        if role in given:
            raise DataError(
                f"{role} is given with family='{family}': means of raw rows (n, mean, sd) tell all that the rows do "
                "only with family='gaussian'; give the raw rows"
            )
    if "weights" in given:
        raise DataError(
            f"weights is given with family='{family}': precision weights divide the variance of family='gaussian'; "
            "drop it, or give counts= for repeated rows"
        )
    if "standard_error" in given and not kind.known_noise:
        users = " and ".join(name for name, other in FAMILIES.items() if other.known_noise)
        raise DataError(
            f"standard_error is given with family='{family}': known noise belongs to {users}; drop it, or give "
            "family='gaussian' if the rows are estimates"
        )


def _check_limits(family: str, kind: FamilyData, given: Mapping[str, Any]) -> None:
    for role, roles in (("censored", ("censored",)), ("truncation", ("truncation_lower", "truncation_upper"))):
        if not any(name in given for name in roles):
            continue
        if not kind.limits:
            users = [name for name, other in FAMILIES.items() if other.limits]
            raise DataError(
                f"{role} is given with family='{family}': it belongs to {', '.join(users[:-1])} and {users[-1]}; drop "
                "it, or give one of these families"
            )
        for other in ("size", "sd"):
            if other in given:
                raise DataError(
                    f"{role} and {other} are both given: a mean of raw rows does not say which of them were "
                    f"{'censored' if role == 'censored' else 'left out'}; give the raw rows"
                )
        if "weights" in given:
            raise DataError(
                f"{role} and weights are both given: precision weights are for rows that are observed in full; drop "
                "one of them, or give counts= for repeated rows"
            )


def _check_selection(family: str, kind: FamilyData, given: Mapping[str, Any]) -> None:
    if not any(name in given for name in ("selection_lower", "selection_upper")):
        return
    if not kind.selection:
        users = " and ".join(name for name, other in FAMILIES.items() if other.selection)
        raise DataError(
            f"selection is given with family='{family}': it belongs to {users}; drop it, or give one of these families"
        )
    reasons = {
        "censored": "a value that is not known does not say whether its object passed: drop one of them",
        "truncation_lower": "rows truncated given their group, or groups selected by their rows: give the one that "
        "happened",
        "truncation_upper": "rows truncated given their group, or groups selected by their rows: give the one that "
        "happened",
        "size": "a mean of raw rows does not say which of them decided: give the raw rows, or standard_error=",
        "sd": "a mean of raw rows does not say which of them decided: give the raw rows, or standard_error=",
        "weights": "precision weights are for rows that are there whatever their values: drop one of them, or give "
        "standard_error=",
    }
    for role, reason in reasons.items():
        if role in given:
            raise DataError(f"selection and {role.split('_')[0]} are both given: {reason}")
