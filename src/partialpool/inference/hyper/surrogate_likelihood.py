"""A surrogate of the likelihood over the coordinates of a hyperspace, whatever integrates the groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import ComputationError
from partialpool.inference.hyper.certificate import Engine
from partialpool.models.space.hyper_gradient import HyperGradient, pull_back
from partialpool.models.space.hyperspace import HyperPoints, HyperSpace
from partialpool.numerics.arrays import BatchLogDensity, FloatArray
from partialpool.numerics.progress import Counter
from partialpool.numerics.surrogates.surrogate_integral import SurrogateIntegral, integrate_by_surrogate

#: Log likelihoods (node,) and their gradients at points of the hyperparameters.
Evaluate = Callable[[HyperPoints], tuple[FloatArray, HyperGradient]]

# Evaluations after which a surrogate that is not accurate enough is given up, and for each dimension.
_MOST_EVALUATIONS = (90, 15)
# Measured error up to which a surrogate that is not accurate still says where the posterior is.
_USEFUL = 2.0


def integrate_on_surrogate(
    space: HyperSpace, evaluate: Evaluate, variances: FloatArray, accuracy: float
) -> SurrogateIntegral | None:
    """Integrate in the chart that ``space`` is in; ``variances`` (dimension,) are rough ones of the posterior.

    None where the posterior's mode or the surrogate's integral is not found. What is found may be less accurate than
    ``accuracy``: see its ``converged``.
    """
    counter = Counter("evaluating the likelihood")

    def log_likelihood(coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        points, _ = space.constrain(coordinates)
        values, gradient = evaluate(points)
        counter.advance(len(coordinates))
        return values, pull_back(space, coordinates, points, gradient)

    try:
        with counter:
            return integrate_by_surrogate(
                log_likelihood,
                lambda coordinates: space.constrain(coordinates)[1],
                space.starts()[2],
                np.diag(variances),
                find_log_scales(space),
                accuracy,
                effective_target=accuracy**-2.0,
                max_evaluations=_MOST_EVALUATIONS[0] + _MOST_EVALUATIONS[1] * space.dimension,
            )
    except (ComputationError, np.linalg.LinAlgError):
        return None


def find_guide(found: SurrogateIntegral | None) -> BatchLogDensity | None:
    """Return the log density under a surrogate that says where the posterior is, if not accurately."""
    return None if found is None or not found.guide_error < _USEFUL else found.guide


def certify_surrogate(space: HyperSpace, found: SurrogateIntegral, integrated: str = "") -> Engine:
    """Return the certificate of a surrogate that is accurate; ``integrated`` adds to what is said of the model."""
    evidence = {
        "surrogate error (sd)": found.error,
        "evaluations": float(found.n_evaluations),
        "effective draws": found.effective_size,
        "Pareto-k": found.pareto_k,
    }
    plural = "s" if space.dimension > 1 else ""
    reason = (
        f"{space.dimension} hyperparameter{plural}{integrated}; evaluations are dear, so the likelihood is "
        "interpolated between a few, the error measured at nodes that did not shape it"
    )
    return Engine("surrogate of the likelihood", reason, evidence, "converged", found.effective_size)


def find_log_scales(space: HyperSpace) -> NDArray[np.bool_]:
    """Say which coordinates are logs of population sds, along which the likelihood is flat towards zero."""
    flags = np.zeros(len(space.scalars), dtype=bool)
    for k, hyper in enumerate(space.effect_sds):
        flags[k] = np.isinf(hyper.support[1])
    return flags[space.free]
