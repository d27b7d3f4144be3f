"""Random ordinary models: designs, parameters, priors and rows, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Shapes of the group part, and how often; "%" stands for slopes or an intercept alone.
_GAUSSIAN = {
    "(1 | a)": 3, "(x | a)": 3, "(x || a)": 2, "(x + z | a)": 1, "(1 | a) + (1 | b)": 5, "(1 | a/b)": 3,
    "(1 | a) + (1 | b) + (1 | c)": 3, "(1 | a/b) + (1 | c)": 2, "(x | a) + (1 | b)": 2, "(x || a) + (1 | b)": 1,
    "(1 | a) + (1 | b) + (1 | c) + (1 | d)": 1, "(x | a) + (x | b)": 1, "(1 | a/b/c)": 1,
}  # fmt: skip
_OTHER = {"(1 | a)": 6, "(x | a)": 2, "(x || a)": 1, "(1 | a/b)": 2}
_FAMILIES = ("binomial", "poisson", "negative_binomial", "student_t")
_SHARE_GAUSSIAN = 0.65
_MOST_ROWS = {"gaussian": 400, "other": 150}


@dataclass(frozen=True)
class RandomModel:
    """What ``partialpool.fit`` is given."""

    seed: int
    formula: str
    data: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        n_levels = [f"{len(set(self.data[k]))} {k}" for k in "abcd" if k in self.data]
        options = {name: value for name, value in self.options.items() if not isinstance(value, np.ndarray)}
        return f"seed {self.seed}: {self.formula}; {len(self.data['y'])} rows, {', '.join(n_levels)}; {options}"


def draw_model(seed: int) -> RandomModel:
    """Draw a model.

    Factors have 2 to 40 levels, even on a log scale; nested levels are 2 to 6 in each. Rows are 2 to 9 a level of the
    largest factor, but 20 at least and 400 (150 where not Gaussian) at most. Labels are spread as evenly as they go, or
    at random. Population sds are 0 (one in four), or up to 3 times sigma (1.5 on a link's scale). Covariates have units
    from 1e-4 to 1e4, and half of the models origins up to 1,000 sds away; a Gaussian response has units from 1e-3 to
    1e3. Priors are the defaults (three of five), HalfCauchy for population sds (one in four), or HalfCauchy with
    LKJ(4) where there are correlations, and Exponential where there are none.
    """
    rng = np.random.default_rng([20, seed])
    gaussian = rng.random() < _SHARE_GAUSSIAN
    shapes = _GAUSSIAN if gaussian else _OTHER
    terms = _choose(rng, shapes)
    labels = _draw_labels(rng, terms, _MOST_ROWS["gaussian" if gaussian else "other"])
    n_rows = len(labels["a"])
    slopes = [name for name in "xz" if name in terms]
    columns = sorted({*slopes, *(["x"] if rng.random() < 0.5 else [])})
    standard = {name: rng.standard_normal(n_rows) for name in columns}
    linear = rng.standard_normal() + sum(0.5 * rng.standard_normal() * standard[name] for name in columns)
    for factor in _factors(terms):
        codes = _codes(labels, factor)
        for name in ["1", *slopes] if factor == "a" or f"(x | {factor})" in terms else ["1"]:
            sd = 0.0 if rng.random() < 0.25 else rng.uniform(0.0, 3.0 if gaussian else 1.5)
            column = 1.0 if name == "1" else standard[name]
            linear = linear + sd * rng.standard_normal(codes.max() + 1)[codes] * column
    far = rng.random() < 0.5
    data: dict[str, Any] = {
        name: 10.0 ** rng.uniform(-4, 4) * (value + (10.0 ** rng.uniform(-1, 3) if far else 0.0))
        for name, value in standard.items()
    }
    unit = 10.0 ** rng.uniform(-3, 3) if gaussian else 1.0
    options = _draw_response(rng, gaussian, linear, data, unit)
    if (priors := _draw_priors(rng, unit, " | " in terms and "x |" in terms.replace("||", ""))) is not None:
        options["priors"] = priors
    fixed = " + ".join(["1", *columns])
    return RandomModel(seed, f"y ~ {fixed} + {terms}", data | labels, options)


def _choose(rng: np.random.Generator, shapes: dict[str, int]) -> str:
    odds = np.array(list(shapes.values()), dtype=float)
    return str(rng.choice(list(shapes), p=odds / odds.sum()))


def _draw_labels(rng: np.random.Generator, terms: str, most_rows: int) -> dict[str, Any]:
    names = [name for name in "abcd" if name in terms]
    nested = [name for name in names if f"/{name}" in terms]
    n_levels = {name: int(np.round(2.0 * 20.0 ** rng.random())) for name in names}
    for name in nested:
        n_levels[name] = int(rng.integers(2, 7))
    inner = int(np.prod([n_levels[name] for name in ["a", *nested]])) if nested else 0
    largest = max(*n_levels.values(), inner)
    n_rows = int(np.clip(largest * rng.integers(2, 10), 20, most_rows))
    even = rng.random() < 0.5
    labels = {}
    for name in names:
        codes = np.arange(n_rows) % n_levels[name]
        labels[name] = (
            rng.permutation(codes)
            if even
            else np.r_[codes[: n_levels[name]], rng.integers(0, n_levels[name], n_rows)][:n_rows]
        )
    return labels


def _factors(terms: str) -> list[str]:
    parts = [part.split("|")[-1].strip(" )") for part in terms.split("(")[1:]]
    found = []
    for part in parts:
        steps = part.split("+")[0].strip(" )").split("/")
        found += [":".join(steps[: k + 1]) for k in range(len(steps))]
    return found


def _codes(labels: dict[str, Any], factor: str) -> IntArray:
    joined = np.stack([labels[name] for name in factor.split(":")])
    return np.asarray(np.unique(joined, axis=1, return_inverse=True)[1]).ravel()


def _draw_response(
    rng: np.random.Generator, gaussian: bool, linear: FloatArray, data: dict[str, Any], unit: float
) -> dict[str, Any]:
    n_rows = len(linear)
    if gaussian:
        data["y"] = unit * (linear + rng.standard_normal(n_rows))
        return {}
    family = str(rng.choice(_FAMILIES))
    if family == "student_t":
        data["y"] = linear + rng.standard_t(4, n_rows)
        return {"family": family}
    if family == "binomial":
        data["n"] = rng.integers(1, 30, n_rows)
        data["y"] = rng.binomial(data["n"], 1.0 / (1.0 + np.exp(-np.clip(linear, -6, 6))))
        return {"family": family, "trials": "n"}
    rate = np.exp(np.clip(linear, -3, 5))
    data["y"] = rng.poisson(rate) if family == "poisson" else rng.negative_binomial(2.0, 2.0 / (2.0 + rate))
    return {"family": family}


def _draw_priors(rng: np.random.Generator, unit: float, correlated: bool) -> dict[str, str] | None:
    kind = rng.random()
    if kind < 0.6:
        return None
    scale = unit * rng.uniform(0.5, 2.0)
    if kind < 0.85:
        return {"sd": f"HalfCauchy({scale!r})"}
    if correlated:
        return {"sd": f"HalfCauchy({scale!r})", "cor": "LKJ(4)"}
    return {"sd": f"Exponential({1.0 / scale!r})"}
