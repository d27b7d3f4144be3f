"""Random small models, each as the library takes it and as dense rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.model import Model, build_model
from partialpool.models.priors import Cauchy, Normal, ScalarPrior, StudentT
from partialpool.models.space.hyperspace import HyperPoints
from partialpool.reductions.statistics import build_statistics

from .dense import DenseRows

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A model: what ``fit`` would take, and its raw rows with the columns written out by hand."""

    formula: str
    data: dict[str, Any]
    roles: dict[str, Any]
    rows: DenseRows
    priors: dict[str, str] = field(default_factory=dict)
    pooling: str = "partial"

    def build(self) -> tuple[Model, GaussianMarginal]:
        """Run the library's stages up to the marginal likelihood."""
        formula = parse_formula(self.formula)
        observations = read_observations(self.data, formula, **self.roles)
        design = build_design(formula, observations)
        model = build_model(design, self.priors, self.pooling)  # type: ignore[arg-type]
        statistics = build_statistics(design.measurements, design.population, model.groups)
        return model, GaussianMarginal(statistics, model.coefficient_prior)


def coefficient_priors(
    model: Model, points: HyperPoints, node: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return mean, precision (NaN: known at the node) and known value of every coefficient, and what priors are of.

    A Student-t prior is at each node a normal one with the node's sd.
    """
    names = model.design.population.names
    mean, precision, known = np.zeros(len(names)), np.zeros(len(names)), np.full(len(names), np.nan)
    for k, name in enumerate(names):
        prior = model.priors[name]
        assert isinstance(prior, ScalarPrior)
        if isinstance(prior, Normal):
            mean[k], precision[k] = prior.mu, prior.sigma**-2.0
    for i, place in enumerate(model.coefficient_prior.mixed):
        k = model.coefficient_prior.integrated[place]
        prior = model.priors[names[k]]
        assert isinstance(prior, StudentT | Cauchy)
        assert points.coefficient_sds is not None
        mean[k], precision[k] = prior.mu, points.coefficient_sds[i, node] ** -2.0
    for i, k in enumerate(model.coefficient_prior.sampled):
        precision[k], known[k] = np.nan, points.coefficients[i, node]
    return mean, precision, known, what_priors_are_of(model)


def what_priors_are_of(model: Model) -> FloatArray:
    """Return the matrix (coefficient, coefficient) from coefficients to what their priors are of: an intercept's may be
    of the value where all columns are at their means."""
    names, design = model.design.population.names, model.design
    stated = np.eye(len(names))
    prior = model.priors.get("Intercept")
    if isinstance(prior, Normal) and prior.at == "means":
        stated[names.index("Intercept")] = np.average(
            design.population.values, axis=0, weights=design.measurements.counts
        )
    return stated


POPULATIONS: dict[str, tuple[str, ...]] = {
    "1": ("1",),
    "x": ("1", "x"),
    "x + z": ("1", "x", "z"),
    "0 + x": ("x",),
    "0 + x + z": ("x", "z"),
}
GROUPS: dict[str, tuple[str, ...]] = {
    "": (),
    " + (1 | g)": ("1",),
    " + (0 + x | g)": ("x",),
    " + (1 + x | g)": ("1", "x"),
    " + (x || g)": ("1", "x"),
    " + (0 + x + z | g)": ("x", "z"),
    " + (1 + x + z | g)": ("1", "x", "z"),
    " + (1 + x | g) + (0 + z | g)": ("1", "x", "z"),
}
FORMS = ("rows", "weights", "counts", "weights and counts", "offset", "standard errors", "summaries")
COEFFICIENT_PRIORS = (
    "default",
    "Normal(0.5, 2)",
    "Flat",
    "StudentT(4, 0, 2)",
    "Cauchy(0, 2)",
    "Uniform(-20, 20)",
    "mixed",
)


def random_case(population: str, groups: str, form: str, prior: str, sizes: list[int], seed: int) -> Case:
    """Draw numbers for a model of this shape; ``sizes`` are raw rows of each group, one allowed."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes).astype(np.intp)
    n = len(codes)
    x = rng.normal(rng.choice([0.0, 3.0]), 1.0, n)
    z = rng.normal(size=n)
    if form == "summaries":  # covariates are then those of the group
        x, z = rng.normal(size=len(sizes))[codes], rng.normal(size=len(sizes))[codes]
    elif len(sizes) > 2:
        x = np.where(codes == 1, 0.7, x)  # one group whose x does not vary
        z = np.where(codes == 2, 2.0 * x, z)  # one group in which z and x go together
    y = 2.0 + 0.5 * x + rng.normal(size=len(sizes))[codes] + rng.normal(size=n)
    noise = np.ones(n)
    roles: dict[str, Any] = {}
    data: dict[str, Any] = {"y": y, "x": x, "z": z, "g": codes}
    order = rng.permutation(n)
    keep = np.arange(n)
    shift = np.zeros(n)
    if "weights" in form:
        data["w"] = rng.uniform(0.2, 5.0, n)
        noise, roles["weights"] = 1.0 / data["w"], "w"
    if "counts" in form:
        data["k"] = rng.integers(1, 4, n)
        keep, roles["counts"] = np.repeat(keep, data["k"]), "k"
    if form == "offset":
        data["o"] = rng.normal(size=n)
        shift, roles["offset"] = data["o"], "o"
    if form == "standard errors":
        data["se"] = rng.uniform(0.3, 2.0, n)
        noise, roles["standard_error"] = data["se"] ** 2, "se"
    if form == "summaries":
        data = _summarise(data, sizes)
        order = rng.permutation(len(sizes))
        roles |= {"size": "n", "sd": "s"}
    data = {name: np.asarray(values)[order] for name, values in data.items()}
    columns = {"1": np.ones(n), "x": x, "z": z}

    def stack(names: tuple[str, ...]) -> FloatArray:
        return np.stack([columns[name] for name in names], axis=1) if names else np.empty((n, 0))

    rows = DenseRows(
        (y - shift)[keep],
        stack(POPULATIONS[population])[keep],
        stack(GROUPS[groups])[keep],
        codes[keep],
        noise[keep],
    )
    return Case(f"y ~ {population}{groups}", data, roles, rows, assign_priors(prior, POPULATIONS[population]))


def assign_priors(prior: str, columns: tuple[str, ...]) -> dict[str, str]:
    names = ["Intercept" if column == "1" else column for column in columns]
    if prior == "default":
        return {}
    if prior == "mixed":
        kinds = ("StudentT(3, 1, 2)", "Normal(0, 1)", "Flat")
        return dict(zip(names, kinds, strict=False))
    return dict.fromkeys(names, prior)


def _summarise(data: dict[str, Any], sizes: list[int]) -> dict[str, Any]:
    """Return (n, mean, sd) of each group, from its raw rows."""
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [data["y"][start : start + size] for start, size in zip(starts, sizes, strict=True)]
    sds = [part.std(ddof=1) if len(part) > 1 else np.nan for part in parts]
    first = {name: values[starts] for name, values in data.items() if name != "y"}
    return {**first, "y": np.array([part.mean() for part in parts]), "n": np.array(sizes), "s": np.array(sds)}
