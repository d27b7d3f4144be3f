"""The frozen result of a fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError, PriorError
from partialpool.inference.gaussian.conditional import JointDraws, draw_jointly
from partialpool.inference.gaussian.marginal import CoefficientConditional, GaussianMarginal
from partialpool.inference.hyper.certificate import Engine
from partialpool.inference.hyper.hyper_posterior import HyperPosterior
from partialpool.inputs.columns.places import suggest_nearest
from partialpool.inputs.observations import Observations
from partialpool.models.model import Model
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.numerics.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from partialpool.outputs.plots import Plots
    from partialpool.results.arviz.arviz_groups import LogLikelihood

_QUANTILES = (0.05, 0.5, 0.95)
# Sets of nodes whose points are held: a summary goes back and forth between two.
_HELD = 3


@dataclass(frozen=True, eq=False)
class Posterior:
    """A fitted model: the posterior of everything, and how it was obtained.

    Tables are computed when asked for, from the mixture over hyperparameter nodes, and not from draws.
    """

    observations: Observations
    model: Model
    marginal: GaussianMarginal
    hyper: HyperPosterior
    method: str
    seed: int

    @property
    def engine(self) -> Engine:
        """The certificate: route, reason, evidence, status."""
        return self.hyper.engine

    @property
    def plug_in(self) -> bool:
        """Whether population parameters are estimates put in place of a posterior (empirical Bayes)."""
        return self.engine.status == "plug-in"

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.model.design.formula.text

    @property
    def priors(self) -> Mapping[str, str]:
        """The priors in use, as text, by parameter name."""
        return {name: str(prior) for name, prior in self.model.priors.items()}

    @property
    def log_marginal_likelihood(self) -> float:
        """log p(y). Raises ``PriorError`` under improper priors, which leave it without a meaning."""
        improper = [name for name, prior in self.model.priors.items() if not prior.proper]
        if improper or self.plug_in:
            reason = (
                "empirical Bayes uses no priors" if self.plug_in else f"the prior of {', '.join(improper)} is improper"
            )
            raise PriorError(
                f"log_marginal_likelihood: {reason}, so p(y) is defined only up to an unknown constant: give every "
                "parameter a proper prior"
            )
        return self.hyper.log_marginal_likelihood

    def summary(self, *, effects: bool = False, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return population-level parameters, one line each: mean, sd and quantiles, indexed by name.

        ``effects`` adds every group's deviation u[...] and own value theta[...], factor after factor.
        """
        from partialpool.results.summary import summarise

        return summarise(self, effects=effects, quantiles=quantiles).to_frame()

    def groups(self, factor: str | None = None, *, quantiles: Sequence[float] = (0.05, 0.95)) -> pd.DataFrame:
        """Return one line a group (and effect): n, raw estimate and its sd, posterior mean, sd and interval, weight.

        ``factor`` is needed where there are several. ``raw`` is the group's own least-squares estimate, everything
        that is common to groups, and the effects of other factors, at their posterior means. ``weight`` is the
        part of the population's variance that the group's own rows take away, everything else given: 0 is complete
        pooling, 1 none. Notes below say where numbers are reported far outside the data.
        """
        from partialpool.results.groups import tabulate_groups

        return tabulate_groups(self, factor, quantiles=quantiles).to_frame()

    def pooling(self, factor: str | None = None) -> pd.DataFrame:
        """Return, for each group, no pooling, complete pooling and partial pooling side by side, with the weight.

        Complete pooling is a fit without this factor; other factors stay.
        """
        from partialpool.results.pooling import compare_pooling

        return compare_pooling(self, factor).to_frame()

    def variances(self, *, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return the variance of each factor's effects, the residual's and their total, and each one's proportion.

        A factor with slopes has the variance of its part of the expected value, averaged over the rows, and a line
        for each coefficient. The proportion of an intercept-only factor is the intraclass correlation. With known
        standard errors the typical sampling variance stands for the residual's, and proportions are I^2.
        """
        from partialpool.results.variances import tabulate_variances

        return tabulate_variances(self, quantiles=quantiles).to_frame()

    def covariance(self, factor: str | None = None, *, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return sds, correlations and covariances of a factor's effects in the population: mean, sd and quantiles.

        The index holds the kind ('sd', 'cor', 'cov') and the two coefficients.
        """
        from partialpool.results.covariances import tabulate_covariance

        return tabulate_covariance(self, factor, quantiles=quantiles).to_frame()

    def contrast(
        self,
        factor: str | None,
        levels: Any,
        minus: Any = None,
        *,
        quantiles: Sequence[float] = _QUANTILES,
    ) -> pd.DataFrame:
        """Return a contrast between groups of one factor: mean, sd, quantiles and P(>0), a line a coefficient.

        ``contrast("school", "A", "B")`` is theta[A] - theta[B]; ``contrast("school", {"A": 1, "B": -0.5, "C": -0.5})``
        any weighted sum of the groups' own values theta. Where weights do not sum to 0 the population's coefficient
        takes part, times their sum. A level is its label or the data's own value, or a tuple of values where a factor
        is made of several columns.
        """
        from partialpool.results.contrasts import tabulate_contrast

        return tabulate_contrast(self, factor, levels, minus, quantiles=quantiles).to_frame()

    def differences(
        self, factor: str | None = None, *, to: Any = None, quantiles: Sequence[float] = _QUANTILES
    ) -> pd.DataFrame:
        """Return the differences between all pairs of groups, or of each group from the one named by ``to``.

        Each line has mean, sd, quantiles and P(>0), the probability that the difference is positive.
        """
        from partialpool.results.contrasts import tabulate_differences

        return tabulate_differences(self, factor, to=to, quantiles=quantiles).to_frame()

    def predict(
        self,
        new_data: Any,
        *,
        quantiles: Sequence[float] = _QUANTILES,
        standard_error: Any = None,
        offset: Any = None,
    ) -> pd.DataFrame:
        """Predict for new rows: several lines a row, each labelled by its ``quantity``.

        A row of a known group gets 'group mean' (the group's expected value), 'new observation' (one from that group)
        and 'new group, new observation'; a row of an unseen group gets 'new group mean' and 'new group, new
        observation'. With several factors, known and new levels mix freely: a row with some new levels draws those from
        their populations and keeps the known ones, and ``new_levels`` names the factors whose level is drawn in a
        line ('new group, new observation' of a row whose levels are all known draws all of them). Observations need the
        noise: with known standard errors, give ``standard_error`` (a column of ``new_data`` or one value a row);
        without it only the means are returned. In a fit with ``weights`` a new observation has weight 1, variance
        sigma^2. Without pooling there are no lines for new groups, and a row of an unseen group raises ``DataError``.
        """
        from partialpool.results.prediction import predict_rows

        return predict_rows(
            self, new_data, quantiles=quantiles, standard_error=standard_error, offset=offset
        ).to_frame()

    def draws(
        self, n: int = 4000, *, parameters: Sequence[str] | None = None, seed: int | None = None
    ) -> dict[str, FloatArray]:
        """Return ``n`` independent joint posterior draws of every parameter, by name, each array (draw,).

        ``parameters`` selects some by name, and only those are drawn; the same seed gives the same draws. After
        importance sampling, hyperparameter values are drawn from the weighted nodes: more draws than
        ``engine.effective_draws`` repeat some.
        """
        from partialpool.results.draws import name_draws

        return name_draws(self, n, parameters=parameters, seed=seed)

    def draw_batches(
        self,
        n: int,
        *,
        size: int | None = None,
        parameters: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Iterator[dict[str, FloatArray]]:
        """Yield ``n`` independent joint draws in batches of ``size``, each a dict as ``draws`` returns.

        All batches together are one joint sample, the same for the same seed and size; without ``size`` a batch has
        about 128 MB.
        """
        from partialpool.results.draws import name_draw_batches

        return name_draw_batches(self, n, size=size, parameters=parameters, seed=seed)

    def to_arviz(
        self,
        n: int = 4000,
        *,
        seed: int | None = None,
        log_likelihood: LogLikelihood = "rows",
        factor: str | None = None,
    ) -> xr.DataTree:
        """Return draws as an ``xarray.DataTree`` with ArviZ's groups and named coordinates.

        ``log_likelihood`` has one value a row, given its groups' effects, or one a ``"group"``, effects integrated out:
        of the outermost factor, or of ``factor`` given those above it. ``az.loo`` then leaves out whole groups.
        """
        from partialpool.results.arviz.arviz_export import export_draws

        return export_draws(self, n, seed=seed, log_likelihood=log_likelihood, factor=factor)

    def save(self, path: str | Path) -> Path:
        """Write the fit to netCDF (or zarr, by the ending of ``path``), to be read by ``pp.load`` as it was."""
        from partialpool.results.files.storage import save_posterior

        return save_posterior(self, path)

    @property
    def plot(self) -> Plots:
        """Pictures: ``plot.shrinkage()``, ``plot.forest()``."""
        from partialpool.outputs.plots import Plots

        return Plots(self)

    def __repr__(self) -> str:
        from partialpool.results.printing import describe_posterior

        return describe_posterior(self)

    def draw_jointly(self, n: int, levels: Sequence[IntArray], rng: np.random.Generator) -> JointDraws:
        """Draw hyperparameters, coefficients and the effects of some levels of each factor, ``n`` times."""
        return draw_jointly(self.marginal, self.hyper, n, levels, rng, coefficients_known=self.plug_in)

    def to_response(self, values: FloatArray) -> FloatArray:
        """Return values of the linear predictor on the response's scale, which is the same."""
        return values

    @cached_property
    def conditional(self) -> CoefficientConditional:
        """The coefficients given each node, computed once: every table needs them."""
        return self.marginal.coefficients_given(self.hyper.points)

    def condition_at(self, nodes: IntArray) -> tuple[HyperPoints, CoefficientConditional]:
        """Return some nodes' points and the coefficients given them.

        Equal nodes give the same objects as before: where factorising is dear, effects' conditional moments are held by
        the object that they were computed at.
        """
        key = nodes.tobytes()
        found = self._held.pop(key, None) or (self.hyper.points.select(nodes), self.conditional.select(nodes))
        self._held[key] = found  # the latest last
        while len(self._held) > _HELD:
            del self._held[next(iter(self._held))]
        return found

    @cached_property
    def _held(self) -> dict[bytes, tuple[HyperPoints, CoefficientConditional]]:
        return {}

    def theta_columns(self, factor: int) -> FloatArray:
        """Return which population coefficient each effect of a factor deviates from, (coefficient, effect)."""
        names, effects = self.model.design.population.names, self.model.groups[factor].names
        return np.array([[float(name == effect) for effect in effects] for name in names]).reshape(-1, len(effects))

    def check_factor(self, factor: str | None) -> int:
        """Return the position of a grouping factor of the fit (None: the only one); raise ``DataError`` if it has
        none of that name, or several where none is named."""
        names = [group.name for group in self.model.groups]
        if not names:
            raise DataError(
                "this fit has no groups of its own (complete pooling): fit with pooling='partial', or use summary()"
            )
        if factor is None and len(names) > 1:
            known = ", ".join(f"'{name}'" for name in names)
            raise DataError(f"this fit has {len(names)} grouping factors ({known}): name the one that is meant")
        if factor is None or factor in names:
            return names.index(factor) if factor is not None else 0
        only = f": the factor is '{names[0]}'" if len(names) == 1 else suggest_nearest(str(factor), names)
        raise DataError(f"'{factor}' is not a grouping factor of this fit{only}")
