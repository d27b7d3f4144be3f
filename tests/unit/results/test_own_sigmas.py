"""Tables, draws, predictions and files of groups with sigmas of their own, as they are asked for."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import partialpool as pp
from partialpool.cli.verbs import main

RNG = np.random.default_rng(5)
LEVELS = "abcdefghijkl"
SIZES = np.array([1, 3, 4, 6, 8, 12, 5, 5, 5, 5, 5, 5])
CODES = np.repeat(np.arange(12), SIZES)
SIGMAS = np.array([1.0, 0.5, 1.0, 2.0, 4.0, 0.7, 3.0, 0.3, 1.0, 2.0, 0.5, 1.5])
ROWS = {
    "g": np.array(list(LEVELS))[CODES],
    "y": 5.0 + 2.0 * RNG.standard_normal(12)[CODES] + SIGMAS[CODES] * RNG.standard_normal(len(CODES)),
}
FORMULA = "y ~ 1 + (1 | g)"


@pytest.fixture(scope="module")
def fit():
    return pp.fit(FORMULA, ROWS, sigma="pooled by group")


def test_summary_has_each_groups_sigma(fit):
    names = list(fit.summary(effects=True).index)
    assert names[:4] == ["Intercept", "sd(g)", "mean(log sigma)", "sd(log sigma)"]
    assert names[-12:] == [f"sigma[g={level}]" for level in LEVELS]


def test_draws_are_those_of_the_tables(fit):
    table, draws = fit.summary(effects=True), fit.draws(20_000)
    for name, line in table.iterrows():
        assert abs(draws[name].mean() - line["mean"]) < 0.05 * line["sd"], name
        ends = np.quantile(draws[name], [0.05, 0.5, 0.95])
        np.testing.assert_allclose(ends, line[["q5", "q50", "q95"]], atol=0.08 * line["sd"], err_msg=name)


def test_draws_of_mean_and_sigma_are_joint(fit):
    # given a large sigma a mean is pulled further to the population
    draws = fit.draws(20_000)
    away = np.abs(draws["theta[g=e]"] - ROWS["y"][CODES == 4].mean())
    large = draws["sigma[g=e]"] > np.median(draws["sigma[g=e]"])
    assert away[large].mean() > 1.1 * away[~large].mean()


def test_selected_draws_are_of_the_level_asked_for(fit):
    (values,) = fit.draws(4000, parameters=["sigma[g=e]"]).values()
    assert abs(values.mean() - fit.groups().loc["e", "sigma"]) < 0.05 * values.std()


def test_groups_have_raw_estimates_of_their_own_rows(fit):
    table = fit.groups()
    for k, level in enumerate(LEVELS):
        own = ROWS["y"][k == CODES]
        assert table.loc[level, "raw"] == pytest.approx(own.mean())
        expected = np.std(own, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.nan
        np.testing.assert_allclose(table.loc[level, "raw_sd"], expected)


def test_moments_that_do_not_exist_are_no_numbers():
    heavy = pp.fit(FORMULA, ROWS, sigma="pooled by group", priors={"sd(log sigma)": "HalfCauchy(0.5)"}, accuracy=0.1)
    sigmas = heavy.summary(effects=True).loc["sigma[g=a]":"sigma[g=l]", "sd"]
    assert np.isnan(sigmas.iloc[0])  # one row bounds the mean of its sigma alone
    assert np.isfinite(sigmas.iloc[1:]).all()
    predicted = heavy.predict({"g": ["f", "new"]}).set_index("quantity")
    assert np.isnan(predicted.loc["new group, new observation", "sd"]).all()
    assert np.isfinite(predicted.loc["new observation", "sd"])


def test_predictions_have_the_groups_own_noise(fit):
    table = fit.predict({"g": ["e", "f", "new"]})
    noise = table[table["quantity"] == "new observation"]["sd"].to_numpy()
    draws = fit.draws(20_000)
    for sd, level in zip(noise, "ef", strict=True):
        own = draws[f"theta[g={level}]"] + draws[f"sigma[g={level}]"] * RNG.standard_normal(20_000)
        assert sd == pytest.approx(own.std(), rel=0.05)
    new = table[(table["quantity"] == "new group, new observation") & (table["g"] == "new")]
    log_sd = draws["mean(log sigma)"] + draws["sd(log sigma)"] * RNG.standard_normal(20_000)
    own = (
        draws["Intercept"] + draws["sd(g)"] * RNG.standard_normal(20_000) + np.exp(log_sd) * RNG.standard_normal(20_000)
    )
    ends = np.quantile(own, [0.05, 0.95])
    np.testing.assert_allclose(new[["q5", "q95"]].to_numpy()[0], ends, atol=0.2)


def test_a_stored_fit_has_the_same_tables(fit, tmp_path):
    again = pp.load(fit.save(tmp_path / "fit.nc"))
    assert again.summary(effects=True).equals(fit.summary(effects=True))
    assert again.groups().equals(fit.groups())
    assert repr(again) == repr(fit)


def test_arviz_has_sigmas_by_group(fit):
    tree = fit.to_arviz(400)
    assert tree["posterior"]["sigma"].dims == ("chain", "draw", "g")
    assert tree["prior"]["sigma"].dims == ("chain", "draw", "g")
    posterior, row = tree["posterior"].ds.isel(chain=0, draw=0), 12
    level = ROWS["g"][row]
    theta, sigma = (float(posterior[name].sel(g=level)) for name in ("theta", "sigma"))
    expected = -0.5 * ((ROWS["y"][row] - theta) / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2.0 * np.pi)
    assert float(tree["log_likelihood"]["y"][0, 0, row]) == pytest.approx(expected)
    assert fit.to_arviz(400, log_likelihood="group")["log_likelihood"]["y"].dims == ("chain", "draw", "g")


def test_pooling_shows_the_fit_without_groups(fit):
    one = pp.fit(FORMULA, ROWS, pooling="complete").summary().loc["Intercept"]
    table = fit.pooling()
    np.testing.assert_allclose(table["complete"], one["mean"])
    np.testing.assert_allclose(table["complete_sd"], one["sd"])


def test_print_says_what_sigma_is(fit):
    assert "a sigma of each g, partially pooled" in repr(fit)
    assert "mean(log sigma)" in repr(fit)


def test_command_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("g,y\n" + "".join(f"{g},{y}\n" for g, y in zip(ROWS["g"], ROWS["y"], strict=True)))
    arguments = ["fit", str(path), FORMULA, "--sigma", "pooled by group", "--accuracy", "0.1"]
    report = json.loads(CliRunner().invoke(main, [*arguments, "--json", "--effects"]).stdout)
    assert report["sigma"] == "pooled by group"
    assert "sigma[g=e]" in json.dumps(report)
    refused = CliRunner().invoke(main, [*arguments, "--sigma-by-group"])
    assert refused.exit_code == 2
    assert "contradict each other" in refused.output
