"""Seeded, independent, joint draws of every parameter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from partialpool.errors import DataError
from partialpool.models.arguments import check_seed
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.selection import Selection, every_level, population_names, select_parameters

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Numbers that one call may return (3.2 GB): more must be asked for by selection.
_MOST_NUMBERS = 4 * 10**8
# Numbers in a batch whose size is not given (128 MB).
_BATCH_NUMBERS = 2**24


class PosteriorDraws(NamedTuple):
    """Joint draws: ``hyperparameters`` (parameter, draw) in the hyperspace's order, ``coefficients``
    (coefficient, draw) of the formula, ``centres`` (coefficient, draw) those that the groups' own values are about
    (the estimates, where coefficients are plugged in), the hyperparameter ``points``, one a draw, and ``effects``, for
    each factor (effect, draw, group), as deviations; ``sigmas`` (draw, group) are the groups' own, None where they have
    none."""

    hyperparameters: FloatArray
    coefficients: FloatArray
    centres: FloatArray
    points: HyperPoints
    effects: tuple[FloatArray, ...]
    sigmas: FloatArray | None = None


def draw_posterior(
    posterior: Fitted, n: int, seed: int | None = None, levels: Sequence[IntArray] | None = None
) -> PosteriorDraws:
    """Draw hyperparameters, coefficients and the effects of each factor's ``levels`` (None: all) jointly, ``n``
    times."""
    _check_count(n)
    levels = every_level(posterior) if levels is None else levels
    _check_fits(n, count_effects(posterior, levels))
    return _draw(posterior, n, levels, _generator(posterior, seed))


def own_coefficients(posterior: Fitted, drawn: PosteriorDraws, factor: int) -> FloatArray:
    """Return what is added to a factor's deviations to give the groups' own values, (effect, draw)."""
    return np.asarray(np.einsum("ck,cn->kn", posterior.theta_columns(factor), drawn.centres))


def name_draws(
    posterior: Fitted, n: int, *, parameters: Sequence[str] | None, seed: int | None
) -> dict[str, FloatArray]:
    """Return draws by parameter name, all or the selected ones."""
    _check_count(n)
    n_all = count_effects(posterior, every_level(posterior))
    if parameters is None:
        _check_fits(n, n_all)  # before their names are written out
    selection = select_parameters(posterior, parameters)
    _check_fits(n, count_effects(posterior, selection.levels))
    return _name(posterior, _draw(posterior, n, selection.levels, _generator(posterior, seed)), selection)


def name_draw_batches(
    posterior: Fitted, n: int, *, size: int | None, parameters: Sequence[str] | None, seed: int | None
) -> Iterator[dict[str, FloatArray]]:
    """Yield draws by parameter name in batches of ``size``, together ``n``: one stream of random numbers."""
    _check_count(n)
    selection = select_parameters(posterior, parameters)
    if size is None:
        size = max(1, _BATCH_NUMBERS // max(len(selection.names), 1))
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise DataError(f"draw_batches: size is {size!r}: give a positive number of draws a batch")
    size = min(int(size), n)
    _check_fits(size, count_effects(posterior, selection.levels))
    return _generate(posterior, n, size, selection, _generator(posterior, seed))


def population_draws(posterior: Fitted, drawn: PosteriorDraws) -> dict[str, FloatArray]:
    """Return draws of coefficients that the population has, then of hyperparameters, by name, each (draw,)."""
    values = dict(zip(posterior.hyper.space.names, drawn.hyperparameters, strict=True))
    values |= dict(zip(posterior.model.design.population.names, drawn.coefficients, strict=True))
    return {name: values[name] for name in population_names(posterior)}


def count_effects(posterior: Fitted, levels: Sequence[IntArray]) -> int:
    """Return how many effects one draw of these levels of each factor has."""
    return sum(len(group.names) * len(codes) for group, codes in zip(posterior.model.groups, levels, strict=True))


def _generate(
    posterior: Fitted, n: int, size: int, selection: Selection, rng: np.random.Generator
) -> Iterator[dict[str, FloatArray]]:
    for start in range(0, n, size):
        yield _name(posterior, _draw(posterior, min(size, n - start), selection.levels, rng), selection)


def _draw(posterior: Fitted, n: int, levels: Sequence[IntArray], rng: np.random.Generator) -> PosteriorDraws:
    joint = posterior.draw_jointly(n, levels, rng)
    values = posterior.hyper.space.natural_values(joint.points).T
    return PosteriorDraws(values, joint.coefficients, joint.centres, joint.points, joint.effects, joint.sigmas)


def _name(posterior: Fitted, drawn: PosteriorDraws, selection: Selection) -> dict[str, FloatArray]:
    """Return the selected parameters' draws by name."""
    values = population_draws(posterior, drawn)
    factors = {place.factor for place in selection.effects.values()}
    own = {factor: own_coefficients(posterior, drawn, factor) for factor in factors}
    result = {}
    for name in selection.names:
        if name not in selection.effects:
            result[name] = values[name]
            continue
        kind, factor, effect, level = selection.effects[name]
        if kind == "sigma" and drawn.sigmas is not None:
            result[name] = drawn.sigmas[:, level]
            continue
        deviation = drawn.effects[factor][effect, :, level]
        if kind == "u":
            result[name] = deviation
        else:
            theta = deviation + own[factor][effect]
            result[name] = theta if kind == "theta" else posterior.to_response(theta)
    return result


def _generator(posterior: Fitted, seed: int | None) -> np.random.Generator:
    return np.random.default_rng(posterior.seed if seed is None else check_seed(seed))


def _check_count(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        whole = isinstance(n, float) and n.is_integer() and n >= 1
        raise DataError(f"draws: n is {n!r}: give {f'{n:.0f}' if whole else 'a positive whole number of draws'}")


def _check_fits(n: int, n_effects: int) -> None:
    if n * n_effects > _MOST_NUMBERS:
        raise DataError(
            f"draws: {n} draws of {n_effects} effects are {8e-9 * n * n_effects:.0f} GB: "
            "select some with parameters=, or use groups() and summary(), which need no draws"
        )
