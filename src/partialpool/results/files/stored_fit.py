"""A fit as arrays and JSON, and back: observations, formula, priors in use, nodes of the hyperparameters' posterior.

Restoring builds the design, the model and the sufficient statistics from them again, as the fit did, and puts the nodes
in place; nothing is integrated a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.contract import LatentMarginal
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inference.hyper.by_surrogate import prepare_interpolation
from partialpool.inference.quadrature.estimated_population import build_estimated
from partialpool.inference.quadrature.nested_grid import NestedGrid
from partialpool.inference.quadrature.selected import SelectedMarginal
from partialpool.inference.quadrature.value_grid import ValueGrid
from partialpool.inference.run_quadrature import build_latent_marginal
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.designs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.inputs.language.formula import Formula, parse_formula
from partialpool.inputs.observations import Observations
from partialpool.models.families import read_family
from partialpool.models.latent_model import build_latent_model
from partialpool.models.model import Model, build_model
from partialpool.models.populations.base import Population
from partialpool.models.populations.fitted import FittedPopulation
from partialpool.models.populations.normal_mixture import NormalMixturePopulation
from partialpool.models.populations.parse import read_population
from partialpool.models.populations.support import SupportPopulation
from partialpool.reductions.statistics import build_statistics
from partialpool.results.files.stored_arrays import encode_number
from partialpool.results.files.stored_nodes import Arrays, restore_hyper, store_hyper
from partialpool.results.fitted import Fitted
from partialpool.results.scale_names import write_population
from partialpool.results.separate import SeparatePosterior, split_by_group

_OBSERVED = "observations_"
# What engines of latent models found out about their own accuracy: the fineness of a rule and what the last refinement
# moved. A closed form has neither.
_TUNING = ("order", "half", "change")
# The arrays that an estimated population consists of.
_POPULATION_PARTS = ("points", "weights", "means", "sds")


def store_fit(posterior: Fitted | SeparatePosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays by short keys, and what else is needed as JSON-able values."""
    if isinstance(posterior, SeparatePosterior):
        return _store_separate(posterior)
    return _store_posterior(posterior) if posterior.leaves_in_closed_form else _store_latent(posterior)


def restore_fit(arrays: Arrays, metadata: Mapping[str, Any]) -> Fitted | SeparatePosterior:
    """Return the fit that ``store_fit`` stored.

    Raises ``KeyError``, ``ValueError`` or one of the package's errors where the parts do not fit together.
    """
    return _KINDS[metadata["kind"]](arrays, metadata)


def _store_posterior(posterior: Fitted) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of a posterior with one population (or none)."""
    arrays, metadata = _store_input(posterior, "posterior")
    nodes, hyper = store_hyper(posterior.hyper)
    return arrays | nodes, metadata | {
        "pooling": posterior.model.pooling,
        "method": posterior.method,
        "plug_in": posterior.plug_in,
        "hyper": hyper,
    }


def _store_latent(posterior: Fitted) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of a posterior with any likelihood and population."""
    arrays, metadata = _store_posterior(posterior)
    if isinstance(posterior.latent_model.population, FittedPopulation):
        return _store_estimated(posterior, posterior.latent_model.population, arrays, metadata)
    return arrays, metadata | {
        "kind": "latent",
        "family": str(posterior.latent_model.family),
        "population": write_population(posterior.latent_model),
        "marginal": _record_marginal(posterior.latent),
    }


def _record_marginal(marginal: LatentMarginal) -> dict[str, Any]:
    """Return which engine a marginal likelihood is and how fine, and of selected objects that of their data."""
    tuning = {name: getattr(marginal, name) for name in _TUNING if hasattr(marginal, name)}
    record: dict[str, Any] = {
        "engine": type(marginal).__name__,
        "tuning": {name: encode_number(x) if isinstance(x, float) else int(x) for name, x in tuning.items()},
    }
    if isinstance(marginal, NestedGrid) and marginal.grid is not None:
        record["grid"] = [float(part) for part in marginal.grid]
    return (
        record | {"observed": _record_marginal(marginal.observed)} if isinstance(marginal, SelectedMarginal) else record
    )


def _store_estimated(
    posterior: Fitted, population: FittedPopulation, arrays: Arrays, metadata: dict[str, Any]
) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of a posterior whose population was estimated whole."""
    parts: Arrays = {
        f"population_{name}": getattr(population, name) for name in _POPULATION_PARTS if hasattr(population, name)
    }
    return arrays | parts, metadata | {
        "kind": "estimated",
        "family": str(posterior.latent_model.family),
        "population": population.name,
    }


def _store_separate(posterior: SeparatePosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of groups fitted each on its own, the groups' arrays one after another in one."""
    arrays, metadata = _store_input(posterior, "separate")
    pieces: list[NDArray[Any]] = []
    parts = []
    for fit in posterior.fits:
        nodes, hyper = store_hyper(fit.hyper)
        parts.append({"hyper": hyper, "shapes": {name: list(values.shape) for name, values in nodes.items()}})
        pieces += [values.ravel() for values in nodes.values()]
    return arrays | {"groups_nodes": np.concatenate(pieces)}, metadata | {"groups": parts}


def _store_input(posterior: Fitted | SeparatePosterior, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Return what every kind of fit needs: observations, formula, priors, seed."""
    observed, observed_metadata = observations_to_arrays(posterior.observations)
    metadata = {
        "kind": kind,
        "formula": posterior.formula,
        "priors": {name: repr(prior) for name, prior in posterior.model.priors.items()},
        "seed": int(posterior.seed),
        "observations": observed_metadata,
    }
    if zero := posterior.model.design.formula.zero:
        metadata["zero"] = zero
    return {f"{_OBSERVED}{name}": values for name, values in observed.items()}, metadata


def _read_formula(metadata: Mapping[str, Any]) -> Formula:
    return replace(parse_formula(metadata["formula"]), zero=metadata.get("zero", ""))


def _restore_posterior(arrays: Arrays, metadata: Mapping[str, Any]) -> Fitted:
    observations = _restore_observations(arrays, metadata)
    design = build_design(_read_formula(metadata), observations)
    model = build_model(design, metadata["priors"], metadata["pooling"], estimated=metadata["plug_in"])
    return _rebuild(observations, model, arrays, metadata["hyper"], method=metadata["method"], seed=metadata["seed"])


def _restore_latent(arrays: Arrays, metadata: Mapping[str, Any]) -> Fitted:
    observations = _restore_observations(arrays, metadata)
    design = build_design(_read_formula(metadata), observations)
    family, population = read_family(metadata["family"]), read_population(metadata["population"])
    if not isinstance(population, Population):
        raise ValueError(f"a {population.name} population has no density")
    model = build_latent_model(
        design, family, population, metadata["priors"], metadata["pooling"], estimated=metadata["plug_in"]
    )
    marginal = _restore_marginal(build_latent_marginal(model), metadata["marginal"])
    hyper = restore_hyper(model.space, arrays, metadata["hyper"])
    return Fitted(observations, model, marginal, hyper, method=metadata["method"], seed=metadata["seed"])


def _restore_estimated(arrays: Arrays, metadata: Mapping[str, Any]) -> Fitted:
    observations = _restore_observations(arrays, metadata)
    design = build_design(_read_formula(metadata), observations)
    parts = {name: arrays[f"population_{name}"] for name in _POPULATION_PARTS if f"population_{name}" in arrays}
    population = (NormalMixturePopulation if "sds" in parts else SupportPopulation)(**parts)
    model, marginal = build_estimated(design, read_family(metadata["family"]), population)
    hyper = restore_hyper(model.space, arrays, metadata["hyper"])
    return Fitted(observations, model, marginal, hyper, method=metadata["method"], seed=metadata["seed"])


def _restore_marginal(marginal: Any, record: Mapping[str, Any]) -> LatentMarginal:
    """Make a latent model's marginal likelihood as fine as it was."""
    if type(marginal).__name__ != record["engine"] and marginal.fallback is not None:
        marginal = marginal.fallback
    if type(marginal).__name__ != record["engine"]:
        raise ValueError(f"its groups left by {record['engine']}, now by {type(marginal).__name__}")
    tuning = {name: float(x) if name == "change" else int(x) for name, x in record["tuning"].items()}
    if isinstance(marginal, SelectedMarginal):
        marginal = replace(marginal, observed=_restore_marginal(marginal.observed, record["observed"]))
    if "grid" in record:
        centre, spacing, bend, half, core = record["grid"]
        marginal = replace(marginal, grid=ValueGrid(centre, spacing, bend, int(half), core))
    restored: LatentMarginal = replace(marginal, **tuning) if tuning else marginal
    return restored


def _restore_separate(arrays: Arrays, metadata: Mapping[str, Any]) -> SeparatePosterior:
    observations = _restore_observations(arrays, metadata)
    design = build_design(_read_formula(metadata), observations)
    model = build_model(design, metadata["priors"], "none")
    group = design.groups[0]
    fits, start, seed = [], 0, metadata["seed"]
    for alone, part in zip(split_by_group(design, group), metadata["groups"], strict=True):
        nodes: Arrays = {}
        for name, shape in part["shapes"].items():
            stop = start + int(np.prod(shape))
            nodes[name] = arrays["groups_nodes"][start:stop].reshape(shape)
            start = stop
        own = build_model(alone, model.priors, "complete", means=model.scales.column_means)
        fits.append(_rebuild(observations, own, nodes, part["hyper"], method="auto", seed=seed))
    return SeparatePosterior(observations, design, group, model, tuple(fits), seed)


# One entry for each kind of fit that can be saved, by the metadata's word for it.
_KINDS: dict[str, Callable[[Arrays, Mapping[str, Any]], Fitted | SeparatePosterior]] = {
    "posterior": _restore_posterior,
    "latent": _restore_latent,
    "estimated": _restore_estimated,
    "separate": _restore_separate,
}


def _rebuild(
    observations: Observations, model: Model, nodes: Arrays, record: Mapping[str, Any], *, method: str, seed: int
) -> Fitted:
    """Reduce the model's rows again and put the stored nodes in place."""
    design = model.design
    statistics = build_statistics(design.measurements, design.population, model.groups)
    marginal = GaussianMarginal(statistics, model.coefficient_prior)
    hyper = restore_hyper(model.space, nodes, record)
    prepare_interpolation(marginal, hyper)
    return Fitted(observations, model, marginal, hyper, method=method, seed=seed)


def _restore_observations(arrays: Arrays, metadata: Mapping[str, Any]) -> Observations:
    stored = {name.removeprefix(_OBSERVED): values for name, values in arrays.items() if name.startswith(_OBSERVED)}
    return observations_from_arrays(stored, metadata["observations"])
