"""Which prior each parameter gets: what the user gave by name or by class, else the default."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from partialpool.errors import PriorError
from partialpool.inputs.columns.places import list_some
from partialpool.models.priors.base import Kind, Prior
from partialpool.models.priors.fixed import Fixed
from partialpool.models.priors.flat import Uniform
from partialpool.models.priors.location import Cauchy, Normal, StudentT, is_at_means
from partialpool.models.priors.parse import parse_prior, suggest_nearest
from partialpool.models.priors.scale import HalfCauchy, HalfNormal, HalfStudentT

ParameterClass = Literal["coefficients", "sd", "cor", "sigma", "shape"]

SUITABLE: dict[Kind, str] = {
    "coefficient": "Normal, StudentT, Cauchy, Uniform, Flat or Fixed",
    "scale": "HalfNormal, HalfCauchy, HalfStudentT, Exponential, PCPrior, Gamma, InverseGamma, Uniform, Flat, "
    "VariancePower or Fixed",
    "correlation": "LKJ or Fixed",
    "shape": "Gamma, LogNormal, HalfNormal, HalfCauchy, HalfStudentT, Exponential, InverseGamma, Uniform or Fixed",
    "probability": "Beta, Uniform(0, 1) or Fixed",
    "pair": "AlphaBetaPower(-2.5)",
}


@dataclass(frozen=True)
class ParameterSlot:
    """A place for a prior: the parameter's ``name``, its kind, its default, other names it answers to."""

    name: str
    kind: Kind
    cls: ParameterClass
    default: Prior
    aliases: tuple[str, ...] = ()


def resolve_priors(given: Mapping[str, Prior | str] | None, parameters: Sequence[ParameterSlot]) -> dict[str, Prior]:
    """Return the prior of every parameter, by its name, in the order of ``parameters``.

    A key of ``given`` is a parameter's name or alias, spaces aside; or a factor's class ('sd(g)' for every
    sd over g, 'cor(g)' for every correlation); or a class ('coefficients', the intercept included, 'sd',
    'cor', 'sigma'). The narrower key wins.

    Raises:
        PriorError: a key that matches no parameter, two keys that name the same, a prior that does not suit
            its parameter, or text that is not a prior.
    """
    _check_names(parameters)
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise PriorError(f"priors is {given!r}: give a mapping such as {{'sd(school)': 'HalfNormal(1)'}}")
    chosen: dict[str, tuple[int, str, Prior]] = {}
    for key, value in given.items():
        width, slots = _match_key(key, parameters)
        try:
            prior = parse_prior(value, _suit_all(slots))
        except PriorError as error:
            raise PriorError(f"prior for {key!r}: {error}") from None
        for slot in slots:
            _check_suits(key, prior, slot)
            narrowest = chosen.get(slot.name)
            if narrowest is not None and narrowest[0] == width:
                raise PriorError(f"priors: {narrowest[1]!r} and {key!r} are the same, {slot.name}: give one of them")
            if narrowest is None or width < narrowest[0]:
                chosen[slot.name] = (width, key, prior)
    return {slot.name: chosen[slot.name][2] if slot.name in chosen else slot.default for slot in parameters}


def drop_given(given: Mapping[str, Prior | str] | None) -> dict[str, Prior | str]:
    """Return the priors by their keys but those that give a value."""
    return {key: prior for key, prior in (given or {}).items() if not isinstance(parse_prior(prior), Fixed)}


def find_given(given: Mapping[str, Prior | str] | None, parameters: Sequence[ParameterSlot]) -> frozenset[str]:
    """Return the names of the parameters whose values ``given`` fixes; keys and priors that ``resolve_priors`` will
    refuse, or that are of other parameters, are passed over."""
    own: dict[str, Prior | str] = {}
    for key, value in given.items() if isinstance(given, Mapping) else ():
        try:
            _match_key(key, parameters)
            own[key] = parse_prior(value)
        except PriorError:
            continue
    try:
        resolved = resolve_priors(own, parameters)
    except PriorError:
        return frozenset()
    return frozenset(name for name, prior in resolved.items() if isinstance(prior, Fixed))


def _check_names(parameters: Sequence[ParameterSlot]) -> None:
    seen: set[str] = set()
    for slot in parameters:
        if slot.name in seen:
            raise PriorError(f"two parameters are called {slot.name}: rename the data column of that name")
        seen.add(slot.name)


def _match_key(key: str, parameters: Sequence[ParameterSlot]) -> tuple[int, list[ParameterSlot]]:
    """Return how wide the key reaches (0 a parameter, 1 a factor's class, 2 a class) and its slots."""
    if not isinstance(key, str):
        raise PriorError(f"priors: the key {key!r} is not a parameter's name: give a name such as 'sd(school)'")
    exact = [slot for slot in parameters if slot.name == key]
    packed = _pack(key)
    if not exact:
        exact = [slot for slot in parameters if packed in map(_pack, (slot.name, *slot.aliases))]
    if len(exact) == 1:
        return 0, exact
    if exact:
        names = " and ".join(slot.name for slot in exact)
        raise PriorError(f"priors: {key!r} could be {names}: write the full name")
    over_factor = [slot for slot in parameters if packed == _factor_class(slot)]
    if over_factor:
        return 1, over_factor
    of_class = [slot for slot in parameters if packed == slot.cls]
    if of_class:
        return 2, of_class
    names_known = [slot.name for slot in parameters]
    classes = list(dict.fromkeys(slot.cls for slot in parameters))
    aliases = [alias for slot in parameters for alias in slot.aliases]
    nearest = _suggest_name(packed, parameters) or suggest_nearest(key, [*names_known, *classes, *aliases])
    raise PriorError(
        f"priors: {key!r} matches no parameter{nearest or '.'} The parameters are {list_some(names_known)}; "
        f"the classes are {', '.join(classes)}"
    )


def _suggest_name(key: str, parameters: Sequence[ParameterSlot]) -> str:
    """Return what the letters are called here by which texts write a population's sd and mean, '' for others."""
    classes = {"tau": "sd", "τ": "sd", "mu": "coefficients", "μ": "coefficients"}
    meant = [slot.name for slot in parameters if slot.cls == classes.get(key.lower())]
    if key.lower() in ("mu", "μ"):
        meant = [name for name in meant if name == "Intercept"]
    return f"; {key} is {' or '.join(meant[:4])} here." if meant else ""


def _pack(name: str) -> str:
    return "".join(name.split())


def _factor_class(slot: ParameterSlot) -> str | None:
    """'sd(g)' for 'sd(g, x)', 'cor(g)' for 'cor(g, x, z)'; None for a parameter over no factor."""
    packed = _pack(slot.name)
    head = f"{slot.cls}("
    if slot.cls not in ("sd", "cor") or not packed.startswith(head):
        return None
    return f"{head}{packed[len(head) : -1].split(',')[0]})"


def _check_suits(key: str, prior: Prior, slot: ParameterSlot) -> None:
    if slot.kind not in prior.kinds:
        instead = _find_instead(prior, slot.kind)
        remedy = f"give {SUITABLE[slot.kind] if instead is None else instead}"
        what = {
            "coefficient": "coefficient",
            "scale": "standard deviation",
            "correlation": "correlation matrix",
            "shape": "positive parameter",
            "probability": "probability",
            "pair": "pair of shapes",
        }
        shown = f"{slot.name} (key {key!r})" if _pack(key) != _pack(slot.name) else slot.name
        raise PriorError(f"prior for {shown}: {prior} does not suit a {what[slot.kind]}: {remedy}")
    if is_at_means(prior) and slot.name != "Intercept":
        raise PriorError(
            f"prior for {slot.name}: {prior} is stated at the columns' means, which only an intercept's can be: leave "
            "at= out"
        )
    if isinstance(prior, Fixed):
        _check_value(prior, slot)
    if slot.kind in ("scale", "shape") and isinstance(prior, Uniform) and prior.lower < 0:
        bound = Uniform(0, prior.upper) if prior.upper > 0 else "Uniform(0, upper)"
        raise PriorError(f"prior for {slot.name}: {prior} reaches below 0, a standard deviation does not: give {bound}")


def _check_value(prior: Fixed, slot: ParameterSlot) -> None:
    """Refuse a value that the parameter cannot have."""
    value = prior.value
    inside = {
        "scale": value > 0.0 or (value == 0.0 and slot.name.startswith("sd(")),
        "shape": value > 0.0,
        "probability": 0.0 < value < 1.0,
        "correlation": -1.0 < value < 1.0,
    }
    if inside.get(slot.kind, True):
        return
    ranges = {
        "scale": "a standard deviation is 0 or more"
        if slot.name.startswith("sd(")
        else "a standard deviation is above 0",
        "shape": "it is above 0",
        "probability": "it lies between 0 and 1",
        "correlation": "a correlation lies between -1 and 1",
    }
    raise PriorError(f"prior for {slot.name}: {prior} is no value of it: {ranges[slot.kind]}")


def _suit_all(slots: Sequence[ParameterSlot]) -> Callable[[Prior], Prior]:
    """Return what turns a prior into the one of its family that suits all of the slots, itself where there is none."""
    kinds = {slot.kind for slot in slots}

    def suit(prior: Prior) -> Prior:
        if len(kinds) != 1 or kinds <= set(prior.kinds):
            return prior
        return _find_instead(prior, *kinds) or prior

    return suit


def _find_instead(prior: Prior, kind: Kind) -> Prior | None:
    """Return the prior of the same family that suits the kind."""
    instead: Prior | None = None
    if kind == "scale":
        match prior:
            case Normal(_, sigma):
                instead = HalfNormal(sigma)
            case Cauchy(_, scale):
                instead = HalfCauchy(scale)
            case StudentT(nu, _, sigma):
                instead = HalfStudentT(nu, sigma)
    elif kind == "coefficient":
        match prior:
            case HalfNormal(sigma):
                instead = Normal(0, sigma)
            case HalfCauchy(scale):
                instead = Cauchy(0, scale)
            case HalfStudentT(nu, sigma):
                instead = StudentT(nu, 0, sigma)
    return instead
