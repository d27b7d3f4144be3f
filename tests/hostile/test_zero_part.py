"""Covariates of structural zeros that cannot be used: the error says why and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

import partialpool as pp
from partialpool.cli.verbs import main
from partialpool.errors import DataError, FormulaError, NotYetError, PriorError

DATA = {"y": [0, 2, 0, 3, 1, 0], "x": [0.1, 1.0, 2.0, -1.0, 0.4, 0.0], "g": list("aabbcc")}


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (DataError, {"family": "poisson"}, "it belongs to zero_inflated_poisson and zero_inflated_negative_binomial"),
        (DataError, {"family": "zip(zero=0.2)"}, "a probability of structural zeros that is given has no covariates"),
        (FormulaError, {"zero": "x"}, "write the covariates of structural zeros as a formula without a response"),
        (FormulaError, {"zero": 0.2}, "family='zero_inflated_poisson(zero=0.2)'"),
        (FormulaError, {"zero": "~ 0"}, "leaves nothing"),
        (NotYetError, {"zero": "~ x + (1 | g)"}, "structural zeros whose probability varies by g are not computed"),
        (DataError, {"zero": "~ z"}, "there is no column 'z' in the data"),
        (PriorError, {"priors": {"zero: x": "Flat()"}}, "give a proper one"),
        (PriorError, {"priors": {"zero": "Beta(1, 1)"}}, "'zero' matches no parameter; did you mean zero: x?"),
    ],
)
def test_refusals(kind: type[Exception], options: dict[str, Any], said: str) -> None:
    with pytest.raises(kind) as caught:
        pp.fit("y ~ 1 + (1 | g)", DATA, **({"family": "zero_inflated_poisson", "zero": "~ x"} | options))
    assert said in str(caught.value)


def test_flat_coefficients_need_counts_that_are_no_zeros() -> None:
    """Zeros may be structural: they bound no coefficient, whichever way it moves them."""
    data = {"y": [0, 0, 3, 5, 2, 0, 0, 4], "x": [0, 0, 0, 0, 0, -1, 1, 0], "g": list("aabbccdd")}
    for family in ("zero_inflated_poisson", "zero_inflated_negative_binomial"):
        with pytest.raises(pp.errors.IdentificationError, match="x separates zero counts from the others"):
            pp.fit("y ~ x + (1 | g)", data, family=family, priors={"x": "Flat()"})


def test_no_zero_is_no_inflation() -> None:
    with pytest.raises(DataError, match=r"response 'y' has no zero: .* give family='poisson'"):
        pp.fit("y ~ 1 + (1 | g)", {**DATA, "y": [1, 2, 1, 3, 1, 2]}, family="zero_inflated_poisson")


def test_new_rows_need_the_covariates_of_zeros() -> None:
    fit = pp.fit("y ~ 1 + (1 | g)", DATA, family="zip", zero="~ x", method="empirical_bayes")
    with pytest.raises(DataError, match="there is no column 'x' in the data"):
        fit.predict({"g": ["a"]})
    assert "zero ~ 1 + x" in str(fit)


def test_command_line(tmp_path: Any) -> None:
    table = tmp_path / "fish.csv"
    rows = zip(*DATA.values(), strict=True)
    table.write_text("y,x,g\n" + "".join(f"{y},{x},{g}\n" for y, x, g in rows))
    arguments = [str(table), "y ~ 1 + (1 | g)", "--family", "zip", "--zero", "~ x"]
    shown = CliRunner().invoke(main, ["describe", *arguments])
    assert shown.exit_code == 0
    assert "zero: Intercept, zero: x" in shown.output
    refused = CliRunner().invoke(main, ["fit", *arguments[:3], "poisson", *arguments[4:]])
    assert refused.exit_code == 1
    assert "zero is given with family='poisson'" in refused.output
