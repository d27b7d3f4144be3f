"""The likelihood of a mixture of normals as the population of groups whose likelihoods are integrated elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from partialpool.numerics.arrays import FloatArray, IntArray

# The least sd of a component by the sd of the narrowest likelihood: its square is what a likelihood sees of it.
_LEAST_SD = 1e-3


class MixtureParameters(NamedTuple):
    """``weights``, ``means`` and ``sds``, each (start, component)."""

    weights: FloatArray
    means: FloatArray
    sds: FloatArray

    def select(self, starts: IntArray | slice) -> MixtureParameters:
        """Return some of the starts."""
        return MixtureParameters(self.weights[starts], self.means[starts], self.sds[starts])


class NormalIntegrals(NamedTuple):
    """What groups' likelihoods come to under normals: ``log_marginals`` (group, normal), and the ``moments`` (4, group,
    normal) of orders 1 to 4 of z = (t - mean) / sd given the group."""

    log_marginals: FloatArray
    moments: FloatArray


#: Integrals of all groups' likelihoods under normals of means and sds (normal,).
Integrate = Callable[[FloatArray, FloatArray], NormalIntegrals]


class Expected(NamedTuple):
    """At each start: the ``log_likelihood`` (start,), and (start, component, group) the probability of each component
    given the group, ``shares``, and the ``moments`` (4, start, component, group)."""

    log_likelihood: FloatArray
    shares: FloatArray
    moments: FloatArray


@dataclass(frozen=True)
class MixtureProblem:
    """``integrate`` gives the groups' integrals, ``group_weights`` (group,) how many groups each stands for. Means stay
    between ``low`` and ``high``, an interval that holds the groups' own estimates; ``width`` is the sd of the narrowest
    likelihood, and no sd goes far below it."""

    integrate: Integrate
    group_weights: FloatArray
    low: float
    high: float
    width: float

    @property
    def floor(self) -> float:
        """The least sd: a component so narrow is a point to all groups."""
        return _LEAST_SD * self.width

    @property
    def ceiling(self) -> float:
        """The largest sd. Normal likelihoods whose tops are within the interval have their maximum below it; those
        without a top, as of groups without a success, may have none at all."""
        return max(self.high - self.low, self.width)

    def expect(self, parameters: MixtureParameters) -> Expected:
        """Return what EM expects at each start."""
        shape = parameters.means.shape
        found = self.integrate(parameters.means.ravel(), parameters.sds.ravel())
        logs = found.log_marginals.T.reshape(*shape, -1) + np.log(parameters.weights)[..., None]
        whole = np.logaddexp.reduce(logs, axis=1)
        moments = np.swapaxes(found.moments, 1, 2).reshape(4, *shape, -1)
        return Expected(whole @ self.group_weights, np.exp(logs - whole[:, None]), moments)

    def bound(self, parameters: MixtureParameters) -> MixtureParameters:
        """Return the parameters within their bounds, the weights positive and summing to one."""
        weights = np.maximum(parameters.weights, 1e-100)
        return MixtureParameters(
            weights / weights.sum(axis=-1, keepdims=True),
            np.clip(parameters.means, self.low, self.high),
            np.clip(parameters.sds, self.floor, self.ceiling),
        )

    def held(self, parameters: MixtureParameters, rises: FloatArray) -> NDArray[np.bool_]:
        """Say which of one start's means and log sds (2 component,) are at a bound beyond which the likelihood
        ``rises`` (2 component,), the derivatives."""
        values = np.concatenate([parameters.means[0], parameters.sds[0]])
        lowest, highest = (
            np.repeat(ends, len(values) // 2) for ends in ((self.low, self.floor), (self.high, self.ceiling))
        )
        return np.asarray(((values <= lowest) & (rises <= 0.0)) | ((values >= highest) & (rises >= 0.0)))
