"""Draws in ArviZ's form: groups, names, agreement with the tables, densities against scipy, ArviZ itself."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import pytest

import partialpool as pp
from partialpool.errors import DataError, PartialpoolWarning
from partialpool.results.arviz import arviz_export

SCHOOLS = {
    "school": list("ABCDEFGH"),
    "effect": [28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0],
    "se": [15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0],
}

needs_arviz = pytest.mark.skipif(
    importlib.util.find_spec("arviz_stats") is None,
    reason="arviz-stats is not installed: pip install 'partialpool[arviz]'",
)


def make_rows(seed: int = 3, n_groups: int = 12, n_each: int = 8) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups) + 101, n_each)
    x = rng.normal(5.0, 2.0, size=len(g))
    a, b = rng.normal(0.0, 1.5, n_groups), rng.normal(0.0, 0.5, n_groups)
    y = 2.0 + a[g - 101] + (0.7 + b[g - 101]) * (x - 5.0) + rng.normal(size=len(g))
    kind = np.array(["low", "high"])[rng.integers(0, 2, len(g))]
    return {"y": y, "x": x, "g": g, "kind": kind, "w": rng.uniform(0.5, 2.0, len(g)), "k": rng.integers(1, 4, len(g))}


@pytest.fixture(scope="module")
def schools() -> pp.Posterior:
    return pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", seed=4)


@pytest.fixture(scope="module")
def slopes() -> pp.Posterior:
    return pp.fit("y ~ x + kind + (1 + x | g)", make_rows(), offset="w")


def test_groups_names_and_coordinates(schools: pp.Posterior) -> None:
    tree = schools.to_arviz()
    assert set(tree.children) == {
        "posterior", "posterior_predictive", "log_likelihood", "log_prior", "prior", "prior_predictive",
        "observed_data", "constant_data",
    }  # fmt: skip
    posterior = tree["posterior"]
    assert set(posterior.data_vars) == {"Intercept", "sd(school)", "u", "theta"}
    assert posterior["theta"].dims == ("chain", "draw", "school")
    assert posterior["Intercept"].shape == (4, 1000)
    assert posterior["school"].values.tolist() == SCHOOLS["school"]
    assert tree["log_likelihood"]["effect"].dims == ("chain", "draw", "row")
    assert tree["observed_data"]["effect"].values.tolist() == SCHOOLS["effect"]
    np.testing.assert_allclose(tree["constant_data"]["standard_error"], SCHOOLS["se"], rtol=1e-15)
    assert tree["constant_data"]["school_index"].values.tolist() == list(range(8))
    attributes = posterior.attrs
    for role in ("inference", "creation"):
        assert attributes[f"{role}_library"] == "partialpool"
        assert attributes[f"{role}_library_version"] == pp.__version__
    assert attributes["creation_library_language"] == "Python"
    assert attributes["formula"] == schools.formula
    assert attributes["engine"] == str(schools.engine)


def test_several_effects_have_a_coefficient_dimension(slopes: pp.Posterior) -> None:
    tree = slopes.to_arviz(400)
    posterior = tree["posterior"]
    assert posterior["u"].dims == ("chain", "draw", "g", "coefficient")
    assert posterior["coefficient"].values.tolist() == ["Intercept", "x"]
    assert posterior["g"].dtype.kind == "i"
    assert posterior["g"].values[0] == 101
    assert {"sd(g, Intercept)", "sd(g, x)", "cor(g, Intercept, x)", "sigma", "kind[low]"} <= set(posterior.data_vars)
    assert tree["constant_data"]["kind"].values.tolist() == make_rows()["kind"].tolist()
    np.testing.assert_array_equal(tree["constant_data"]["x"], make_rows()["x"])
    np.testing.assert_array_equal(tree["constant_data"]["offset"], make_rows()["w"])


@pytest.mark.parametrize("fitted", ["schools", "slopes"])
def test_draws_are_those_of_draws(fitted: str, request: pytest.FixtureRequest) -> None:
    fit = request.getfixturevalue(fitted)
    posterior, draws = fit.to_arviz(80, seed=11)["posterior"], fit.draws(80, seed=11)
    for name, variable in posterior.data_vars.items():
        if name in ("u", "theta"):
            group = fit.fitted.model.groups[0]
            for j, label in enumerate(group.labels):
                for k, coefficient in enumerate(group.names):
                    single = group.names == ("Intercept",)
                    key = f"{name}[{group.name}={label}]" if single else f"{name}[{group.name}={label}, {coefficient}]"
                    values = variable.values[:, :, j] if single else variable.values[:, :, j, k]
                    np.testing.assert_array_equal(values.ravel(), draws[key])
        else:
            np.testing.assert_array_equal(variable.values.ravel(), draws[name])


def test_draws_are_whole_chains(schools: pp.Posterior) -> None:
    assert schools.to_arviz(4)["posterior"].sizes["draw"] == 1
    assert schools.to_arviz(43)["posterior"].sizes["draw"] == 10
    for n in (3, 0, -4, 10.0, True):
        with pytest.raises(DataError, match="at least 4"):
            schools.to_arviz(n)


def test_same_seed_same_replicates(schools: pp.Posterior) -> None:
    one, two = (schools.to_arviz(40, seed=8)["posterior_predictive"]["effect"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, schools.to_arviz(40, seed=9)["posterior_predictive"]["effect"])


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"method": "empirical_bayes"},
        {"method": "empirical_bayes", "estimator": "moments", "spread": 3.0},
        {"method": "grid"},
        {"pooling": "none"},
        {"pooling": "complete"},
    ],
)
def test_moments_agree_with_the_tables(arguments: dict[str, Any]) -> None:
    arguments = dict(arguments)
    spread = arguments.pop("spread", 1.0)
    data = SCHOOLS | {"effect": [spread * value for value in SCHOOLS["effect"]]}
    fit = pp.fit("effect ~ 1 + (1 | school)", data, standard_error="se", **arguments)
    check_moments(fit)


def test_moments_agree_with_slopes(slopes: pp.Posterior) -> None:
    check_moments(slopes)


def check_moments(fit: pp.Posterior) -> None:
    """Every draw's mean within 4.5 Monte Carlo errors of the table's, every sd within 12 %."""
    n = 4000
    posterior, table = fit.to_arviz(n, seed=5)["posterior"], fit.summary(effects=True)
    group, seen = next(iter(fit.fitted.model.groups), None), 0
    for name, variable in posterior.data_vars.items():
        columns = variable.values.reshape(n, -1)
        if name in ("u", "theta"):
            assert group is not None
            single = group.names == ("Intercept",)
            keys = [
                f"{name}[{group.name}={label}]" if single else f"{name}[{group.name}={label}, {coefficient}]"
                for label in group.labels
                for coefficient in group.names
            ]
        else:
            keys = [name]
        for key, values in zip(keys, columns.T, strict=True):
            mean, sd = table.loc[key, ["mean", "sd"]]
            seen += 1
            if np.isnan(sd) or sd == 0.0:  # an estimate, or an effect whose sd is estimated to be zero
                np.testing.assert_allclose(values, mean, rtol=1e-12, atol=1e-12)
                continue
            assert abs(values.mean() - mean) < 4.5 * sd / np.sqrt(n), key
            assert abs(values.std() / sd - 1.0) < 0.12, key
    assert seen == len(table)


def test_no_pooling_has_theta_alone() -> None:
    fit = pp.fit(
        "effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", pooling="none", priors={"Intercept": "Flat"}
    )
    posterior = fit.to_arviz()["posterior"]
    assert set(posterior.data_vars) == {"theta"}
    centre = np.array(SCHOOLS["effect"])
    error = np.array(SCHOOLS["se"]) / np.sqrt(4000)
    assert np.all(np.abs(posterior["theta"].mean(("chain", "draw")) - centre) < 4.5 * error)


def test_complete_pooling_has_no_groups() -> None:
    fit = pp.fit("y ~ x + (1 | g)", make_rows(), pooling="complete")
    tree = fit.to_arviz(40)
    assert set(tree["posterior"].data_vars) == {"Intercept", "x", "sigma"}
    assert "g_index" in tree["constant_data"]
    assert set(tree["posterior"].dims) == {"chain", "draw"}


# --- several factors ---


def make_places() -> dict[str, Any]:
    rng = np.random.default_rng(8)
    data = make_rows()
    town, part = rng.integers(0, 5, len(data["g"])), rng.integers(0, 3, len(data["g"]))
    data["y"] = data["y"] + rng.normal(size=5)[town] + rng.normal(size=(5, 3))[town, part]
    return data | {"town": np.array(list("pqrst"))[town], "part": part}


def test_every_factor_has_variables_and_dimensions_of_its_own() -> None:
    fit = pp.fit("y ~ x + (x | g) + (1 | town/part)", make_places())
    posterior, draws = fit.to_arviz(80, seed=3)["posterior"], fit.draws(80, seed=3)
    assert posterior["u[g]"].dims == ("chain", "draw", "g", "g_coefficient")
    assert posterior["theta[town]"].dims == ("chain", "draw", "town")
    assert posterior["u[town:part]"].dims == ("chain", "draw", "town:part")
    assert posterior["town:part"].values.tolist() == list(fit.fitted.model.groups[2].labels)
    assert posterior["g_coefficient"].values.tolist() == ["Intercept", "x"]
    assert not {"u", "theta"} & set(posterior.data_vars)
    np.testing.assert_array_equal(posterior["u[g]"].sel(g=103, g_coefficient="x").values.ravel(), draws["u[g=103, x]"])
    np.testing.assert_array_equal(posterior["theta[town]"].sel(town="q").values.ravel(), draws["theta[town=q]"])
    own = posterior["u[town:part]"].sel({"town:part": "q:1"})
    np.testing.assert_array_equal(own.values.ravel(), draws["u[town:part=q:1]"])


def test_densities_add_every_factors_effects() -> None:
    from scipy import stats

    data = make_places()
    tree = pp.fit("y ~ x + (x | g) + (1 | town/part)", data).to_arviz(80)
    posterior, constant = tree["posterior"], tree["constant_data"]
    expected = sum(
        posterior[name].values.reshape(-1, 1) * column for name, column in (("Intercept", 1), ("x", data["x"]))
    )
    for name, columns in (("g", (1.0, data["x"])), ("town", (1.0,)), ("town:part", (1.0,))):
        u = posterior[f"u[{name}]"].values.reshape(80, posterior.sizes[name], len(columns))
        for k, column in enumerate(columns):
            expected = expected + u[:, constant[f"{name}_index"].values, k] * column
    sigma = posterior["sigma"].values.reshape(-1, 1)
    by_hand = stats.norm.logpdf(data["y"], expected, sigma)
    np.testing.assert_allclose(flat(tree, "log_likelihood"), by_hand, rtol=1e-9, atol=1e-9)
    standard = (flat(tree, "posterior_predictive") - expected) / sigma
    assert abs(standard.std() - 1.0) < 4.5 / np.sqrt(2.0 * standard.size)


@needs_arviz
def test_arviz_summarises_each_factor() -> None:
    import arviz_stats

    fit = pp.fit("y ~ x + (1 | g) + (1 | town)", make_places())
    table = arviz_stats.summary(fit.to_arviz(400), var_names=["theta[town]", "sd(town)"], round_to="none")
    assert len(table) == 6


# --- densities and replicates ---


def expected_values(tree: Any, data: dict[str, Any]) -> np.ndarray:
    """Linear predictors (draw, row) by hand from the exported variables: y ~ x + (1 | g)."""
    posterior = tree["posterior"]
    u = posterior["u"].values.reshape(-1, posterior.sizes["g"])
    index = tree["constant_data"]["g_index"].values
    intercept, slope = (posterior[name].values.reshape(-1, 1) for name in ("Intercept", "x"))
    return np.asarray(intercept + slope * np.asarray(data["x"]) + u[:, index])


def flat(tree: Any, group: str, name: str = "y") -> np.ndarray:
    values = tree[group][name].values
    return np.asarray(values.reshape(-1, values.shape[-1]))


@pytest.mark.parametrize("roles", [{}, {"weights": "w"}, {"counts": "k"}, {"weights": "w", "counts": "k"}])
def test_log_likelihood_of_raw_rows(roles: dict[str, str]) -> None:
    from scipy import stats

    data = make_rows()
    tree = pp.fit("y ~ x + (1 | g)", data, **roles).to_arviz(200)
    expected = expected_values(tree, data)
    sigma = tree["posterior"]["sigma"].values.reshape(-1, 1)
    sd = sigma / np.sqrt(data["w"] if "weights" in roles else 1.0)
    by_hand = stats.norm.logpdf(data["y"], expected, sd) * (data["k"] if "counts" in roles else 1.0)
    np.testing.assert_allclose(flat(tree, "log_likelihood"), by_hand, rtol=1e-10, atol=1e-10)
    standard = (flat(tree, "posterior_predictive") - expected) / sd
    assert abs(standard.mean()) < 4.5 / np.sqrt(standard.size)
    assert abs(standard.std() - 1.0) < 4.5 / np.sqrt(2.0 * standard.size)


def test_log_likelihood_of_estimates() -> None:
    from scipy import stats

    fit = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se")
    tree = fit.to_arviz(200)
    theta = flat(tree, "posterior", "theta")
    by_hand = stats.norm.logpdf(SCHOOLS["effect"], theta, SCHOOLS["se"])
    np.testing.assert_allclose(flat(tree, "log_likelihood", "effect"), by_hand, rtol=1e-12)
    standard = (flat(tree, "posterior_predictive", "effect") - theta) / SCHOOLS["se"]
    assert abs(standard.std() - 1.0) < 4.5 / np.sqrt(2.0 * standard.size)


def test_summaries_stand_for_their_raw_rows() -> None:
    """The log density of a mean with size and sd is the sum over the raw rows; a replicate is a mean."""
    from scipy import stats

    rng = np.random.default_rng(0)
    raw = [rng.normal(loc, 2.0, size=size) for loc, size in [(1, 5), (3, 9), (2, 4), (6, 1), (4, 12)]]
    data = {
        "y": [values.mean() for values in raw],
        "n": [len(values) for values in raw],
        "s": [values.std(ddof=1) if len(values) > 1 else np.nan for values in raw],
        "g": list("abcde"),
    }
    tree = pp.fit("y ~ 1 + (1 | g)", data, size="n", sd="s").to_arviz(400)
    theta, sigma = flat(tree, "posterior", "theta"), tree["posterior"]["sigma"].values.reshape(-1, 1)
    for row, values in enumerate(raw):
        by_hand = stats.norm.logpdf(values, theta[:, [row]], sigma).sum(axis=1)
        np.testing.assert_allclose(flat(tree, "log_likelihood")[:, row], by_hand, rtol=1e-10)
    constant = tree["constant_data"]
    np.testing.assert_array_equal(constant["size"], data["n"])
    np.testing.assert_allclose(constant["sd"], data["s"], rtol=1e-12)
    standard = (flat(tree, "posterior_predictive") - theta) / (sigma / np.sqrt(data["n"]))
    assert abs(standard.std() - 1.0) < 4.5 / np.sqrt(2.0 * standard.size)


def test_rows_in_blocks_give_the_same_densities(monkeypatch: pytest.MonkeyPatch, slopes: pp.Posterior) -> None:
    from partialpool.results import row_predictions

    whole = slopes.to_arviz(40)
    monkeypatch.setattr(row_predictions, "_BLOCK", 40 * 7)
    parts = slopes.to_arviz(40)
    np.testing.assert_allclose(flat(parts, "log_likelihood"), flat(whole, "log_likelihood"), rtol=1e-12)


def test_replicates_spread_as_predictions(slopes: pp.Posterior) -> None:
    data = make_rows()
    table = slopes.predict({name: values[:5] for name, values in data.items()})
    table = table[table["quantity"] == "new observation"]
    drawn = flat(slopes.to_arviz(8000), "posterior_predictive")[:, :5]
    assert np.all(np.abs(drawn.mean(axis=0) - table["mean"]) < 4.5 * table["sd"] / np.sqrt(8000))
    np.testing.assert_allclose(drawn.std(axis=0), table["sd"], rtol=0.05)


@pytest.mark.parametrize("formula", ["y ~ 1 + (1 | g)", "y ~ x + (1 + x | g)"])
def test_groups_on_their_own(formula: str) -> None:
    """Every group has a theta and a sigma of its own; log densities by hand."""
    from scipy import stats

    data = make_rows()
    fit = pp.fit(formula, data, pooling="none", sigma="by group", weights="w")
    tree = fit.to_arviz(400, seed=6)
    posterior, draws = tree["posterior"], fit.draws(400, seed=6)
    assert set(posterior.data_vars) == {"theta", "sigma"}
    assert posterior["sigma"].dims == ("chain", "draw", "g")
    np.testing.assert_array_equal(posterior["sigma"].sel(g=103).values.ravel(), draws["sigma[g=103]"])
    index = tree["constant_data"]["g_index"].values
    theta, sigma = posterior["theta"].values, posterior["sigma"].values.reshape(400, -1)
    if "x" in formula:
        theta = theta.reshape(400, -1, 2)
        expected = theta[:, index, 0] + theta[:, index, 1] * data["x"]
    else:
        expected = theta.reshape(400, -1)[:, index]
    sd = sigma[:, index] / np.sqrt(data["w"])
    by_hand = stats.norm.logpdf(data["y"], expected, sd)
    np.testing.assert_allclose(flat(tree, "log_likelihood"), by_hand, rtol=1e-9, atol=1e-9)
    standard = (flat(tree, "posterior_predictive") - expected) / sd
    assert abs(standard.std() - 1.0) < 4.5 / np.sqrt(2.0 * standard.size)


# --- sizes, rows, names ---


def test_many_row_draws_leave_rows_out(monkeypatch: pytest.MonkeyPatch, schools: pp.Posterior) -> None:
    monkeypatch.setattr(arviz_export, "_MOST_ROW_DRAWS", 1000)
    with pytest.warns(PartialpoolWarning, match=r"fewer draws, to_arviz\(n\) with n up to 125") as caught:
        tree = schools.to_arviz(400)
    assert caught[0].filename == __file__
    assert set(tree.children) == {"posterior", "log_prior", "prior", "observed_data", "constant_data"}
    assert "log_likelihood" in schools.to_arviz(124).children


def test_too_many_effects_are_refused_with_a_number_that_works(
    monkeypatch: pytest.MonkeyPatch, schools: pp.Posterior
) -> None:
    monkeypatch.setattr(arviz_export, "_MOST_EFFECT_DRAWS", 16 * 100)
    with pytest.raises(DataError, match="at most 100 draws"):
        schools.to_arviz(104)
    schools.to_arviz(100)


def test_rows_keep_their_numbers() -> None:
    data = make_rows()
    data["x"] = data["x"].copy()
    data["x"][3] = np.nan
    with pytest.warns(pp.errors.MissingRowsWarning):
        fit = pp.fit("y ~ x + (1 | g)", data)
    rows = fit.to_arviz(8)["log_likelihood"]["row"].values
    assert rows.tolist() == [row for row in range(len(data["y"])) if row != 3]


def test_awkward_names_stay_apart() -> None:
    data = make_rows()
    awkward = {
        "draw": data["x"],
        "u": data["w"],
        "row": data["g"],
        "a/b": data["x"] ** 2,
        "log y": data["y"],
    }
    tree = pp.fit("`log y` ~ draw + u + `a/b` + (1 | row)", awkward).to_arviz(8)
    posterior = tree["posterior"]
    real = {variable.attrs.get("parameter", name): name for name, variable in posterior.data_vars.items()}
    assert {"draw", "u", "a/b", "sd(row)", "theta", "Intercept", "sigma"} <= set(real)
    assert real["draw"] == "draw_"
    assert real["a/b"] == "a∕b"
    assert posterior["theta"].dims == ("chain", "draw", "row")
    assert "log y" in tree["observed_data"]
    assert "a∕b" in tree["constant_data"]


def test_factor_that_is_also_a_coefficient() -> None:
    data = make_rows()
    tree = pp.fit("y ~ g + (1 | g)", data).to_arviz(8)
    posterior = tree["posterior"]
    assert posterior["g"].dims == ("chain", "draw")
    assert posterior["theta"].dims == ("chain", "draw", "g_level")
    assert posterior["g_level"].attrs["factor"] == "g"


# --- ArviZ ---


@needs_arviz
@pytest.mark.parametrize("fitted", ["schools", "slopes"])
def test_arviz_summary(fitted: str, request: pytest.FixtureRequest) -> None:
    import arviz_stats

    fit = request.getfixturevalue(fitted)
    tree = fit.to_arviz()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ's own, by version
        table = arviz_stats.summary(tree, round_to="none")
    ours = fit.summary()
    for name in ours.index:
        error = ours.loc[name, "sd"] / np.sqrt(4000)
        assert abs(float(table.loc[name, "mean"]) - ours.loc[name, "mean"]) < 4.5 * error
    assert np.all(table["r_hat"].astype(float) < 1.005)
    assert np.all(table["ess_bulk"].astype(float) > 3000)


@needs_arviz
def test_arviz_loo_and_compare(schools: pp.Posterior) -> None:
    """LOO with known standard errors against the exact leave-one-out predictive density."""
    import arviz_stats
    from scipy import stats

    exact = 0.0
    for row in range(8):
        rest = {name: [*values[:row], *values[row + 1 :]] for name, values in SCHOOLS.items()}
        fit = pp.fit("effect ~ 1 + (1 | school)", rest, standard_error="se", priors=dict(schools.priors))
        draws = fit.draws(20000, seed=1)
        sd = np.sqrt(draws["sd(school)"] ** 2 + SCHOOLS["se"][row] ** 2)
        exact += np.log(np.mean(stats.norm.pdf(SCHOOLS["effect"][row], draws["Intercept"], sd)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loo = arviz_stats.loo(schools.to_arviz())
    assert abs(loo.elpd - exact) < 0.2


@needs_arviz
@pytest.mark.skipif(
    importlib.util.find_spec("arviz_plots") is None,
    reason="arviz-plots is not installed: pip install 'partialpool[arviz]'",
)
@pytest.mark.parametrize("fitted", ["schools", "slopes"])
def test_arviz_plots(fitted: str, request: pytest.FixtureRequest) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import arviz_plots
    from matplotlib import pyplot

    tree = request.getfixturevalue(fitted).to_arviz(400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arviz_plots.plot_forest(tree, backend="matplotlib")
        arviz_plots.plot_trace(tree, var_names=["Intercept"], backend="matplotlib")
        arviz_plots.plot_ppc_dist(tree, backend="matplotlib", num_samples=20)
    assert pyplot.get_fignums()
    pyplot.close("all")
