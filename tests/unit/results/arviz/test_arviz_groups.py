"""What ArviZ reads beside the posterior: likelihoods of groups, priors, whole counts; and ArviZ itself on them."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats

import partialpool as pp
from partialpool.errors import DataError, PartialpoolWarning

needs_arviz = pytest.mark.skipif(
    importlib.util.find_spec("arviz_stats") is None or importlib.util.find_spec("arviz_plots") is None,
    reason="ArviZ is not installed: pip install 'partialpool[arviz]'",
)
SCHOOLS = pp.datasets.eight_schools()
RATS: dict[str, Any] = {"family": "binomial", "trials": "rats"}
RNG = np.random.default_rng(8)
TOWN, YEAR = RNG.integers(0, 5, 40), RNG.integers(0, 4, 40)
ROWS: dict[str, Any] = {
    "y": RNG.normal(size=5)[TOWN] + RNG.normal(size=4)[YEAR] + RNG.normal(size=40),
    "town": TOWN,
    "year": YEAR,
    "part": RNG.integers(0, 2, 40),
}


@pytest.fixture(scope="module")
def schools() -> pp.Posterior:
    return pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", seed=4)


@pytest.fixture(scope="module")
def rats() -> pp.Posterior:
    return pp.fit("tumours ~ 1 + (1 | experiment)", pp.datasets.rat_tumours(), **RATS)


def test_groups_have_a_dimension_of_their_own(schools: pp.Posterior) -> None:
    rows, groups = schools.to_arviz(40), schools.to_arviz(40, log_likelihood="group")
    variable = groups["log_likelihood"]["effect"]
    assert variable.dims == ("chain", "draw", "school")
    assert variable["school"].values.tolist() == list(SCHOOLS["school"])
    assert rows["log_likelihood"]["effect"].dims == ("chain", "draw", "row")
    sd = np.hypot(groups["posterior"]["sd(school)"].values[..., None], np.array(SCHOOLS["se"]))
    mean = groups["posterior"]["Intercept"].values[..., None]
    np.testing.assert_allclose(variable, stats.norm.logpdf(SCHOOLS["effect"], mean, sd), rtol=1e-12)
    for name in ("posterior", "posterior_predictive", "prior_predictive"):
        assert rows[name].to_dataset().equals(groups[name].to_dataset())


def test_crossed_factors_have_no_likelihood_by_group() -> None:
    fit = pp.fit("y ~ 1 + (1 | town) + (1 | year)", ROWS)
    with pytest.warns(PartialpoolWarning, match=r"left out.*year and town are crossed") as caught:
        tree = fit.to_arviz(8, log_likelihood="group")
    assert caught[0].filename == __file__
    assert "log_likelihood" not in tree.children
    assert "crossed" in tree["posterior"].attrs["left_out"]
    assert {"posterior", "posterior_predictive", "prior", "log_prior"} <= set(tree.children)


def test_a_factor_within_others_is_named() -> None:
    fit = pp.fit("y ~ 1 + (1 | town/part) + (1 | year)", ROWS)
    with pytest.warns(PartialpoolWarning, match="crossed"):
        fit.to_arviz(8, log_likelihood="group", factor="town")
    nested = pp.fit("y ~ 1 + (1 | town/part)", ROWS)
    named = nested.to_arviz(8, log_likelihood="group", factor="town:part")["log_likelihood"]["y"]
    assert named.dims[2] == "town:part"
    assert nested.to_arviz(8, log_likelihood="group")["log_likelihood"]["y"].sizes["town"] == 5


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"pooling": "complete"}, "complete pooling"),
        ({"pooling": "none"}, "without pooling"),
        ({"pooling": "none", "sigma": "by group"}, "on its own"),
    ],
)
def test_without_a_population_there_is_none(options: dict[str, Any], reason: str) -> None:
    fit = pp.fit("y ~ 1 + (1 | town)", ROWS, **options)
    with pytest.warns(PartialpoolWarning, match=reason):
        tree = fit.to_arviz(8, log_likelihood="group")
    assert "log_likelihood" not in tree.children
    assert reason in tree["posterior"].attrs["left_out"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"log_likelihood": "groups"}, "'rows' or 'group'"),
        ({"factor": "school"}, "say log_likelihood='group'"),
        ({"log_likelihood": "group", "factor": "shool"}, "not a grouping factor"),
    ],
)
def test_arguments_that_are_no_choice(schools: pp.Posterior, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        schools.to_arviz(8, **arguments)


def test_an_improper_prior_is_said_and_not_drawn_from() -> None:
    fit = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", priors={"sd(school)": "Flat()"})
    tree = fit.to_arviz(8)
    assert not {"prior", "prior_predictive"} & set(tree.children)
    assert tree["posterior"].attrs["left_out"].startswith("prior, prior_predictive: the prior of sd(school)")
    assert np.all(tree["log_prior"]["sd(school)"] == 0.0)
    estimated = pp.fit("effect ~ 1 + (1 | school)", SCHOOLS, standard_error="se", method="empirical_bayes")
    tree = estimated.to_arviz(8)
    assert not {"prior", "prior_predictive", "log_prior"} & set(tree.children)
    assert "without priors" in tree["posterior"].attrs["left_out"]


def test_prior_and_its_predictions_go_together(schools: pp.Posterior) -> None:
    tree = schools.to_arviz(4000)
    assert "left_out" not in tree["posterior"].attrs
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    noise = (tree["prior_predictive"]["effect"] - tree["prior"]["theta"].values).values / np.array(SCHOOLS["se"])
    assert stats.kstest(noise[:, :, 2].ravel(), stats.norm.cdf).pvalue > 1e-3
    prior = tree["prior"]
    standard = ((prior["theta"] - prior["Intercept"]) / prior["sd(school)"]).values[:, :, 5]
    assert stats.kstest(standard.ravel(), stats.norm.cdf).pvalue > 1e-3
    again = schools.to_arviz(40, seed=1)
    assert again["prior"].to_dataset().equals(schools.to_arviz(40, seed=1)["prior"].to_dataset())
    assert not again["prior"]["Intercept"].equals(again["posterior"]["Intercept"])


@pytest.mark.parametrize(
    "options",
    [
        {"family": "poisson"},
        {"family": "negative_binomial"},
        {"family": "binomial", "trials": "n"},
        {"family": "beta_binomial", "trials": "n"},
        {"family": "bernoulli", "response": "b"},
    ],
)
def test_counts_are_whole_numbers(options: dict[str, Any]) -> None:
    data = {"y": [1, 0, 3, 2, 5, 1], "b": [0, 1, 0, 1, 1, 0], "n": [6, 7, 8, 9, 9, 9], "g": [0, 0, 1, 1, 2, 2]}
    options = dict(options)
    response = options.pop("response", "y")
    tree = pp.fit(f"{response} ~ 1 + (1 | g)", data, accuracy=0.1, **options).to_arviz(40)
    assert tree["observed_data"][response].dtype.kind == "i"
    assert tree["observed_data"][response].values.tolist() == data[response]
    assert tree["posterior_predictive"][response].dtype.kind == "i"
    if options["family"] not in ("poisson", "negative_binomial"):  # the tails of a prior reach beyond 64 bits
        assert tree["prior_predictive"][response].dtype.kind == "i"


def test_measurements_are_not(schools: pp.Posterior) -> None:
    tree = schools.to_arviz(8)
    for group in ("observed_data", "posterior_predictive", "prior_predictive"):
        assert tree[group]["effect"].dtype.kind == "f"


def test_no_room_for_the_prior_beside_many_groups(schools: pp.Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    from partialpool.results.arviz import arviz_export

    monkeypatch.setattr(arviz_export, "_MOST_EFFECT_DRAWS", 16 * 100)
    tree = schools.to_arviz(80)
    assert not {"prior", "prior_predictive"} & set(tree.children)
    assert "at most 50 draws" in tree["posterior"].attrs["left_out"]
    assert "prior" in schools.to_arviz(48).children


def test_many_group_draws_leave_them_out(schools: pp.Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    from partialpool.results.arviz import arviz_groups

    monkeypatch.setattr(arviz_groups, "_MOST_GROUP_DRAWS", 1000)
    with pytest.warns(PartialpoolWarning, match="with n up to 125"):
        tree = schools.to_arviz(128, log_likelihood="group")
    assert "log_likelihood" not in tree.children
    assert "log_likelihood" in schools.to_arviz(124, log_likelihood="group").children


# --- ArviZ ---


@pytest.fixture
def quiet() -> Any:
    """ArviZ's own warnings, which differ by version."""
    import matplotlib

    matplotlib.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@needs_arviz
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("population", ["normal", "beta"])
def test_leaving_out_whole_groups_works_where_rows_fail(population: str) -> None:
    """Every Pareto-k is good, where those of rows are not; the estimate against the exact one, experiment by
    experiment left out, is a row's here, each experiment having one row."""
    import arviz_stats

    fit = pp.fit("tumours ~ 1 + (1 | experiment)", pp.datasets.rat_tumours(), population=population, **RATS)
    by_row = arviz_stats.loo(fit.to_arviz(), pointwise=True)
    by_group = arviz_stats.loo(fit.to_arviz(log_likelihood="group"), pointwise=True)
    assert np.sum(by_row.pareto_k > 0.7) > 15
    assert np.all(by_group.pareto_k < 0.7)
    assert by_group.n_data_points == 71


@needs_arviz
@pytest.mark.usefixtures("quiet")
def test_loo_of_schools_is_the_exact_one(schools: pp.Posterior) -> None:
    import arviz_stats

    exact = []
    for row in range(8):
        rest = {name: np.delete(np.asarray(values), row) for name, values in SCHOOLS.items()}
        fit = pp.fit("effect ~ 1 + (1 | school)", rest, standard_error="se", priors=dict(schools.fitted.model.priors))
        draws = fit.draws(20000, seed=1)
        sd = np.hypot(draws["sd(school)"], SCHOOLS["se"][row])
        exact.append(np.log(np.mean(stats.norm.pdf(SCHOOLS["effect"][row], draws["Intercept"], sd))))
    loo = arviz_stats.loo(schools.to_arviz(log_likelihood="group"), pointwise=True)
    np.testing.assert_allclose(np.ravel(loo.elpd_i), exact, atol=0.02)


@needs_arviz
@pytest.mark.usefixtures("quiet")
def test_compare_and_its_sign(rats: pp.Posterior) -> None:
    """The difference of the worse model: positive in arviz-stats 0.8, negative from 1.0 on."""
    import arviz_stats

    beta = pp.fit("tumours ~ 1 + (1 | experiment)", pp.datasets.rat_tumours(), population="beta", **RATS)
    trees = {
        "normal": rats.to_arviz(log_likelihood="group"),
        "beta": beta.to_arviz(log_likelihood="group"),
    }
    table = arviz_stats.compare(trees)
    assert table.index.tolist() == ["beta", "normal"]
    sign = 1.0 if arviz_stats.__version__.startswith("0.") else -1.0
    assert 0.8 < sign * float(table["elpd_diff"]["normal"]) < 1.8


@needs_arviz
@pytest.mark.usefixtures("quiet")
def test_prior_sensitivity(schools: pp.Posterior) -> None:
    import arviz_stats

    for choice in ("rows", "group"):
        table = arviz_stats.psense_summary(schools.to_arviz(log_likelihood=choice), var_names=["sd(school)"])
        assert np.isfinite(table[["prior", "likelihood"]].to_numpy(dtype=float)).all()
        assert float(table["prior"].iloc[0]) > 0.02


@needs_arviz
@pytest.mark.usefixtures("quiet")
def test_plots_of_prior_and_counts(rats: pp.Posterior) -> None:
    import arviz_plots
    from matplotlib import pyplot

    tree = rats.to_arviz(400)
    arviz_plots.plot_prior_posterior(tree, var_names=["sd(experiment)"], backend="matplotlib")
    arviz_plots.plot_ppc_rootogram(tree, backend="matplotlib")
    arviz_plots.plot_ppc_rootogram(tree, group="prior_predictive", backend="matplotlib")
    assert len(pyplot.get_fignums()) == 3
    pyplot.close("all")
