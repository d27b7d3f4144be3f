"""The nodes of a hyperparameters' posterior as arrays and JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import FineNodes, HyperPosterior
from partialpool.models.space.hyperspace import HyperSpace
from partialpool.numerics.grid import Grid
from partialpool.results.files.stored_arrays import encode_number

Arrays = dict[str, NDArray[Any]]


def store_hyper(hyper: HyperPosterior) -> tuple[Arrays, dict[str, Any]]:
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
            "left": engine.left,
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


def restore_hyper(space: HyperSpace, arrays: Arrays, metadata: Mapping[str, Any]) -> HyperPosterior:
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
        record.get("left", ""),
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
