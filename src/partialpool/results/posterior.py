"""The frozen result of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError, PriorError
from partialpool.inference.engine import Engine
from partialpool.inference.gaussian_marginal import CoefficientConditional, GaussianMarginal
from partialpool.inference.hyper_posterior import HyperPosterior
from partialpool.inputs.observations import Observations
from partialpool.models.model import Model
from partialpool.numerics.arrays import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from partialpool.outputs.plots import Plots

_QUANTILES = (0.05, 0.5, 0.95)


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

        ``effects`` adds every group's deviation u[...] and own value theta[...].
        """
        from partialpool.results.summary import summarise

        return summarise(self, effects=effects, quantiles=quantiles).to_frame()

    def groups(self, factor: str | None = None, *, quantiles: Sequence[float] = (0.05, 0.95)) -> pd.DataFrame:
        """Return one line a group (and effect): n, raw estimate and its sd, posterior mean, sd and interval, weight.

        ``weight`` is the posterior mean of the weight that the group's own estimate has in its partially
        pooled one: 0 is complete pooling, 1 none.
        """
        from partialpool.results.groups import tabulate_groups

        return tabulate_groups(self, factor, quantiles=quantiles).to_frame()

    def pooling(self, factor: str | None = None) -> pd.DataFrame:
        """Return, for each group, no pooling, complete pooling and partial pooling side by side, with the weight."""
        from partialpool.results.groups import compare_pooling

        return compare_pooling(self, factor).to_frame()

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
        observation'. Observations need the noise: with known standard errors, give ``standard_error`` (a column
        of ``new_data`` or one value a row); without it only the means are returned. In a fit with ``weights`` a new
        observation has weight 1, variance sigma^2. Without pooling there are no lines for new groups, and a row of an
        unseen group raises ``DataError``.
        """
        from partialpool.results.prediction import predict_rows

        return predict_rows(
            self, new_data, quantiles=quantiles, standard_error=standard_error, offset=offset
        ).to_frame()

    def draws(
        self, n: int = 4000, *, parameters: Sequence[str] | None = None, seed: int | None = None
    ) -> dict[str, FloatArray]:
        """Return ``n`` independent joint posterior draws of every parameter, by name, each array (draw,).

        ``parameters`` selects some by name; the same seed gives the same draws. After importance sampling,
        hyperparameter values are drawn from the weighted nodes: more draws than ``engine.effective_draws`` repeat some.
        """
        from partialpool.results.draws import name_draws

        return name_draws(self, n, parameters=parameters, seed=seed)

    def to_arviz(self, n: int = 4000, *, seed: int | None = None) -> xr.DataTree:
        """Return draws as an ``xarray.DataTree`` with ArviZ's groups and named coordinates."""
        from partialpool.results.arviz_export import export_draws

        return export_draws(self, n, seed=seed)

    def save(self, path: str | Path) -> Path:
        """Write the fit to netCDF (or zarr, by the ending of ``path``), to be read by ``pp.load`` as it was."""
        from partialpool.results.storage import save_posterior

        return save_posterior(self, path)

    @property
    def plot(self) -> Plots:
        """Pictures: ``plot.shrinkage()``, ``plot.forest()``."""
        from partialpool.outputs.plots import Plots

        return Plots(self)

    def __repr__(self) -> str:
        from partialpool.results.printing import describe_posterior

        return describe_posterior(self)

    @cached_property
    def conditional(self) -> CoefficientConditional:
        """The coefficients given each node, computed once: every table needs them."""
        return self.marginal.coefficients_given(self.hyper.points)

    @cached_property
    def theta_columns(self) -> FloatArray:
        """Which population coefficient each effect deviates from, (coefficient, effect) of zeros and ones."""
        group, names = self.model.group, self.model.design.population.names
        columns = np.zeros((len(names), len(group.names) if group else 0))
        for k, name in enumerate(group.names if group else ()):
            if name in names:
                columns[names.index(name), k] = 1.0
        return columns

    def check_factor(self, factor: str | None) -> None:
        """Raise ``DataError`` unless ``factor`` is the fit's grouping factor (None: the only one)."""
        group = self.model.group
        if group is None:
            raise DataError(
                "this fit has no groups of its own (complete pooling): fit with pooling='partial', or use summary()"
            )
        if factor is not None and factor != group.name:
            raise DataError(f"'{factor}' is not a grouping factor of this fit: the factor is '{group.name}'")
