"""Seeded, independent, joint draws of every parameter."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.inference.group_posterior import draw_jointly
from partialpool.inference.hyper_posterior import draw_hyperparameters
from partialpool.models.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.parameters import effect_names

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior

# Numbers that one call may return (3.2 GB): more must be asked for by selection.
_MOST_NUMBERS = 4 * 10**8


class PosteriorDraws(NamedTuple):
    """Joint draws: ``hyperparameters`` (parameter, draw) in the hyperspace's order, ``coefficients``
    (coefficient, draw) of the formula, ``centres`` (coefficient, draw) those that the groups' own values are about
    (the estimates, where coefficients are plugged in), ``residual_sd`` (draw,), and ``effects`` (effect, draw, group)
    as deviations."""

    hyperparameters: FloatArray
    coefficients: FloatArray
    centres: FloatArray
    residual_sd: FloatArray
    effects: FloatArray


def draw_posterior(
    posterior: Posterior, n: int, seed: int | None = None, groups: IntArray | None = None
) -> PosteriorDraws:
    """Draw hyperparameters, coefficients and the effects of ``groups`` (None: all) jointly, ``n`` times."""
    group = posterior.model.group
    if groups is None:
        groups = np.arange(group.n_levels if group else 0, dtype=np.intp)
    n_effects = len(group.names) if group else 0
    if n < 1:
        raise DataError(f"draws: n is {n}: give a positive number of draws")
    if n * n_effects * len(groups) > _MOST_NUMBERS:
        raise DataError(
            f"draws: {n} draws of {n_effects * len(groups)} effects are {8e-9 * n * n_effects * len(groups):.0f} GB: "
            "select some with parameters=, or use groups() and summary(), which need no draws"
        )
    rng = np.random.default_rng(posterior.seed if seed is None else seed)
    points = draw_hyperparameters(posterior.hyper, n, rng)
    joint = draw_jointly(posterior.marginal, points, groups, rng, coefficients_known=posterior.plug_in)
    values = posterior.hyper.space.natural_values(points).T
    centres = _centres(posterior, points, joint.coefficients)
    return PosteriorDraws(values, joint.coefficients, centres, points.residual_sd, joint.effects)


def _centres(posterior: Posterior, points: HyperPoints, coefficients: FloatArray) -> FloatArray:
    """Return the coefficients that effects were drawn about: plugged-in ones do not vary."""
    if not posterior.plug_in:
        return coefficients
    centres = coefficients.copy()
    centres[list(posterior.model.coefficient_prior.integrated)] = posterior.marginal.coefficients_given(
        points
    ).coefficient_mean
    return centres


def own_coefficients(posterior: Posterior, drawn: PosteriorDraws) -> FloatArray:
    """Return what is added to the deviations to give the groups' own values, (effect, draw)."""
    return np.asarray(np.einsum("ck,cn->kn", posterior.theta_columns, drawn.centres))


def name_draws(
    posterior: Posterior, n: int, *, parameters: Sequence[str] | None, seed: int | None
) -> dict[str, FloatArray]:
    """Return draws by parameter name, all or the selected ones."""
    group = posterior.model.group
    wanted = None if parameters is None else list(dict.fromkeys(parameters))
    places = _effect_places(posterior) if group is not None else {}
    population = _population_names(posterior)
    if wanted is not None:
        _check_known(wanted, [*population, *places])
    selected = places if wanted is None else {name: places[name] for name in wanted if name in places}
    groups = np.unique([place[2] for place in selected.values()]).astype(np.intp)
    position = {int(level): k for k, level in enumerate(groups)}
    drawn = draw_posterior(posterior, n, seed, groups)
    values = population_draws(posterior, drawn)
    result = {name: values[name] for name in population if wanted is None or name in wanted}
    own = own_coefficients(posterior, drawn)
    for name, (kind, effect, level) in selected.items():
        deviation = drawn.effects[effect, :, position[level]]
        result[name] = deviation if kind == "u" else deviation + own[effect]
    return result if wanted is None else {name: result[name] for name in wanted}


def population_draws(posterior: Posterior, drawn: PosteriorDraws) -> dict[str, FloatArray]:
    """Return draws of coefficients that the population has, then of hyperparameters, by name, each (draw,)."""
    values = dict(zip(posterior.hyper.space.names, drawn.hyperparameters, strict=True))
    values |= dict(zip(posterior.model.design.population.names, drawn.coefficients, strict=True))
    return {name: values[name] for name in _population_names(posterior)}


def _population_names(posterior: Posterior) -> list[str]:
    """Coefficients that the population has, then hyperparameters."""
    prior, names = posterior.model.coefficient_prior, posterior.model.design.population.names
    known = prior.sampled[len(posterior.hyper.space.coefficients) :]
    coefficients = [name for k, name in enumerate(names) if k not in known]
    return coefficients + [name for name in posterior.hyper.space.names if name not in coefficients]


def _effect_places(posterior: Posterior) -> dict[str, tuple[str, int, int]]:
    """Return kind, effect and level of every effect's name."""
    group = posterior.model.group
    if group is None:
        return {}
    kinds = ("theta",) if posterior.model.pooling == "none" else ("u", "theta")
    return {
        name: (kind, effect, level)
        for kind in kinds
        for effect, names in enumerate(effect_names(kind, group))
        for level, name in enumerate(names)
    }


def _check_known(wanted: Sequence[str], names: Sequence[str]) -> None:
    known = set(names)
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f": did you mean '{close[0]}'?" if close else ""
            raise DataError(f"'{name}' is not a parameter of this fit{hint}")
