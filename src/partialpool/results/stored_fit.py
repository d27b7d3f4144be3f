"""A fit as arrays and JSON, and back: observations, formula, priors in use, nodes of the hyperparameters' posterior.

Restoring builds the design, the model and the sufficient statistics from them again, as the fit did, and puts the nodes
in place; nothing is integrated a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.by_surrogate import prepare_interpolation
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import GaussianMarginal
from partialpool.inference.hyper_posterior import FineNodes, HyperPosterior
from partialpool.inference.statistics import build_statistics
from partialpool.inputs.design import build_design
from partialpool.inputs.formula import parse_formula
from partialpool.inputs.observations import Observations
from partialpool.inputs.rebuild import observations_from_arrays, observations_to_arrays
from partialpool.models.hyperspace import HyperSpace
from partialpool.models.model import Model, build_model
from partialpool.numerics.grid import Grid
from partialpool.results.posterior import Posterior
from partialpool.results.separate import SeparatePosterior, split_by_group
from partialpool.results.stored_arrays import encode_number

_OBSERVED = "observations_"

Arrays = dict[str, NDArray[Any]]


def store_fit(posterior: Posterior | SeparatePosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays by short keys, and what else is needed as JSON-able values."""
    return _store_separate(posterior) if isinstance(posterior, SeparatePosterior) else _store_posterior(posterior)


def restore_fit(arrays: Arrays, metadata: Mapping[str, Any]) -> Posterior | SeparatePosterior:
    """Return the fit that ``store_fit`` stored.

    Raises ``KeyError``, ``ValueError`` or one of the package's errors where the parts do not fit together.
    """
    return _KINDS[metadata["kind"]](arrays, metadata)


def _store_posterior(posterior: Posterior) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of a posterior with one population (or none)."""
    arrays, metadata = _store_input(posterior, "posterior")
    nodes, hyper = _store_hyper(posterior.hyper)
    return arrays | nodes, metadata | {
        "pooling": posterior.model.pooling,
        "method": posterior.method,
        "plug_in": posterior.plug_in,
        "hyper": hyper,
    }


def _store_separate(posterior: SeparatePosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return arrays and JSON of groups fitted each on its own, the groups' arrays one after another in one."""
    arrays, metadata = _store_input(posterior, "separate")
    pieces: list[NDArray[Any]] = []
    parts = []
    for fit in posterior.fits:
        nodes, hyper = _store_hyper(fit.hyper)
        parts.append({"hyper": hyper, "shapes": {name: list(values.shape) for name, values in nodes.items()}})
        pieces += [values.ravel() for values in nodes.values()]
    return arrays | {"groups_nodes": np.concatenate(pieces)}, metadata | {"groups": parts}


def _store_input(posterior: Posterior | SeparatePosterior, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """Return what every kind of fit needs: observations, formula, priors, seed."""
    observed, observed_metadata = observations_to_arrays(posterior.observations)
    metadata = {
        "kind": kind,
        "formula": posterior.formula,
        "priors": {name: repr(prior) for name, prior in posterior.model.priors.items()},
        "seed": int(posterior.seed),
        "observations": observed_metadata,
    }
    return {f"{_OBSERVED}{name}": values for name, values in observed.items()}, metadata


def _restore_posterior(arrays: Arrays, metadata: Mapping[str, Any]) -> Posterior:
    observations = _restore_observations(arrays, metadata)
    design = build_design(parse_formula(metadata["formula"]), observations)
    model = build_model(design, metadata["priors"], metadata["pooling"], estimated=metadata["plug_in"])
    return _rebuild(observations, model, arrays, metadata["hyper"], method=metadata["method"], seed=metadata["seed"])


def _restore_separate(arrays: Arrays, metadata: Mapping[str, Any]) -> SeparatePosterior:
    observations = _restore_observations(arrays, metadata)
    design = build_design(parse_formula(metadata["formula"]), observations)
    model = build_model(design, metadata["priors"], "none")
    group = design.groups[0]
    fits, start, seed = [], 0, metadata["seed"]
    for alone, part in zip(split_by_group(design, group), metadata["groups"], strict=True):
        nodes: Arrays = {}
        for name, shape in part["shapes"].items():
            stop = start + int(np.prod(shape))
            nodes[name] = arrays["groups_nodes"][start:stop].reshape(shape)
            start = stop
        own = build_model(alone, model.priors, "complete")
        fits.append(_rebuild(observations, own, nodes, part["hyper"], method="auto", seed=seed))
    return SeparatePosterior(observations, design, group, model, tuple(fits), seed)


# One entry for each kind of fit that can be saved, by the metadata's word for it.
_KINDS: dict[str, Callable[[Arrays, Mapping[str, Any]], Posterior | SeparatePosterior]] = {
    "posterior": _restore_posterior,
    "separate": _restore_separate,
}


def _rebuild(
    observations: Observations, model: Model, nodes: Arrays, record: Mapping[str, Any], *, method: str, seed: int
) -> Posterior:
    """Reduce the model's rows again and put the stored nodes in place."""
    design = model.design
    statistics = build_statistics(design.measurements, design.population, model.groups)
    marginal = GaussianMarginal(statistics, model.coefficient_prior)
    hyper = _restore_hyper(model.space, nodes, record)
    prepare_interpolation(marginal, hyper)
    return Posterior(observations, model, marginal, hyper, method=method, seed=seed)


def _restore_observations(arrays: Arrays, metadata: Mapping[str, Any]) -> Observations:
    stored = {name.removeprefix(_OBSERVED): values for name, values in arrays.items() if name.startswith(_OBSERVED)}
    return observations_from_arrays(stored, metadata["observations"])


def _store_hyper(hyper: HyperPosterior) -> tuple[Arrays, dict[str, Any]]:
    """Return nodes, weights, fine nodes and grid as arrays, and the rest of a hyperparameter posterior as JSON."""
    engine = hyper.engine
    arrays: Arrays = {"nodes_weights": hyper.weights}
    if hyper.space.dimension:
        arrays["nodes_coordinates"] = hyper.coordinates
    if hyper.space.names:
        arrays["nodes_values"] = hyper.space.natural_values(hyper.points)
    if hyper.fine is not None:
        arrays |= {"fine_coordinates": hyper.fine.coordinates, "fine_weights": hyper.fine.weights}
    if hyper.evaluated is not None:
        arrays["evaluated_coordinates"] = hyper.evaluated
    metadata: dict[str, Any] = {
        "names": list(hyper.space.names),
        "chart": hyper.space.chart,
        "log_marginal_likelihood": encode_number(hyper.log_marginal_likelihood),
        "engine": {
            "route": engine.route,
            "reason": engine.reason,
            "evidence": {name: encode_number(value) for name, value in engine.evidence.items()},
            "status": engine.status,
            "effective_draws": encode_number(engine.effective_draws),
            "elimination": engine.elimination,
        },
    }
    if (grid := hyper.grid) is not None:
        arrays |= {f"grid_axis_{k}": axis for k, axis in enumerate(grid.axes)}
        arrays["grid_log_density"] = grid.log_density
        metadata["grid"] = {
            "n_axes": len(grid.axes),
            "log_integral": encode_number(grid.log_integral),
            "change_on_doubling": encode_number(grid.change_on_doubling),
            "n_evaluations": int(grid.n_evaluations),
        }
    return arrays, metadata


def _restore_hyper(space: HyperSpace, arrays: Arrays, metadata: Mapping[str, Any]) -> HyperPosterior:
    """Put stored nodes into a rebuilt space."""
    space = space.in_chart(metadata["chart"])
    if metadata["names"] != list(space.names):
        raise ValueError(f"its nodes are of {metadata['names']}, the model has {list(space.names)}")
    weights = arrays["nodes_weights"]
    coordinates = arrays["nodes_coordinates"] if space.dimension else np.empty((len(weights), 0))
    record = metadata["engine"]
    engine = Engine(
        record["route"],
        record["reason"],
        {name: float(value) for name, value in record["evidence"].items()},
        record["status"],
        float(record["effective_draws"]),
        record.get("elimination", ""),
    )
    grid = None
    if (stored := metadata.get("grid")) is not None:
        grid = Grid(
            axes=tuple(arrays[f"grid_axis_{k}"] for k in range(stored["n_axes"])),
            log_density=arrays["grid_log_density"],
            log_integral=float(stored["log_integral"]),
            change_on_doubling=float(stored["change_on_doubling"]),
            n_evaluations=stored["n_evaluations"],
        )
    fine = FineNodes(arrays["fine_coordinates"], arrays["fine_weights"]) if "fine_weights" in arrays else None
    log_marginal = float(metadata["log_marginal_likelihood"])
    evaluated = arrays.get("evaluated_coordinates")
    hyper = HyperPosterior(space, coordinates, weights, log_marginal, grid, engine, fine, evaluated)
    values = space.natural_values(hyper.points)
    if space.names and not np.allclose(values, arrays["nodes_values"], rtol=1e-9, atol=0.0, equal_nan=True):
        raise ValueError("the rebuilt model gives its nodes other values than they had")
    return hyper
