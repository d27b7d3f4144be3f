"""Groups fitted each on its own, with its own residual sd: the no-pooling comparison.

Every group is a completely pooled fit to its own rows under the same priors, so this is a bundle of posteriors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from partialpool.errors import DataError, NotYetError, PartialpoolError
from partialpool.inference.choose import Outcome, run_engine
from partialpool.inference.hyper.certificate import Engine
from partialpool.inputs.columns.places import count_things
from partialpool.inputs.designs.design import Design, GroupDesign
from partialpool.inputs.designs.new_rows import read_new_rows
from partialpool.inputs.observations import Observations
from partialpool.inputs.page import wrap_prose
from partialpool.models.arguments import check_seed
from partialpool.models.model import Model, build_model
from partialpool.models.priors import Prior
from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.numerics.progress import track
from partialpool.results.draws import name_draws
from partialpool.results.fitted import Fitted
from partialpool.results.parameters import check_quantiles, effect_names, quantile_columns
from partialpool.results.prediction import predict_coded_rows
from partialpool.results.prediction_lines import name_labels
from partialpool.results.summary import summarise
from partialpool.results.table import Table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from partialpool.results.arviz.arviz_groups import LogLikelihood

_QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class SeparatePosterior:
    """One posterior a group (``fits``, in the order of the factor's levels), with no population between them."""

    observations: Observations
    design: Design
    group: GroupDesign
    model: Model
    fits: tuple[Fitted, ...]
    seed: int

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.design.formula.text

    @property
    def priors(self) -> Mapping[str, str]:
        """The priors in use, as text: each group's coefficients and sigma have the same."""
        return {name: str(prior) for name, prior in self.model.priors.items()}

    @cached_property
    def engine(self) -> Engine:
        """The certificate of the worst group."""
        worst = max((fit.engine for fit in self.fits), key=lambda engine: max([0.0, *_changes(engine)]))
        groups = count_things(len(self.fits), "group")
        reason = f"every group on its own, one sigma each ({groups}); evidence of the worst group"
        return replace(worst, reason=reason)

    @property
    def log_marginal_likelihood(self) -> float:
        """log p(y), the sum over groups. Raises ``PriorError`` under improper priors."""
        return float(sum(fit.log_marginal_likelihood for fit in self.fits))

    def summary(self, *, effects: bool = True, quantiles: Sequence[float] = _QUANTILES) -> pd.DataFrame:
        """Return theta[g=level] and sigma[g=level] of every group; there are no population parameters, so that
        ``effects=False`` returns no line."""
        return self.tabulate(quantiles, effects).to_frame()

    def tabulate(self, quantiles: Sequence[float], effects: bool = True) -> Table:
        """Return the summary as a table."""
        tables = [summarise(fit, effects=False, quantiles=quantiles) for fit in self.fits] if effects else []
        names, rows = [], []
        for k, line in enumerate(self.line_names()):
            for table, label in zip(tables, line, strict=False):
                names.append(label)
                rows.append([column[k] for column in table.columns.values()])
        values = np.array(rows).reshape(len(names), 2 + len(quantiles))
        columns = ["mean", "sd", *quantile_columns(quantiles)]
        return Table((None,), (names,), {column: values[:, i] for i, column in enumerate(columns)})

    def groups(self, factor: str | None = None, *, quantiles: Sequence[float] = (0.05, 0.95)) -> pd.DataFrame:
        """Return one line a group (and coefficient): n, posterior mean, sd and interval, and the mean of its sigma."""
        return self.tabulate_groups(factor, quantiles=quantiles).to_frame()

    def tabulate_groups(self, factor: str | None, *, quantiles: Sequence[float]) -> Table:
        """Return the groups' table."""
        if factor is not None and factor != self.group.name:
            raise DataError(f"'{factor}' is not a grouping factor of this fit: the factor is '{self.group.name}'")
        check_quantiles(quantiles)
        names = self.group.names
        tables = [summarise(fit, effects=False, quantiles=quantiles) for fit in self.fits]
        columns: dict[str, Any] = {
            "n": np.repeat([int(fit.gaussian.statistics.n_rows) for fit in self.fits], len(names))
        }
        for column in tables[0].columns:
            columns[column] = np.array([table.columns[column][k] for table in tables for k in range(len(names))])
        columns["sigma"] = np.repeat([table.columns["mean"][-1] for table in tables], len(names))
        labels = np.repeat(np.array(self.group.labels, dtype=object), len(names))
        if names == ("Intercept",):
            return Table((self.group.name,), (labels,), columns)
        return Table((self.group.name, "coefficient"), (labels, list(names) * len(self.fits)), columns)

    def draws(
        self, n: int = 4000, *, parameters: Sequence[str] | None = None, seed: int | None = None
    ) -> dict[str, FloatArray]:
        """Return ``n`` independent draws of theta and sigma of every group, by name, each array (draw,)."""
        start = self.seed if seed is None else check_seed(seed)
        result: dict[str, FloatArray] = {}
        names = self.line_names()
        for j, fit in enumerate(self.fits):
            child = int(np.random.SeedSequence([start, j]).generate_state(1)[0])
            drawn = name_draws(fit, n, parameters=None, seed=child)
            for k, name in enumerate([*self.group.names, "sigma"]):
                result[names[k][j]] = drawn[name]
        if parameters is None:
            return {name: result[name] for line in names for name in line}
        if unknown := [name for name in parameters if name not in result]:
            raise DataError(
                f"'{unknown[0]}' is not a parameter of this fit: it has theta[...] and sigma[...] of each group"
            )
        return {name: result[name] for name in parameters}

    def predict(self, new_data: Any, *, quantiles: Sequence[float] = _QUANTILES, offset: Any = None) -> pd.DataFrame:
        """Predict for rows of known groups; raises ``DataError`` for an unseen group, of which nothing is known."""
        rows = read_new_rows(self.design, new_data, offset=offset)
        codes = rows.groups[0].codes
        if len(unseen := np.flatnonzero(codes < 0)):
            raise DataError(
                f"row {unseen[0] + 1} is of the unseen group '{rows.groups[0].labels[unseen[0]]}': without pooling "
                "nothing is known of a new group; fit with pooling='partial'"
            )
        tables = []
        for j in np.unique(codes):
            which = np.flatnonzero(codes == j)
            tables.append((which, predict_coded_rows(self.fits[j], rows, which, quantiles)))
        return _stack(tables, self.group.name, rows.groups[0].labels).to_frame()

    def __repr__(self) -> str:
        heading = [
            f"partialpool fit: {self.formula}",
            f"gaussian, every group of {self.group.name} on its own with its own sigma "
            f"({count_things(len(self.fits), 'group')})",
        ]
        priors = ["priors (each group's):", *(f"  {name}  {prior}" for name, prior in self.priors.items())]
        table = self.tabulate_groups(None, quantiles=(0.05, 0.95)).render()
        lines = [*heading, "", *priors]
        prose = [part for line in lines for part in (wrap_prose(line) or [""])]
        return "\n".join([*prose, "", table, "", *wrap_prose(f"computed by: {self.engine}")])

    def to_arviz(
        self,
        n: int = 4000,
        *,
        seed: int | None = None,
        log_likelihood: LogLikelihood = "rows",
        factor: str | None = None,
    ) -> xr.DataTree:
        """Return draws as an ``xarray.DataTree`` with ArviZ's groups and named coordinates.

        ``log_likelihood`` has one value a row. One a ``"group"`` is left out, which the tree's ``attrs`` say: without a
        population there are no effects to integrate out.
        """
        from partialpool.results.arviz.arviz_export_separate import export_separate_draws

        return export_separate_draws(self, n, seed=seed, log_likelihood=log_likelihood, factor=factor)

    def save(self, path: str | Path) -> Path:
        """Write the fit to a netCDF file (or zarr store, by the ending), which ``pp.load`` reads."""
        from partialpool.results.files.storage import save_fitted

        return save_fitted(self, path)

    def line_names(self) -> list[list[str]]:
        """Return the names of theta of each coefficient, then of sigma, one a group."""
        sigmas = [f"sigma[{self.group.name}={label}]" for label in self.group.labels]
        return [*effect_names("theta", self.group), sigmas]


def fit_separately(
    observations: Observations, design: Design, priors: Mapping[str, Prior | str] | None, seed: int
) -> SeparatePosterior:
    """Fit each group of the design to its own rows.

    Raises ``NotYetError`` where a coefficient is common to the groups.
    """
    model = build_model(design, priors, "none")
    if not model.groups:
        raise DataError("sigma='by group' needs a group term, such as (1 | g)")
    group = model.groups[0]
    if design.measurements.known_scale:
        raise DataError(
            "sigma='by group' asks for an unknown sigma of each group, but standard_error says that the noise is "
            "known: drop one of them"
        )
    if set(design.population.names) != set(group.names):
        common = [name for name in design.population.names if name not in group.names]
        more = [name for name in group.names if name not in design.population.names]
        raise NotYetError(
            f"sigma='by group' is computed where every coefficient varies by group: {', '.join([*common, *more])} "
            f"should be on both sides, as in y ~ x + (x | {group.name})"
        )
    fits = tuple(
        _fit_one(observations, alone, group, j, model, seed)
        for j, alone in track(list(enumerate(split_by_group(design, group))), "fitting groups")
    )
    return SeparatePosterior(observations, design, group, model, fits, seed)


def split_by_group(design: Design, group: GroupDesign) -> Iterator[Design]:
    """Yield, for each level of the factor, the design of its rows alone, without groups."""
    # the population's columns in the order of the group's, so that lines of all groups agree
    places = [design.population.names.index(name) for name in group.names]
    order = np.argsort(group.codes, kind="stable")
    ends = np.cumsum(np.bincount(group.codes, minlength=group.n_levels))
    measured = design.measurements
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        rows = order[start:stop]
        part = replace(
            measured,
            response=measured.response[rows],
            precision=_part(measured.precision, rows),
            counts=_part(measured.counts, rows),
            mean_sizes=_part(measured.mean_sizes, rows),
            within_squares=_part(measured.within_squares, rows),
            offset=_part(measured.offset, rows),
        )
        values = design.population.values[rows][:, places]
        population = replace(design.population, names=group.names, values=values)
        yield replace(design, measurements=part, population=population, groups=())


def _fit_one(
    observations: Observations, alone: Design, group: GroupDesign, level: int, model: Model, seed: int
) -> Fitted:
    _check_spread(alone, group, level)
    try:
        outcome: Outcome = run_engine(
            alone, model.priors, pooling="complete", method="auto", estimator=None, means=model.scales.column_means
        )
    except PartialpoolError as error:
        raise type(error)(f"group '{group.labels[level]}' of {group.name}: {error}") from None
    return Fitted(observations, *outcome, method="auto", seed=seed)


def _part(values: FloatArray | None, rows: IntArray) -> FloatArray | None:
    return None if values is None else values[rows]


def _check_spread(alone: Design, group: GroupDesign, level: int) -> None:
    """Refuse a group whose rows do not vary: its sigma would be 0 with infinite density."""
    response, within = alone.measurements.response, alone.measurements.within_squares
    if np.ptp(response) == 0.0 and (within is None or not within.any()) and len(response) > 1:
        raise DataError(
            f"group '{group.labels[level]}' of {group.name} has the same response in all its {len(response)} rows: its "
            "own sigma would be 0; use a common sigma, or drop the group"
        )


def _changes(engine: Engine) -> list[float]:
    return [value for name, value in engine.evidence.items() if name.startswith("change")]


def _stack(tables: list[tuple[IntArray, Table]], factor: str, labels: tuple[str, ...]) -> Table:
    """Put the groups' predictions back into the order of the rows."""
    where = np.concatenate([which[np.asarray(table.index[0])] for which, table in tables])
    order = np.argsort(where, kind="stable")
    heads = tables[0][1].columns
    columns: dict[str, Any] = {name_labels(factor, heads): [labels[i] for i in where[order]]}
    for name in heads:
        values = np.concatenate([np.asarray(table.columns[name], dtype=object) for _, table in tables])[order]
        columns[name] = list(values) if name == "quantity" else values.astype(float)
    return Table(("row",), (where[order].tolist(),), columns)
