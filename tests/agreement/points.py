"""Hyperparameter points of a model, and what the dense algebra needs to know at them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints

FloatArray = NDArray[np.float64]


def random_points(model: Model, seed: int, n_nodes: int = 4) -> HyperPoints:
    """Draw points around where the data put them."""
    rng = np.random.default_rng(seed)
    start = model.space.starts()[3]
    coordinates = start + rng.normal(size=(n_nodes, model.space.dimension))
    return model.space.constrain(coordinates)[0]


def covariance_of(points: HyperPoints, node: int) -> FloatArray:
    """Return the effects' covariance matrix at one node."""
    root = points.effect_root[:, :, node]
    return np.asarray(root @ root.T)
