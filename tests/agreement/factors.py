"""Random small models with several grouping factors, each as the library takes it and as dense raw rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from partialpool.inference.gaussian import marginal as gaussian_marginal
from partialpool.inference.gaussian.elimination import contrast_variance
from partialpool.inference.gaussian.marginal import GaussianMarginal
from partialpool.inputs.designs.design import build_design
from partialpool.inputs.language.formula import parse_formula
from partialpool.inputs.observations import read_observations
from partialpool.models.model import Model, build_model
from partialpool.numerics import block_chain
from partialpool.reductions.several import couplings, elimination_plan
from partialpool.reductions.statistics import build_statistics

from .cases import assign_priors
from .dense_factors import DenseFactors

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True)
class FactorRows:
    """Raw rows: ``response`` (row,), ``population`` (row, coefficient), ``noise`` (row,) the noise variance over
    sigma^2, and for each factor its ``effects`` (row, effect) and ``levels`` (row,) as labels."""

    response: FloatArray
    population: FloatArray
    noise: FloatArray
    effects: tuple[FloatArray, ...]
    levels: tuple[NDArray[Any], ...]

    def codes(self, factor: int, labels: list[str]) -> IntArray:
        """Return each row's position among the labels of a factor."""
        place = {label: k for k, label in enumerate(labels)}
        return np.array([place[label] for label in self.levels[factor]], dtype=np.intp)


@dataclass(frozen=True)
class FactorCase:
    """A model: what ``fit`` would take, and its raw rows with the columns written out by hand."""

    formula: str
    data: dict[str, Any]
    roles: dict[str, Any]
    rows: FactorRows
    factors: tuple[tuple[str, tuple[str, ...]], ...]
    priors: dict[str, str] = field(default_factory=dict)

    def build(self) -> tuple[Model, GaussianMarginal, DenseFactors]:
        """Run the library's stages up to the marginal likelihood."""
        formula = parse_formula(self.formula)
        design = build_design(formula, read_observations(self.data, formula, **self.roles))
        model = build_model(design, self.priors, "partial")
        names = {name: tuple("Intercept" if each == "1" else each for each in terms) for name, terms in self.factors}
        assert {group.name: group.names for group in model.groups} == names
        statistics = build_statistics(design.measurements, design.population, model.groups)
        return model, GaussianMarginal(statistics, model.coefficient_prior), self.lay_out(model)

    def lay_out(self, model: Model) -> DenseFactors:
        """Return the dense rows, factors and levels in the model's order, which labels tell."""
        indicators = []
        for group in model.groups:
            k = next(k for k, (name, _) in enumerate(self.factors) if name == group.name)
            labels = [str(label) for label in group.labels]
            codes, values = self.rows.codes(k, labels), self.rows.effects[k]
            indicator = np.zeros((len(codes), values.shape[1], len(labels)))
            indicator[np.arange(len(codes)), :, codes] = values
            indicators.append(indicator.reshape(len(codes), -1))
        return DenseFactors(
            self.rows.response,
            self.rows.population,
            self.rows.noise,
            np.concatenate(indicators, axis=1),
            tuple(len(group.names) for group in model.groups),
            tuple(group.n_levels for group in model.groups),
        )


#: Group terms, and the factors that they make with the effects of each.
STRUCTURES: dict[str, tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "nested": ("(1 | a/b)", (("a", ("1",)), ("a:b", ("1",)))),
    "nested thrice": ("(1 | a/b/c)", (("a", ("1",)), ("a:b", ("1",)), ("a:b:c", ("1",)))),
    "nested by labels alone": ("(1 | a) + (1 | own)", (("a", ("1",)), ("own", ("1",)))),
    "crossed": ("(1 | s) + (1 | t)", (("s", ("1",)), ("t", ("1",)))),
    "crossed thrice": ("(1 | s) + (1 | t) + (1 | r)", (("s", ("1",)), ("t", ("1",)), ("r", ("1",)))),
    "crossed with a nest": ("(1 | t) + (1 | a/b)", (("t", ("1",)), ("a", ("1",)), ("a:b", ("1",)))),
    "disconnected": ("(1 | ds) + (1 | dt)", (("ds", ("1",)), ("dt", ("1",)))),
    "disconnected with a nest": (
        "(1 | a) + (1 | ds) + (1 + x | dt)",
        (("a", ("1",)), ("ds", ("1",)), ("dt", ("1", "x"))),
    ),
    "several terms on a factor": ("(1 | s) + (0 + x | s) + (1 | t)", (("s", ("1", "x")), ("t", ("1",)))),
    "slopes on two": ("(1 + x | s) + (1 + z || t)", (("s", ("1", "x")), ("t", ("1", "z")))),
    "slopes alone": ("(0 + x | s) + (1 | t)", (("s", ("x",)), ("t", ("1",)))),
    "slopes alone, nested": ("(0 + x | a) + (1 | a:b)", (("a", ("x",)), ("a:b", ("1",)))),
    "slopes in a nest": ("(1 + x | a/b)", (("a", ("1", "x")), ("a:b", ("1", "x")))),
    "three effects and two": ("(1 + x + z | s) + (1 + z | a:b)", (("s", ("1", "x", "z")), ("a:b", ("1", "z")))),
    "everything": (
        "(1 + x | a/b) + (1 | t) + (0 + z | t) + (0 + x | r)",
        (("a", ("1", "x")), ("a:b", ("1", "x")), ("t", ("1", "z")), ("r", ("x",))),
    ),
}
POPULATIONS: dict[str, tuple[str, ...]] = {
    "1": ("1",),
    "x": ("1", "x"),
    "x + z": ("1", "x", "z"),
    "0 + x": ("x",),
}
FORMS = ("rows", "weights", "counts", "weights and counts", "offset", "standard errors", "summaries")


def random_factor_case(
    structure: str, population: str, form: str, prior: str, n: int, seed: int, far: float = 0.0
) -> FactorCase:
    """Draw numbers for a model of this structure with ``n`` rows; ``far`` is added to y.

    Factors have 2 to 8 levels, some of one row; s and t meet in part, and r in few rows.
    """
    rng = np.random.default_rng(seed)
    group_terms, factors = STRUCTURES[structure]
    labels = draw_labels(rng, n)
    x, z = rng.normal(rng.choice([0.0, 3.0]), 1.0, n), rng.normal(size=n)
    columns = {"1": np.ones(n), "x": x, "z": z}
    levels = tuple(_join(labels, name) for name, _ in factors)
    y = 2.0 + 0.5 * x + rng.normal(size=n)
    for each in levels:
        _, codes = np.unique(each, return_inverse=True)
        y += rng.normal(size=n)[codes]
    # whole multiples of 2^-20, so that a sum with a whole number is exact
    y = np.round(y * 2**20) / 2**20 + far
    data: dict[str, Any] = {"y": y, "x": x, "z": z, **labels}
    roles, noise, keep, shift = {}, np.ones(n), np.arange(n), np.zeros(n)
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
    response = (y - shift)[keep]
    if form == "summaries":
        response, keep = _summarise(data, rng)
        roles |= {"size": "n", "sd": "sd"}

    def stack(names: tuple[str, ...]) -> FloatArray:
        return np.stack([columns[name] for name in names], axis=1)[keep]

    rows = FactorRows(
        response,
        stack(POPULATIONS[population]),
        noise[keep],
        tuple(stack(effects) for _, effects in factors),
        tuple(each[keep] for each in levels),
    )
    formula = f"y ~ {population} + {group_terms}"
    return FactorCase(formula, data, roles, rows, factors, assign_priors(prior, POPULATIONS[population]))


def draw_labels(rng: np.random.Generator, n: int) -> dict[str, NDArray[Any]]:
    """Draw the columns of every structure: c within b within a, s and t, r, and ds, dt that fall into three parts."""
    n_a, n_s, n_t = (int(size) for size in rng.integers(3, 6, 3))
    a = rng.integers(0, n_a, n)
    a[:n_a], a[n_a : 2 * n_a] = np.arange(n_a), np.arange(n_a)
    b = np.minimum(rng.integers(0, 3, n), rng.integers(0, 3, n_a)[a])
    b[:n_a], b[n_a : 2 * n_a] = 0, 1  # a and a:b divide the rows differently
    c = rng.integers(0, 2, n)
    c[:2] = 0, 1
    s = rng.integers(0, n_s, n)
    t = (s + rng.integers(0, 3, n)) % (n_t + 1)  # no s meets every t
    s[:n_s], t[: n_t + 1] = np.arange(n_s), np.arange(n_t + 1)
    part = rng.integers(0, 3, n)
    part[:9] = np.tile(np.arange(3), 3)
    ds, dt = 3 * rng.integers(0, 3, n) + part, 3 * rng.integers(0, 2, n) + part
    r = rng.integers(0, 7, n)
    columns = {"a": a, "b": b, "c": c, "s": s, "t": t, "ds": ds, "dt": dt, "r": r, "own": 10 * a + b}
    return {name: np.array([f"{name}{code}" for code in codes]) for name, codes in columns.items()}


def _join(labels: dict[str, NDArray[Any]], factor: str) -> NDArray[Any]:
    parts = [labels[name] for name in factor.split(":")]
    return np.array([":".join(each) for each in zip(*parts, strict=True)])


def _summarise(data: dict[str, Any], rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Make every row the mean of one to four; return their responses and which row each is of."""
    n = len(data["y"])
    sizes = rng.integers(1, 5, n)
    sizes[0] = 3
    keep = np.repeat(np.arange(n), sizes)
    response = data["y"][keep] + np.round(rng.normal(size=len(keep)) * 2**20) / 2**20
    parts = np.split(response, np.cumsum(sizes)[:-1])
    data["y"] = np.array([part.mean() for part in parts])
    data["n"] = sizes
    data["sd"] = np.array([part.std(ddof=1) if len(part) > 1 else np.nan for part in parts])
    return response, keep


@dataclass(frozen=True)
class Route:
    """Thresholds that decide how effects leave: columns up to which they are one dense matrix, the order from which
    LAPACK is called on one matrix at a time, columns up to which a contrast inverts everything, the share of pairs from
    which all are kept, and the numbers that a run of nodes may hold."""

    small: int
    large: int
    contrast: int
    full: float
    numbers: int


ROUTES = {
    "as it comes": Route(48, 150, 100, 0.25, 2**25),
    "level by level, pushed contrasts": Route(3, 150, 0, 0.25, 2**25),
    "one matrix at a time": Route(3, 2, 0, 0.25, 1),
    "lists of pairs": Route(2, 150, 10**6, 2.0, 2000),
    "all pairs": Route(2, 2, 0, 0.0, 2**25),
}


@contextmanager
def take_route(name: str) -> Iterator[None]:
    """Force a route of elimination while a model is built and computed."""
    route = ROUTES[name]
    with ExitStack() as stack:
        for module, threshold, value in (
            (elimination_plan, "_SMALL", route.small),
            (elimination_plan, "_WORTH_A_CHAIN", np.inf if route.small < 10 else 0.5),
            (block_chain, "_LARGE", route.large),
            (contrast_variance, "_SMALL", route.contrast),
            (couplings, "_FULL", route.full),
            (gaussian_marginal, "_NODE_NUMBERS", route.numbers),
        ):
            stack.enter_context(patch.object(module, threshold, value))
        yield
