"""The population sd of stores with few visits: by quadrature here, by Laplace approximations elsewhere.

python benchmarks/laplace.py --peer-python ~/peers/bin/python --picture docs/images/laplace.png
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

from large import Columns, write_columns
from run_large import run
from run_stores import GLMMTMB, GPBOOST, LME4, LME4_FAST, LME4_QUADRATURE, OURS, StoreTool, installed
from stores import SEED, fit_stores

OURS_ML = replace(OURS, name="partialpool_ml", label="**partialpool**, maximum likelihood", task="ml")
TOOLS = (OURS, OURS_ML, LME4_QUADRATURE, LME4, GLMMTMB, GPBOOST, LME4_FAST)
HOW = {
    OURS.name: "quadrature, posterior",
    OURS_ML.name: "quadrature",
    LME4_QUADRATURE.name: "quadrature, 25 points",
    LME4_FAST.name: "Laplace, cruder",
}
TRUE_SD, PROBABILITY = 0.4, 0.1
VISITS = (2, 3, 4, 5, 7, 10, 15, 20, 35, 50)
PROBABILITIES = (0.03, 0.05, 0.1, 0.2, 0.3, 0.5)


def simulate(n_stores: int, visits: tuple[int, int], probability: float = PROBABILITY, seed: int = SEED) -> Columns:
    """Return one row a store: visits equally likely from ``visits``, logit of the probability normal, of sd 0.4."""
    rng = np.random.default_rng(seed)
    n = rng.integers(visits[0], visits[1] + 1, n_stores)
    p = expit(logit(probability) + TRUE_SD * rng.standard_normal(n_stores))
    return {"y": rng.binomial(n, p), "n": n, "store": np.arange(n_stores)}


def estimate(tool: StoreTool, data: Columns, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        write_columns(Path(folder), data)
        return run(tool.start(Path(folder), "logit_normal", 1, options.peer_python), options.timeout)[0]


def average_probability(intercept: float, sd: float) -> float:
    """Mean over the stores of the probability whose logit is normal."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(weights @ expit(intercept + sd * points) / weights.sum())


def with_error(answer: dict[str, Any], name: str) -> str:
    error = answer["sd"].get(name)
    return f"{answer['estimate'][name]:.4f}" + (f" ± {error:.4f}" if error is not None and np.isfinite(error) else "")


def print_tools(tools: list[StoreTool], options: argparse.Namespace) -> None:
    data = simulate(options.stores, (1, 5))
    visits = data["n"].sum()
    print(f"\n{options.stores:,} stores, {visits:,} visits, {data['y'].sum() / visits:.4f} of them successful\n")
    print("| tool | the stores leave by | population sd | Intercept | at the average | population average | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for tool in tools:
        answer = estimate(tool, data, options)
        centre, sd = answer["estimate"]["Intercept"], answer["estimate"]["sd(store)"]
        probabilities = f"{expit(centre):.4f} | {average_probability(centre, sd):.4f}"
        label = f"{tool.label} | {HOW.get(tool.name, 'Laplace')}"
        estimates = f"{with_error(answer, 'sd(store)')} | {with_error(answer, 'Intercept')}"
        print(f"| {label} | {estimates} | {probabilities} | {answer['seconds'][0]:.2f} |", flush=True)
    print(f"| true | | {TRUE_SD} | {logit(PROBABILITY):.4f} | {PROBABILITY} | ", end="")
    print(f"{average_probability(logit(PROBABILITY), TRUE_SD):.4f} | |")
    rows = fit_stores("logit_normal", data).predict({"store": [options.stores], "n": [1]})
    print("\n" + rows[["group_is", "quantity", "mean", "sd", "q5", "q95"]].round(4).to_string(), flush=True)


def sweep(cases: list[tuple[int, float]], laplace: StoreTool, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Estimate by both, for (visits of every store, probability); both get the same stores."""
    print(f"\n| visits per store | probability | partialpool | {laplace.label} |")
    print("| --- | --- | --- | --- |")
    results = []
    for visits, probability in cases:
        data = simulate(options.stores, (visits, visits), probability, SEED + visits)
        ours, theirs = (estimate(tool, data, options) for tool in (OURS, laplace))
        shown = f"{with_error(ours, 'sd(store)')} | {with_error(theirs, 'sd(store)')}"
        print(f"| {visits} | {probability} | {shown} |", flush=True)
        mean, error = ours["estimate"]["sd(store)"], ours["sd"]["sd(store)"]
        found = {"ours": mean, "error": error, "laplace": theirs["estimate"]["sd(store)"]}
        results.append({"visits": visits, "probability": probability, **found})
    return results


def repeat(laplace: StoreTool, options: argparse.Namespace) -> None:
    """Mean and sd of the estimates over data sets that differ in their seed only."""
    found = {}
    for tool in (OURS, OURS_ML, laplace):
        answers = [
            estimate(tool, simulate(options.stores, (1, 5), seed=seed), options) for seed in range(options.seeds)
        ]
        found[tool.label] = np.array([answer["estimate"]["sd(store)"] for answer in answers])
    print(f"\n| tool | mean of the estimated sd over {options.seeds} data sets | their sd | smallest | largest |")
    print("| --- | --- | --- | --- | --- |")
    for label, sds in found.items():
        error = sds.std(ddof=1) / np.sqrt(len(sds))
        print(
            f"| {label} | {sds.mean():.4f} ± {error:.4f} | {sds.std(ddof=1):.4f} | {sds.min():.4f} | {sds.max():.4f} |"
        )


def draw_picture(by_visits: list[dict[str, Any]], by_share: list[dict[str, Any]], path: Path, label: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True, layout="constrained")
    for axis, results, key in ((axes[0], by_visits, "visits"), (axes[1], by_share, "probability")):
        x, ours, error, laplace = ([case[name] for case in results] for name in (key, "ours", "error", "laplace"))
        axis.axhline(TRUE_SD, color="0.6", lw=1, label="true")
        axis.errorbar(x, ours, error, fmt="o-", ms=4, capsize=2, label="partialpool, ± posterior sd")
        axis.plot(x, laplace, "s--", ms=4, label=f"Laplace ({label})")
        axis.set_xscale("log")
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.minorticks_off()
    axes[0].set(xlabel="visits of every store", ylabel="estimated population sd", title="probability about 0.1")
    axes[1].set(xlabel="probability", title="5 visits of every store")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the Python peers")
    parser.add_argument("--stores", type=int, default=10**5)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a process may take")
    parser.add_argument("--skip-tools", action="store_true", help="the sweeps and the repetitions only")
    parser.add_argument("--seeds", type=int, default=20, help="data sets that the estimates are averaged over")
    parser.add_argument("--picture", type=Path, help="draw the sweeps to this file")
    parser.add_argument("--json", type=Path, help="write the sweeps to this file")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    tools = installed(TOOLS, options)
    if not options.skip_tools:
        print_tools(tools, options)
    laplace = next((tool for tool in (GPBOOST, LME4, GLMMTMB) if tool in tools), None)
    if laplace is None:
        print("skipped: the sweeps (no tool with a Laplace approximation is installed)")
        return
    if options.seeds > 1:
        repeat(laplace, options)
    by_visits = sweep([(visits, PROBABILITY) for visits in VISITS], laplace, options)
    by_share = sweep([(5, probability) for probability in PROBABILITIES], laplace, options)
    if options.json:
        options.json.write_text(json.dumps({"by_visits": by_visits, "by_probability": by_share}, indent=1))
    if options.picture:
        draw_picture(by_visits, by_share, options.picture, laplace.label)


if __name__ == "__main__":
    main()
