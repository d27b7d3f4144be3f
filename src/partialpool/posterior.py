"""The user's class: what may be asked of a fit. Numbers happen in the functions that it calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partialpool.inference.hyper.certificate import Engine
from partialpool.numerics.arrays import FloatArray
from partialpool.results.fitted import Fitted, Scale

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from partialpool.outputs.plots import Plots
    from partialpool.results.arviz.arviz_groups import LogLikelihood

_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """A fitted model: the posterior of everything, and how it was obtained.

    Tables are computed when asked for, from the mixture over hyperparameter nodes, and not from draws, where a
    docstring does not say otherwise. Group quantities are ``theta[g=level]`` on the linear predictor's scale and
    ``p[...]``, ``rate[...]`` or ``mean[...]`` on the response's, where a family makes two; ``scale`` says which. What
    ``fitted`` holds is for those who build upon it.
    """

    fitted: Fitted

    @property
    def engine(self) -> Engine:
        """The certificate: route, reason, evidence, status."""
        return self.fitted.engine

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.fitted.formula

    @property
    def priors(self) -> Mapping[str, str]:
        """The priors in use, as text, by parameter name."""
        return self.fitted.priors

    @property
    def log_marginal_likelihood(self) -> float:
        """log p(y). Raises ``PriorError`` under improper priors, which leave it without a meaning."""
        return self.fitted.log_marginal_likelihood

    def summary(self, *, effects: bool = False, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return population-level parameters, one line each: mean, sd and quantiles, indexed by name.

        ``effects`` adds every group's deviation u[...] and own value theta[...], factor after factor.
        """
        from partialpool.results.summary import summarise

        return summarise(self.fitted, effects=effects, quantiles=quantiles).to_frame()

    def groups(
        self, factor: str | None = None, *, quantiles: Sequence[float] | None = None, scale: Scale = "response"
    ) -> pd.DataFrame:
        """Return one line a group (and effect): n, raw estimate and its sd, posterior mean, sd and interval, weight.

        ``factor`` is needed where there are several. ``raw`` is the group's own estimate, by least squares or its
        likelihood, everything that is common to groups, and the effects of other factors, at their posterior means.
        ``weight`` is the part of the population's variance that the group's own rows take away, everything else given:
        0 is complete pooling, 1 none. ``scale`` 'response' gives probabilities, rates or means where the family has
        them, 'linear' the linear predictor; both are of the group's own value where all columns of the formula are
        zero. With slopes there are several lines a group, on the linear scale. ``size`` is the sum of trials or
        exposure. A mean or sd that does not exist under the priors is NaN, printed as '-' with its reason below; the
        median then stands beside the 5 % and 95 % points, which are the default ``quantiles``. Notes below say where
        numbers are reported far outside the data.
        """
        from partialpool.results.groups import tabulate_groups

        return tabulate_groups(self.fitted, factor, quantiles=quantiles, scale=scale).to_frame()

    def pooling(self, factor: str | None = None, *, scale: Scale = "response") -> pd.DataFrame:
        """Return, for each group, no pooling, complete pooling and partial pooling side by side, with the weight.

        Complete pooling is a fit without this factor; other factors stay.
        """
        from partialpool.results.pooling import compare_pooling

        return compare_pooling(self.fitted, factor, scale=scale).to_frame()

    def variances(self, *, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return the variance of each factor's effects, the residual's and their total, and each one's proportion.

        A factor with slopes has the variance of its part of the expected value, averaged over the rows, and a line
        for each coefficient. The proportion of an intercept-only factor is the intraclass correlation. With known
        standard errors the typical sampling variance stands for the residual's, and proportions are I^2. Under other
        likelihoods variances are the linear predictor's; where the link has a latent variable (logit, probit, cloglog)
        its variance is the residual.
        """
        from partialpool.results.variances import tabulate_variances

        return tabulate_variances(self.fitted, quantiles=quantiles).to_frame()

    def covariance(self, factor: str | None = None, *, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return sds, correlations and covariances of a factor's effects in the population: mean, sd and quantiles.

        The index holds the kind ('sd', 'cor', 'cov') and the two coefficients.
        """
        from partialpool.results.covariances import tabulate_covariance

        return tabulate_covariance(self.fitted, factor, quantiles=quantiles).to_frame()

    def contrast(
        self,
        factor: str | None,
        levels: Any,
        minus: Any = None,
        *,
        quantiles: Sequence[float] = _QUANTILES,
        scale: Scale = "linear",
    ) -> pd.DataFrame:
        """Return a contrast between groups of one factor: mean, sd, quantiles and P(>0), a line a coefficient.

        ``contrast("school", "A", "B")`` is theta[A] - theta[B]; ``contrast("school", {"A": 1, "B": -0.5, "C": -0.5})``
        any weighted sum of the groups' own values theta. Where weights do not sum to 0 the population's coefficient
        takes part, times their sum. A level is its label or the data's own value, or a tuple of values where a factor
        is made of several columns. Under other likelihoods a contrast is computed from 4,000 to 20,000 joint draws,
        which know the mean to 0.016 to 0.007 of its sd, but for conjugate pairs; on the 'response' scale it is one of
        probabilities, rates or means.
        """
        from partialpool.results.contrasts import tabulate_contrast

        return tabulate_contrast(self.fitted, factor, levels, minus, quantiles=quantiles, scale=scale).to_frame()

    def differences(
        self,
        factor: str | None = None,
        *,
        to: Any = None,
        quantiles: Sequence[float] = _QUANTILES,
        scale: Scale = "linear",
    ) -> pd.DataFrame:
        """Return the differences between all pairs of groups, or of each group from the one named by ``to``.

        Each line has mean, sd, quantiles and P(>0), the probability that the difference is positive, computed as
        ``contrast`` does.
        """
        from partialpool.results.contrasts import tabulate_differences

        return tabulate_differences(self.fitted, factor, to=to, quantiles=quantiles, scale=scale).to_frame()

    def predict(
        self,
        new_data: Any,
        *,
        quantiles: Sequence[float] = _QUANTILES,
        standard_error: Any = None,
        offset: Any = None,
        trials: Any = None,
        exposure: Any = None,
        scale: Scale = "response",
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

        Under other likelihoods 'group mean' is the row's probability, rate or mean, 'population average' the mean over
        the population of groups, and 'at the average' the value where the effects are zero: they differ under every
        link but the identity. Observations are counts of ``trials`` or in ``exposure``, by draws; where the fit had
        those and the new rows have none there are no such lines. ``scale`` 'linear' gives linear predictors, without
        observations. Means and sds over groups not seen are those of closed forms given the hyperparameters (a rule
        over the population where there is none), summed over the nodes; quantiles are by draws, the same for equal
        rows. A mean or sd that does not exist, or whose sum a few nodes carry, is NaN, printed as '-' with its reason.
        """
        from partialpool.results.prediction import predict_rows

        return predict_rows(
            self.fitted,
            new_data,
            quantiles=quantiles,
            standard_error=standard_error,
            offset=offset,
            trials=trials,
            exposure=exposure,
            scale=scale,
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

        return name_draws(self.fitted, n, parameters=parameters, seed=seed)

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

        return name_draw_batches(self.fitted, n, size=size, parameters=parameters, seed=seed)

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

        return export_draws(self.fitted, n, seed=seed, log_likelihood=log_likelihood, factor=factor)

    def save(self, path: str | Path) -> Path:
        """Write the fit to netCDF (or zarr, by the ending of ``path``), to be read by ``pp.load`` as it was."""
        from partialpool.results.files.storage import save_fitted

        return save_fitted(self.fitted, path)

    @property
    def plot(self) -> Plots:
        """Pictures: ``plot.shrinkage()``, ``plot.forest()``."""
        from partialpool.outputs.plots import Plots

        return Plots(self.fitted)

    def __repr__(self) -> str:
        from partialpool.results.printing import describe_posterior

        return describe_posterior(self.fitted)
