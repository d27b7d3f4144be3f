"""From data and a formula to a posterior: runs the stages, once, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from partialpool.inputs.describe import FormulaDescription
    from partialpool.inputs.designs.design import Design
    from partialpool.inputs.observations import Observations
    from partialpool.inputs.roles.selection import ProbitSelection
    from partialpool.models.families.base import Family
    from partialpool.models.populations.base import Population
    from partialpool.models.priors import Prior
    from partialpool.posterior import Posterior
    from partialpool.results.separate import SeparatePosterior

Method = Literal["auto", "grid", "importance", "surrogate", "empirical_bayes"]


def fit(
    formula: str,
    data: Any,
    *,
    standard_error: Any = None,
    size: Any = None,
    sd: Any = None,
    weights: Any = None,
    counts: Any = None,
    offset: Any = None,
    priors: Mapping[str, Prior | str] | None = None,
    pooling: Literal["partial", "complete", "none"] = "partial",
    method: Method = "auto",
    estimator: Literal["moments", "dersimonian_laird", "ml", "reml"] | None = None,
    accuracy: float | None = None,
    sigma: Literal["common", "by group", "pooled by group"] = "common",
    missing: Literal["drop", "raise"] = "drop",
    family: Family | str = "gaussian",
    link: str | None = None,
    trials: Any = None,
    exposure: Any = None,
    censored: Any = None,
    truncation: tuple[Any, Any] | None = None,
    selection: tuple[Any, Any] | ProbitSelection | None = None,
    selection_rows: Literal["any", "all", "first"] | None = None,
    population: Population | str | Mapping[str, Population | str] | None = None,
    zero: str | None = None,
    seed: int = 0,
) -> Posterior | SeparatePosterior:
    """Fit a hierarchical model, of any number of grouping factors, and return its full posterior.

    Args:
        formula: lme4's language, such as ``"effect ~ 1 + (1 | school)"`` or ``"y ~ x + (1 + x | g)"``.
        data: a pandas, polars or pyarrow frame, anything else that narwhals reads, or a dict of arrays.
        standard_error: known standard errors of the response, a column name or an array (row,); there is then no
            sigma.
        size, sd: when rows are groups' summaries: how many raw rows each stands for and their sd; the response is
            their mean.
        weights: precision weights; the variance of a row is sigma^2 / weight, as in lme4.
        counts: frequency weights; a row stands for this many equal rows.
        offset: added to the linear predictor with coefficient 1.
        priors: by parameter name (``"sd(school)"``) or class (``"coefficients"``, ``"sd"``, ``"cor"``, ``"sigma"``), as
            objects (``pp.HalfCauchy(5)``) or text; what is not given gets a printed default on the data's scale.
        pooling: ``"partial"``; ``"complete"`` ignores the groups; ``"none"`` gives every group its own coefficients,
            each with the coefficient's prior.
        method: ``"auto"`` takes a closed form without unknown hyperparameters, an adaptive grid for one or two,
            importance sampling beyond, and a surrogate of the likelihood where evaluations are dear;
            ``"importance"`` and ``"surrogate"`` force these; ``"grid"`` is the textbook algorithm (sd on a
            grid, then mean, then effects, by draws); ``"empirical_bayes"`` puts an estimate in place of the
            population's posterior.
        estimator: for empirical Bayes: ``"moments"``, ``"dersimonian_laird"``, ``"ml"`` or ``"reml"`` (the default).
        accuracy: the error of posterior means to aim at, in posterior sds: it says how many hyperparameter points are
            evaluated. The default, 0.0158, is the error of 4,000 independent draws; ``engine.evidence`` says what was
            reached.
        sigma: ``"by group"`` gives every group its own residual sd (with ``pooling="none"`` only);
            ``"pooled by group"`` too, from a lognormal population of sds that is learned beside that of the means.
        missing: ``"drop"`` leaves incomplete rows out and warns with their number; ``"raise"`` refuses.
        family: the likelihood, by name or object: ``"gaussian"``, ``"bernoulli"``, ``"binomial"``, ``"poisson"``,
            ``"negative_binomial"``, ``"zero_inflated_poisson"``, ``"zero_inflated_negative_binomial"``,
            ``"beta_binomial"``, ``"beta"``, ``"gamma"``, ``"lognormal"``, ``"exponential"``,
            ``"student_t"``; ``"student_t(nu=4)"`` fixes a parameter.
        link: how the linear predictor becomes the mean, such as ``"probit"``; the family's first by default.
        trials: of binomial and beta-binomial successes: a column, an array, or one number.
        exposure: of Poisson and negative binomial counts, whose mean is exposure times rate: the same.
        censored: codes 'none', 'left', 'right', 'interval' (a column or array; True for right), or a pair of codes and
            the upper ends of intervals.
        truncation: ``(lower, upper)``, each None, a number, a column or an array: rows with values outside would not
            be among the data, while their groups would.
        selection: ``(lower, upper)`` in the same form, or a ``ProbitSelection(limit, width)`` that is not sharp: groups
            whose values lie outside would not be among the data. The likelihood is divided by each group's probability
            of being selected, given the population.
        selection_rows: which rows of a group of several decide of its selection: ``"any"``, ``"all"`` or the
            ``"first"``.
        population: of the groups' parameters: ``"normal"``, ``"student_t"``, ``"skew_normal"``, ``"lognormal"``,
            ``"exponential"``, ``"gamma"``, ``"beta"``, ``"mixture(2)"`` or ``"nonparametric"``, by factor
            (``{"store": "beta"}``) or alone where there is one factor.
        zero: covariates of the structural zeros of zero-inflated counts, such as ``"~ x"``: the logit of their
            probability is a linear predictor of its own; a constant probability by default.
        seed: of the draws; the same seed gives the same draws.

    Raises:
        DataError, FormulaError, PriorError, IdentificationError: the input cannot be used, before any computing.
        NotYetError: the model is understood but not computed yet.
        ComputationError: the integration did not reach its accuracy.
    """
    from partialpool.inputs.designs.design import build_design
    from partialpool.inputs.language.formula import parse_formula
    from partialpool.inputs.language.zero_part import add_zero_part
    from partialpool.inputs.observations import read_observations
    from partialpool.models.arguments import check_arguments, name_family

    check_arguments(pooling=pooling, method=method, estimator=estimator, sigma=sigma, seed=seed, accuracy=accuracy)
    parsed = add_zero_part(parse_formula(formula), zero)
    observations = read_observations(
        data,
        parsed,
        standard_error=standard_error,
        size=size,
        sd=sd,
        weights=weights,
        counts=counts,
        offset=offset,
        missing=missing,
        trials=trials,
        exposure=exposure,
        censored=censored,
        truncation=truncation,
        selection=selection,
        selection_rows=selection_rows,
        family=name_family(family),
    )
    design = build_design(parsed, observations)
    computing = _Computing(pooling, method, estimator, accuracy, sigma, seed)
    return _fit_design(observations, design, priors, _Likelihood(family, link, population), computing)


@dataclass(frozen=True)
class _Likelihood:
    """The arguments that say where rows and groups come from."""

    family: Family | str
    link: str | None
    population: Population | str | Mapping[str, Population | str] | None


@dataclass(frozen=True)
class _Computing:
    """The arguments that say what is computed, and how."""

    pooling: Literal["partial", "complete", "none"]
    method: Method
    estimator: str | None
    accuracy: float | None
    sigma: str
    seed: int


def _fit_design(
    observations: Observations,
    design: Design,
    priors: Mapping[str, Prior | str] | None,
    likelihood: _Likelihood,
    computing: _Computing,
) -> Posterior | SeparatePosterior:
    """Check that the rows tell the unknowns apart, and fit by the engine that suits."""
    from partialpool.inference.choose import run_engine
    from partialpool.inputs.observations import describe_rows
    from partialpool.inputs.roles.unequal_noise import warn_of_unequal_noise
    from partialpool.inputs.unknowns import check_identified, warn_of_left_out
    from partialpool.models.arguments import is_latent
    from partialpool.models.slots import find_given_parameters
    from partialpool.models.unequal_rows import warn_of_unequal_rows
    from partialpool.posterior import Posterior
    from partialpool.results.fitted import Fitted
    from partialpool.results.separate import fit_separately

    warn_of_left_out(design)
    check_identified(design, find_given_parameters(design, priors), observations.columns)
    if computing.sigma == "pooled by group":
        return _fit_own_sigma(observations, design, priors, likelihood, computing)
    if is_latent(design.measurements, likelihood.link, likelihood.population):
        return _fit_latent(observations, design, priors, likelihood, computing)
    if computing.sigma == "by group":
        return fit_separately(observations, design, priors, computing.seed)
    warn_of_unequal_noise(design.measurements, describe_rows(observations.rows, observations.factors))
    if computing.pooling != "complete":
        warn_of_unequal_rows(design)
    outcome = run_engine(
        design,
        priors,
        pooling=computing.pooling,
        method=computing.method,
        estimator=computing.estimator,
        accuracy=computing.accuracy,
    )
    return Posterior(Fitted(observations, *outcome, method=computing.method, seed=computing.seed))


def _fit_latent(
    observations: Observations,
    design: Design,
    priors: Mapping[str, Prior | str] | None,
    likelihood: _Likelihood,
    computing: _Computing,
) -> Posterior:
    """Fit a model whose effects leave by quadrature or conjugacy."""
    from partialpool.inference.run_quadrature import run_latent_engine
    from partialpool.inputs.observations import describe_rows
    from partialpool.models.latent_arguments import check_latent_arguments, choose_likelihood
    from partialpool.posterior import Posterior
    from partialpool.results.fitted import Fitted

    pooling, method, estimator = computing.pooling, computing.method, computing.estimator
    check_latent_arguments(design, method=method, estimator=estimator, sigma=computing.sigma, pooling=pooling)
    where = describe_rows(observations.rows, observations.factors)
    grouped = bool(design.groups) and pooling != "complete"
    chosen, people = choose_likelihood(
        design, likelihood.family, likelihood.link, likelihood.population, where, grouped=grouped
    )
    outcome = run_latent_engine(
        design, chosen, people, priors, pooling=pooling, method=method, estimator=estimator, accuracy=computing.accuracy
    )
    return Posterior(Fitted(observations, *outcome, method=method, seed=computing.seed))


def _fit_own_sigma(
    observations: Observations,
    design: Design,
    priors: Mapping[str, Prior | str] | None,
    likelihood: _Likelihood,
    computing: _Computing,
) -> Posterior:
    """Fit a Gaussian model whose groups have sigmas of their own, partially pooled."""
    from partialpool.inference.run_quadrature import run_latent_engine
    from partialpool.models.arguments import describe_other
    from partialpool.models.families.own_sigma import GaussianOwnSigma
    from partialpool.models.own_sigma import check_own_sigma
    from partialpool.models.populations.normal import NormalPopulation
    from partialpool.posterior import Posterior
    from partialpool.results.fitted import Fitted

    method, estimator = computing.method, computing.estimator
    other = describe_other(design.measurements, likelihood.link, likelihood.population)
    check_own_sigma(design, priors, other=other, method=method)
    outcome = run_latent_engine(
        design,
        GaussianOwnSigma(),
        NormalPopulation(),
        priors,
        pooling=computing.pooling,
        method=method,
        estimator=estimator,
        accuracy=computing.accuracy,
    )
    return Posterior(Fitted(observations, *outcome, method=method, seed=computing.seed))


def describe(formula: str, data: Any, *, zero: str | None = None, **roles: Any) -> FormulaDescription:
    """Show how a formula is understood on some data: columns, factors, levels, counts and parameter names.

    ``roles`` are those of ``fit``: ``standard_error``, ``size``, ``sd``, ``weights``, ``counts``, ``offset``,
    ``trials``, ``exposure``, ``censored``, ``truncation``, ``selection``, ``selection_rows``, ``family``, ``missing``,
    ``zero``.
    """
    from partialpool.inputs.describe import describe_formula
    from partialpool.inputs.designs.design import build_design
    from partialpool.inputs.language.formula import parse_formula
    from partialpool.inputs.language.zero_part import add_zero_part
    from partialpool.inputs.observations import read_observations
    from partialpool.inputs.unknowns import find_obstacle

    parsed = add_zero_part(parse_formula(formula), zero)
    design = build_design(parsed, read_observations(data, parsed, **roles))
    return describe_formula(design, find_obstacle(design))


def load(path: Any) -> Posterior | SeparatePosterior:
    """Read a fit that ``save`` wrote; it predicts identically.

    Raises ``OutputError`` when the file is absent, incomplete or not a saved fit.
    """
    from partialpool.posterior import Posterior
    from partialpool.results.files.storage import load_fitted
    from partialpool.results.fitted import Fitted

    found = load_fitted(path)
    return Posterior(found) if isinstance(found, Fitted) else found
