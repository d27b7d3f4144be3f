"""Several grouping factors at the edge: refused with cause and remedy before any computing, or fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import FormulaError, IdentificationError, PriorError

RNG = np.random.default_rng(12)
N = 240
BATCH = np.repeat(np.arange(8), 30)
CASK = np.tile(np.repeat(np.arange(5), 6), 8)
DAY = RNG.integers(0, 6, N)
EFFECTS = RNG.normal(size=8)[BATCH] + RNG.normal(size=(8, 5))[BATCH, CASK] + 0.7 * RNG.normal(size=6)[DAY]
DATA: dict[str, Any] = {
    "y": EFFECTS + RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "batch": np.array(list("ABCDEFGH"))[BATCH],
    "number": BATCH + 10,
    "cask": np.array(list("abcde"))[CASK],
    "alone": np.array(list("tsrqponm"))[BATCH],
    "day": DAY,
    "row": RNG.permutation(N),
    "site": np.ones(N),
}


@pytest.fixture
def no_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where the rows are reduced or a posterior is integrated."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed before it was refused")

    monkeypatch.setattr("partialpool.inference.choose.build_statistics", never)


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize("priors", [None, {"coefficients": "Normal(0, 1)", "sd": "HalfNormal(1)"}])
@pytest.mark.parametrize(
    ("formula", "said"),
    [
        (
            "y ~ 1 + (1 | batch) + (1 | number)",
            "grouping factors 'batch' and 'number' divide the rows alike: sd(batch) and sd(number) cannot be told "
            "apart; drop one of them",
        ),
        (
            "y ~ 1 + (1 | batch/alone) + (1 | day)",
            "'batch:alone' divide the rows alike (alone has one level in each batch)",
        ),
        (
            "y ~ x + (1 | day) + (1 | batch) + (0 + x | number) + (1 | number)",
            "sd(batch) and sd(number, Intercept) cannot",
        ),
        (
            "y ~ batch + (1 | batch/cask)",
            "Intercept, batch[B], batch[C], batch[D], batch[E], batch[F] and 2 more already",
        ),
        ("y ~ C(day) + (1 | batch) + (1 | day)", "every level of 'day' an intercept of its own: nothing is left"),
        ("y ~ x*batch + (1 | day) + (0 + x | number)", "every level of 'number' a coefficient of x of its own"),
        ("y ~ 1 + (1 | batch/row)", "grouping column 'batch:row' is different in every row: sigma and sd(batch:row)"),
        ("y ~ 1 + (1 | day) + (x | row)", "different in every row: sigma and sd(row, Intercept) cannot be told apart"),
        ("y ~ 1 + (0 + cask | batch) + (1 | batch:cask)", "give every level of 'batch:cask' a deviation of its own"),
    ],
)
def test_what_no_data_could_tell_apart(formula: str, said: str, priors: dict[str, str] | None) -> None:
    for pooling in ("partial", "complete"):
        with pytest.raises(IdentificationError) as caught:
            pp.fit(formula, DATA, priors=priors, pooling=pooling)  # type: ignore[arg-type]
        assert said in str(caught.value)
        assert "; d" in str(caught.value) or "; give" in str(caught.value)
    obstacle = pp.describe(formula, DATA).notes[-1]
    assert obstacle.startswith("not fitted as it stands")
    assert said in obstacle


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize("arguments", [{}, {"sigma": "by group"}])
def test_no_pooling_is_for_one_factor(arguments: dict[str, Any]) -> None:
    with pytest.raises(
        FormulaError, match="those of batch, batch:cask and day cannot be told apart without populations"
    ):
        pp.fit("y ~ 1 + (1 | batch/cask) + (1 | day)", DATA, pooling="none", **arguments)


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize("term", ["(1 | day) + (x | day)", "(x | batch/cask) + (0 + x | batch)"])
def test_a_coefficient_twice_over_one_factor(term: str) -> None:
    with pytest.raises(FormulaError, match="twice"):
        pp.fit(f"y ~ 1 + {term}", DATA)


@pytest.mark.parametrize("method", ["auto", "empirical_bayes"])
def test_an_exactly_additive_response_has_no_sigma(method: Any) -> None:
    data = {**DATA, "y": np.arange(8.0)[BATCH] - 3.0 * DAY**2}
    with pytest.raises(IdentificationError, match="the effects of batch and day fit the response exactly in every row"):
        pp.fit("y ~ 1 + (1 | batch) + (1 | day)", data, method=method)
    fit = pp.fit("y ~ 1 + (1 | batch) + (1 | day)", data, standard_error=np.full(N, 0.5))
    assert fit.engine.status == "converged"


@pytest.mark.usefixtures("no_computing")
def test_flat_sds_that_grow_together() -> None:
    """Each alone has levels enough: three and four to spare."""
    data = {"y": RNG.normal(size=12), "a": [0, 0, 1, 2, 3, 3] * 2, "b": [0, 1, 0, 0, 0, 0] * 2}
    priors = {"coefficients": "Flat", "sd": "VariancePower(0)"}
    with pytest.raises(PriorError, match=r"sd\(a\) and sd\(a:b\): under VariancePower\(0\) the posterior is improper"):
        pp.fit("y ~ 1 + (1 | a/b)", data, priors=priors)
    with pytest.raises(PriorError, match=r"sd\(b\): under Flat\(\) with 2 groups the posterior is improper"):
        pp.fit("y ~ 1 + (1 | a) + (1 | b)", data, priors={"sd": "Flat"})


def _check_sound(fit: Any) -> None:
    table = fit.summary(effects=True)
    assert fit.engine.status == "converged"
    assert np.isfinite(table.to_numpy(dtype=float)).all()
    assert (table["sd"] > 0.0).all()
    assert not table.index.duplicated().any()


def test_levels_that_never_meet() -> None:
    """Two halves of a crossed design with no level in common, and levels that meet one other each."""
    half = N // 2
    data = {
        **DATA,
        "left": np.where(np.arange(N) < half, DAY, DAY + 6),
        "right": np.arange(N) % 4 + 4 * (np.arange(N) >= half),
    }
    _check_sound(pp.fit("y ~ 1 + (1 | left) + (1 | right)", data, accuracy=0.1))
    chain = {"y": DATA["y"][:60], "a": np.arange(60) // 2, "b": (np.arange(60) + 1) // 2}
    _check_sound(pp.fit("y ~ 1 + (1 | a) + (1 | b)", chain, accuracy=0.1))


def test_nearly_all_rows_in_one_level() -> None:
    most = RNG.random(N) < 0.9
    data = {**DATA, "a": np.where(most, 0, np.arange(N) % 7), "b": np.where(RNG.random(N) < 0.9, 3, np.arange(N) % 5)}
    _check_sound(pp.fit("y ~ x + (1 | a) + (1 | b)", data, accuracy=0.1))
    _check_sound(pp.fit("y ~ x + (x | a) + (1 | a:b)", data, accuracy=0.1))


def test_estimates_within_studies() -> None:
    """A level for each estimate is a random-effects meta-analysis, also where most studies have one estimate."""
    study = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 7])
    data = {
        "y": RNG.normal(size=12) + study % 3,
        "se": RNG.uniform(0.2, 0.6, 12),
        "study": study,
        "estimate": np.arange(12),
    }
    _check_sound(pp.fit("y ~ 1 + (1 | study/estimate)", data, standard_error="se"))
    alone = {name: values[5:11] for name, values in data.items()}
    with pytest.raises(IdentificationError, match=r"divide the rows alike \(estimate has one level in each study\)"):
        pp.fit("y ~ 1 + (1 | study/estimate)", alone, standard_error="se")


def test_means_of_raw_rows_within_groups() -> None:
    """With sizes and sds sigma is known from within, so that a level may have one mean."""
    data = {
        "mean": RNG.normal(size=20) + np.arange(20) % 5,
        "n": RNG.integers(3, 9, 20),
        "s": RNG.uniform(0.8, 1.2, 20),
        "a": np.arange(20) % 5,
        "b": np.arange(20),
    }
    _check_sound(pp.fit("mean ~ 1 + (1 | a/b)", data, size="n", sd="s"))


def test_labels_with_colons() -> None:
    """('x:y', 'z') and ('x', 'y:z') are two levels, with a name each."""
    town, part = (
        np.array(["x:y", "x", "p", "q"])[np.arange(N) % 4],
        np.array(["z", "y:z", "z", "y:z"])[np.arange(N) % 4],
    )
    data = {**DATA, "town": town, "part": np.where(np.arange(N) % 3 == 0, "m", part)}
    fit = pp.fit("y ~ 1 + (1 | town/part)", data)
    assert fit.fitted.model.groups[1].labels == ("p:m", "p:z", "q:m", 'q:"y:z"', "x:m", 'x:"y:z"', '"x:y":m', '"x:y":z')
    _check_sound(fit)
    names = fit.summary(effects=True).index
    assert {'u[town:part=x:"y:z"]', 'u[town:part="x:y":z]'} <= set(names)


def test_one_factor_in_several_terms_beside_another() -> None:
    fit = pp.fit("y ~ x + (1 | batch) + (0 + x | batch) + (1 | day)", DATA)
    assert fit.fitted.model.space.names == ("sd(batch, Intercept)", "sd(batch, x)", "sd(day)", "sigma")
    _check_sound(fit)


def _simulate(correlation: float, sd_of_day: float) -> dict[str, Any]:
    """400 rows of 20 levels of a, whose slopes are a multiple of the intercepts, crossed with 15 of b."""
    rng = np.random.default_rng(3)
    a, b, x = np.arange(400) % 20, rng.integers(0, 15, 400), rng.normal(size=400)
    own, days = rng.normal(size=20), rng.normal(size=15)
    y = own[a] * (1.0 + correlation * x) + sd_of_day * days[b] + 0.3 * rng.normal(size=400)
    return {"y": y, "x": x, "a": a, "b": b}


def test_a_factor_that_does_not_vary() -> None:
    fit = pp.fit("y ~ x + (1 | a) + (1 | b)", _simulate(0.0, 0.0))
    _check_sound(fit)
    table = fit.summary(effects=True)
    assert table.loc["sd(b)", "q50"] < 0.2 * table.loc["sigma", "q50"]
    assert table.filter(like="u[b=", axis=0)["mean"].abs().max() < 0.1


def test_an_estimate_of_zero() -> None:
    """Levels of b whose means are all alike, closer than noise alone would have them."""
    rng = np.random.default_rng(4)
    a, b, noise = np.arange(400) % 20, np.arange(400) // 20 % 10, rng.normal(size=400)
    noise -= (np.bincount(b, weights=noise) / 40)[b]
    data = {"y": rng.normal(size=20)[a] + noise, "a": a, "b": b}
    estimate = pp.fit("y ~ 1 + (1 | a) + (1 | b)", data, method="empirical_bayes").summary(effects=True)
    assert estimate.loc["sd(b)", "mean"] == 0.0
    assert (estimate.filter(like="u[b=", axis=0)["mean"] == 0.0).all()
    _check_sound(pp.fit("y ~ 1 + (1 | a) + (1 | b)", data))


@pytest.mark.parametrize("sd_of_day", [0.0, 1.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_perfectly_correlated_slopes(sign: float, sd_of_day: float) -> None:
    fit = pp.fit("y ~ x + (x | a) + (1 | b)", _simulate(sign, sd_of_day))
    _check_sound(fit)
    correlation = fit.summary().loc["cor(a, Intercept, x)"]
    assert sign * correlation["mean"] > 0.98
    assert max(abs(correlation["q5"]), abs(correlation["q95"])) <= 1.0


def test_complete_pooling_ignores_all_factors() -> None:
    fit = pp.fit("y ~ x + (1 | batch/cask) + (1 | day)", DATA, pooling="complete")
    _check_sound(fit)
    alone = pp.fit("y ~ x", DATA)
    np.testing.assert_allclose(fit.summary().to_numpy(), alone.summary().to_numpy())
