"""Small simulated data with several factors, and fits of them that tests share."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import partialpool as pp

PRIORS = {"coefficients": "Normal(0, 3)", "sd": "HalfNormal(1)", "sigma": "HalfNormal(1)"}

FORMULAS = {
    "crossed": "y ~ x + (1 | plate) + (1 | sample)",
    "crossed slopes": "y ~ x + z + (1 + x | plate) + (1 | sample)",
    "independent slopes": "y ~ x + (x || plate) + (0 + x | sample)",
    "nested": "y ~ x + (1 | batch/cask)",
    "three": "y ~ x + (1 | batch/cask) + (1 | plate)",
    "weights, counts, offset": "y ~ x + (1 | plate) + (1 | sample)",
    "standard errors": "y ~ 1 + (1 | batch/cask)",
}
ROLES: dict[str, dict[str, str]] = {
    "weights, counts, offset": {"weights": "w", "counts": "k", "offset": "o"},
    "standard errors": {"standard_error": "se"},
}


@functools.cache
def make_data(seed: int = 2) -> dict[str, Any]:
    """Simulated: 90 rows of 6 plates, 5 samples, and 4 batches of 3 casks each."""
    rng = np.random.default_rng(seed)
    n = 90
    plate, sample = rng.integers(0, 6, n), rng.integers(0, 5, n)
    batch, cask = rng.integers(0, 4, n), rng.integers(0, 3, n)
    x, z, offset = rng.normal(1.0, 1.0, n), rng.normal(size=n), rng.normal(size=n)
    of_plate, of_sample = rng.normal(size=(2, 6)), rng.normal(size=5)
    of_batch, of_cask = rng.normal(size=4), 0.5 * rng.normal(size=(4, 3))
    se = rng.uniform(0.3, 1.0, n)
    y = 1.0 + 0.5 * x + 0.3 * z + of_plate[0, plate] + 0.5 * of_plate[1, plate] * x + of_sample[sample]
    y += of_batch[batch] + of_cask[batch, cask] + 0.5 * rng.normal(size=n)
    return {
        "y": y,
        "x": x,
        "z": z,
        "plate": plate + 1,
        "sample": np.array(["s t", "s-u", "s,v", "w=x", "é"])[sample],
        "batch": np.array(list("ABCD"))[batch],
        "cask": np.array(list("abc"))[cask],
        "w": rng.uniform(0.5, 2.0, n),
        "k": rng.integers(1, 4, n),
        "o": offset,
        "se": se,
    }


@functools.cache
def fit_several(name: str, **arguments: Any) -> Any:
    """Fit one of the formulas."""
    priors = PRIORS if "standard_error" not in ROLES.get(name, {}) else {k: PRIORS[k] for k in ("coefficients", "sd")}
    return pp.fit(FORMULAS[name], make_data(), **ROLES.get(name, {}), priors=priors, **arguments)
