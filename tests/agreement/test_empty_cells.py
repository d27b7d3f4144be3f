"""Fits with cells that no row has against formulas with their columns written out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.errors import AliasedColumnsWarning, DataError

RNG = np.random.default_rng(8)
F, K = RNG.choice(list("abc"), 70), RNG.choice(list("xyz"), 70)
THERE = ~((F == "b") & (K == "y"))
F, K = F[THERE], K[THERE]
G = np.arange(len(F)) % 7
DATA: dict[str, Any] = {
    "y": RNG.normal(size=7)[G] + (F == "c") + RNG.normal(size=len(F)),
    "count": RNG.poisson(2.0, len(F)),
    "f": F,
    "k": K,
    "g": G,
}
# the columns of f*k but f[b]:k[y], which is 0 in every row
BY_HAND = {
    "fb": F == "b",
    "fc": F == "c",
    "ky": K == "y",
    "kz": K == "z",
    "fcky": (F == "c") & (K == "y"),
    "fbkz": (F == "b") & (K == "z"),
    "fckz": (F == "c") & (K == "z"),
}
HAND = {**DATA, **{name: column.astype(float) for name, column in BY_HAND.items()}}
NAMES = ["Intercept", "f[b]", "f[c]", "k[y]", "k[z]", "f[c]:k[y]", "f[b]:k[z]", "f[c]:k[z]"]


@pytest.mark.parametrize("roles", [{}, {"family": "poisson"}])
def test_an_empty_cell_is_a_column_less(roles: dict[str, Any], tmp_path: Path) -> None:
    response = "count" if roles else "y"
    priors = {"coefficients": "Normal(0, 2)", "sd": "HalfNormal(1)"}
    with pytest.warns(AliasedColumnsWarning, match=r"population part are left out: no row has f\[b\]:k\[y\]") as warned:
        fit = pp.fit(f"{response} ~ f*k + (1 | g)", DATA, priors=priors, method="importance", **roles)
    assert len(warned) == 1
    other = pp.fit(f"{response} ~ {' + '.join(BY_HAND)} + (1 | g)", HAND, priors=priors, method="importance", **roles)
    expected = other.summary().rename(index=dict(zip(["Intercept", *BY_HAND], NAMES, strict=True)))
    pd.testing.assert_frame_equal(pd.DataFrame(fit.summary()), pd.DataFrame(expected), rtol=1e-6)
    assert fit.log_marginal_likelihood == pytest.approx(other.log_marginal_likelihood, abs=1e-8)
    restored = pp.load(fit.save(tmp_path / "fit.nc"))  # says nothing again
    there = {"f": ["b", "c"], "k": ["x", "y"], "g": [1, 2]}
    pd.testing.assert_frame_equal(restored.predict(there), fit.predict(there))
    for posterior in (fit, restored):
        with pytest.raises(DataError, match="row 1 has f 'b' and k 'y', a combination that no row of the fit had"):
            posterior.predict({"f": ["b"], "k": ["y"], "g": [1]})


def test_an_empty_cell_of_what_varies_by_group() -> None:
    priors = {"coefficients": "Normal(0, 2)", "sd": "HalfNormal(1)", "sigma": "Fixed(1)"}
    with pytest.warns(AliasedColumnsWarning, match=r"what varies by g are left out: no row has f\[b\]:k\[y\]"):
        fit = pp.fit("y ~ f + (0 + f:k || g)", DATA, priors={**priors, "sd": "Fixed(.5)"})
    cells = {f"c{i}": ((a == F) & (b == K)).astype(float) for i, (a, b) in enumerate(np.unique(np.c_[F, K], axis=0))}
    by_hand = {**DATA, **cells}
    other = pp.fit(f"y ~ f + (0 + {' + '.join(cells)} || g)", by_hand, priors={**priors, "sd": "Fixed(.5)"})
    mine, theirs = fit.summary().loc[["Intercept", "f[b]", "f[c]"]], other.summary().loc[["Intercept", "f[b]", "f[c]"]]
    np.testing.assert_allclose(mine, theirs, rtol=1e-9)


def test_a_covariate_in_two_units_is_one() -> None:
    metres = {**DATA, "x": RNG.normal(size=len(F))}
    with pytest.warns(AliasedColumnsWarning, match="population part are left out: feet is a combination of x. Fitted"):
        fit = pp.fit("y ~ x + feet + (1 | g)", {**metres, "feet": 3.28 * metres["x"]})
    pd.testing.assert_frame_equal(fit.summary(), pp.fit("y ~ x + (1 | g)", metres).summary(), rtol=1e-9)
