"""The frame of models with a population about an intercept, for brute force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scipy import stats

from .latent_brute import BruteCase, FloatArray, Hyper, half_line, line

#: Nodes of an axis, of two and of three hyperparameters.
MANY = 36
FEW = 28
GROUPS = (0, 0, 1, 1, 2, 3)


def _normal_place(hyper: Hyper) -> tuple[FloatArray, FloatArray]:
    return hyper["Intercept"], hyper["sd(g)"]


def _normal(theta: FloatArray, hyper: Hyper) -> FloatArray:
    return stats.norm.logpdf(theta, hyper["Intercept"], hyper["sd(g)"])


def centred_case(
    name: str,
    data: Mapping[str, Any],
    rows: Callable[[FloatArray, Hyper, int], FloatArray],
    response: Callable[[FloatArray], FloatArray],
    *,
    population: Callable[[FloatArray, Hyper], FloatArray] = _normal,
    centre: float = 0.0,
    prior_sd: float = 1.5,
    sd: float = 1.0,
    extra: tuple[str, str, Any, Any] | None = None,
    stretch: float = 0.05,
    n: int | None = None,
    n_points: int = 301,
    people: str | None = None,
    **options: Any,
) -> BruteCase:
    """A population about an intercept ~ Normal(0, ``prior_sd``), sd(g) ~ HalfNormal(``sd``); ``extra`` is the name,
    prior, axis and distribution of one more hyperparameter."""
    n = n or (FEW if extra else MANY)
    if people:
        options["population"] = people
    axes = {"Intercept": line(centre, 0.6 * prior_sd, n), "sd(g)": half_line(0.6 * sd, n)}
    priors = {"Intercept": f"Normal(0, {prior_sd})", "sd(g)": f"HalfNormal({sd})"}
    densities = {"Intercept": stats.norm(0, prior_sd), "sd(g)": stats.halfnorm(0, sd)}
    if extra:
        axes[extra[0]], priors[extra[0]], densities[extra[0]] = extra[2], extra[1], extra[3]
    return BruteCase(
        name,
        data,
        tuple(data["g"]),
        options,
        priors,
        axes,
        densities,
        _normal_place,
        population,
        rows,
        response,
        stretch=stretch,
        n_points=n_points,
    )
