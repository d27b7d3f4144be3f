"""What tables say of groups with sigmas of their own, beside what they say of all groups."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol

import numpy as np

from partialpool.errors import PriorWarning
from partialpool.inference.choose import run_engine
from partialpool.inference.quadrature.own_sigma import OwnSigmaMarginal
from partialpool.inputs.designs.new_rows import NewRows
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.results.fitted import Fitted
from partialpool.results.latent.population_draws import settle_rows
from partialpool.results.raw_estimates import RawEstimates
from partialpool.results.summary import summarise

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted


def estimate_raw_with_own_sigma(marginal: OwnSigmaMarginal, points: HyperPoints, own: FloatArray) -> RawEstimates:
    """Return each group's mean and its standard error from the group's own rows, (1, group), coefficients at one point;
    ``own`` (1,) is what deviations are added to. One row has no standard error."""
    sums = marginal.sums
    means, squares = sums.leave(points.coefficients)
    with np.errstate(divide="ignore", invalid="ignore"):
        sd = np.sqrt(squares[:, 0] / (sums.counts - 1.0) / sums.weights)
    return RawEstimates((own[0] + means[:, 0])[None], np.where(sums.counts > 1.0, sd, np.nan)[None])


def pool_sigma_completely(posterior: Fitted) -> tuple[FloatArray, FloatArray]:
    """Fit the rows without groups, with one sigma, under the same priors of coefficients; return mean and sd (1,) of
    the intercept."""
    design = posterior.latent_model.design
    kept = {name: prior for name, prior in posterior.latent_model.priors.items() if name in design.population.names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)  # said when the fit itself was made
        outcome = run_engine(design, kept, pooling="complete", method="auto", estimator=None)
    complete = Fitted(posterior.observations, *outcome, method="auto", seed=posterior.seed)
    table = summarise(complete, effects=False, quantiles=(0.5,))
    place = list(table.index[0]).index("Intercept") if "Intercept" in table.index[0] else None
    values = [0.0 if place is None else table.columns[head][place] for head in ("mean", "sd")]
    return np.array(values[:1], dtype=float), np.array(values[1:], dtype=float)


class DrawnLevels(Protocol):
    """Draws of the levels at hand: hyperparameter ``points``, the codes of each factor's ``levels``, and their own
    ``sigmas`` (draw, level), None where groups have none."""

    @property
    def points(self) -> HyperPoints: ...
    @property
    def levels(self) -> tuple[IntArray, ...]: ...
    @property
    def sigmas(self) -> FloatArray | None: ...


def settle_at_draws(
    posterior: Fitted, rows: NewRows, which: IntArray, codes: IntArray, drawn: DrawnLevels
) -> tuple[FloatArray, ...]:
    """Return the likelihood's own parameters for rows of groups ``codes`` (row, factor) at each draw, (draw,) or (row,
    draw): where groups have sigmas of their own the mean and sd of log sigma, which are those drawn and 0 for known
    groups, the population's for others (-1)."""
    if drawn.sigmas is None or drawn.points.extras is None:
        return settle_rows(posterior, rows, which, drawn.points)
    centre, spread = np.repeat(drawn.points.extras[:, None], len(codes), axis=1)
    own = codes[:, 0]
    known = own >= 0
    centre[known] = np.log(drawn.sigmas.T[np.searchsorted(drawn.levels[0], own[known])])
    spread[known] = 0.0
    return centre, spread
