"""Stores with few visits each: our full posterior against point estimates of lme4 and GPBoost; draws against NUTS.

python benchmarks/run_stores.py --peer-python ~/peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ess import bulk_ess
from large import Columns, write_columns
from run_large import PEERS, Tool, run, verdict
from stores import MODELS, PARAMETERS, PRIORS, VISITS, simulate_stores

LIMITS = {"beta_binomial": 2.0, "logit_normal": 5.0}
"""Largest total seconds at 1,000,000 stores, imports included."""
SHARE_OF_LME4 = 0.1
DRAW_RATIO = 50.0


@dataclass(frozen=True)
class StoreTool(Tool):
    task: str = ""

    def start(self, folder: Path, model: str, fits: int, peer_python: str) -> list[str]:
        start = "Rscript" if self.file.endswith(".R") else sys.executable if self.name == "partialpool" else peer_python
        return [start, str(PEERS / self.file), str(folder), model, str(fits), *([self.task] if self.task else [])]


OURS = StoreTool("partialpool", "**partialpool**", "posterior, every store", "partialpool_stores.py", "partialpool")
LME4 = StoreTool("lme4", "lme4, nAGQ = 1", "point estimate (Laplace)", "lme4_stores.R", "lme4", task="1")
LME4_QUADRATURE = StoreTool("lme4_25", "lme4, nAGQ = 25", "point estimate", "lme4_stores.R", "lme4", task="25")
LME4_FAST = StoreTool("lme4_0", "lme4, nAGQ = 0", "point estimate (cruder)", "lme4_stores.R", "lme4", task="0")
GLMMTMB = StoreTool("glmmtmb", "glmmTMB", "point estimate (Laplace)", "lme4_stores.R", "glmmTMB", task="glmmTMB")
GPBOOST = StoreTool("gpboost", "GPBoost", "point estimate (Laplace)", "gpboost_stores.py", "gpboost")
POINT = (OURS, LME4, GPBOOST, GLMMTMB, LME4_FAST)
SAMPLING = (
    StoreTool("partialpool", "**partialpool**", "population", "partialpool_stores.py", "partialpool", task="draws"),
    StoreTool(
        "partialpool_effects",
        "**partialpool**, draws of every store too",
        "population, stores",
        "partialpool_stores.py",
        "partialpool",
        task="effects",
    ),
    StoreTool("bambi", "Bambi + nutpie", "population, stores", "bambi_stores.py", "bambi"),
    StoreTool("numpyro", "NumPyro", "population, stores", "numpyro_stores.py", "numpyro"),
)


@dataclass
class Record:
    """What one tool did, round after round."""

    tool: StoreTool
    first: list[float] = field(default_factory=list)
    """Seconds of the first fit of a process."""
    warm: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    effective: list[float] = field(default_factory=list)
    failure: str = ""


def run_once(record: Record, model: str, folder: Path, fits: int, options: argparse.Namespace) -> None:
    tool = record.tool
    is_ours = tool.name.startswith("partialpool")
    command = tool.start(folder, model, fits, sys.executable if is_ours else options.peer_python)
    answer, _ = run(command, options.timeout)
    record.answer = answer
    record.first.append(answer["seconds"][0])
    record.warm.append(answer["seconds"][-1])
    record.cpu.append(answer["cpu"][-1])
    if tool in SAMPLING:
        draws = np.fromfile(folder / "draws.f64").reshape(len(PARAMETERS[model]), answer["chains"], -1)
        smallest = min(bulk_ess(values) for values in draws)
        record.answer["medians"] = np.median(draws, (1, 2)).tolist()
        record.effective.append(min(smallest, answer.get("admitted", np.inf)))


def run_tools(model: str, data: Columns, tools: list[StoreTool], options: argparse.Namespace) -> list[Record]:
    """All tools, interleaved over the rounds; a slow one fits once, in the first round only."""
    records = [Record(tool) for tool in tools]
    active = list(records)
    with tempfile.TemporaryDirectory() as name:
        write_columns(Path(name), data)
        for number in range(options.rounds):
            for record in list(active):
                slow = record.tool.name in ("bambi", "numpyro")
                print(f"  round {number + 1}: {record.tool.name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)
                try:
                    run_once(record, model, Path(name), 1 if slow else 2, options)
                except RuntimeError as error:
                    record.failure = str(error)
                    active.remove(record)
                    continue
                if record.warm[-1] > options.patience and record.tool is not OURS:
                    active.remove(record)
    return records


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over rounds of the ratio within a round."""
    return median(a / b for a, b in zip(ours, theirs, strict=False))


def point_rows(model: str, visits: str, n_stores: int, records: list[Record]) -> Iterator[str]:
    ours = records[0]
    for record in records:
        if record.failure:
            yield f"| | | | {record.tool.label}: {record.failure} | | | | | |"
            continue
        share = f"{ratio(ours.warm, record.warm):.2g}"
        if record.tool is LME4 and n_stores == 10**5:
            share += f" (limit {SHARE_OF_LME4:g}: {verdict(ratio(ours.warm, record.warm) <= SHARE_OF_LME4)})"
        first = f"{median(record.first):.3g}"
        if record.tool is OURS and n_stores == 10**6:
            first += f" (limit {LIMITS[model]:g}: {verdict(median(record.first) <= LIMITS[model])})"
        head = [model, visits, f"{n_stores:,}"] if record.tool is OURS else ["", "", ""]
        cells = [
            *head,
            record.tool.label,
            first,
            f"{median(record.warm):.3g}",
            f"{median(record.cpu):.3g}",
            "" if record.tool is OURS else share,
            f"{record.answer['gigabytes']:.2f}",
        ]
        yield "| " + " | ".join(cells) + " |"


def print_points(tools: list[StoreTool], options: argparse.Namespace) -> list[dict[str, Any]]:
    print("\n| model | visits | stores | tool | first fit s | warm s | warm cpu s | ours / theirs, warm | peak GB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    everything = []
    for model in MODELS:
        for visits in VISITS:
            for n_stores in options.stores:
                here = tools if (model, visits) == ("logit_normal", "few") and n_stores < 10**6 else [OURS]
                records = run_tools(model, simulate_stores(model, visits, n_stores), list(here), options)
                print("\n".join(point_rows(model, visits, n_stores, records)), flush=True)
                everything += [as_dict(record, model, visits, n_stores) for record in records]
    return everything


def print_draws(tools: list[StoreTool], options: argparse.Namespace) -> list[dict[str, Any]]:
    print("\nEffective draws of the population, 1,000 stores with few visits; from data to draws, warm.\n")
    print("| model | tool | seconds | effective draws | a second | ours / theirs | medians |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    everything = []
    for model in MODELS:
        # Bambi has no population of this kind
        here = [tool for tool in tools if (tool.name, model) != ("bambi", "beta_binomial")]
        records = run_tools(model, simulate_stores(model, "few", 1000), here, options)
        ours = records[0]
        for record in records:
            if record.failure:
                print(f"| {model} | {record.tool.label}: {record.failure} | | | | | |")
                continue
            rate = median(record.effective) / median(record.warm)
            times = median(ours.effective) / median(record.effective) / ratio(ours.warm, record.warm)
            shown = "" if record is ours else f"{times:.3g}"
            if record.tool.name in ("bambi", "numpyro"):
                shown += f" (limit {DRAW_RATIO:g}: {verdict(times >= DRAW_RATIO)})"
                if sampling := record.answer.get("sampling"):
                    shown += f"; {times * sampling / record.warm[-1]:.3g} where compiled already"
            medians = zip(PARAMETERS[model], record.answer["medians"], strict=True)
            shown_medians = ", ".join(f"{name} {value:.4g}" for name, value in medians)
            numbers = f"{median(record.warm):.3f} | {median(record.effective):.0f} | {rate:,.0f}"
            print(f"| {model} | {record.tool.label} | {numbers} | {shown} | {shown_medians} |", flush=True)
        everything += [as_dict(record, model, "few", 1000) for record in records]
    print("\nPriors: " + "; ".join(f"{model}: {priors}" for model, priors in PRIORS.items()))
    return everything


def as_dict(record: Record, model: str, visits: str, n_stores: int) -> dict[str, Any]:
    return {"model": model, "visits": visits, "stores": n_stores, **vars(record), "tool": vars(record.tool)}


def installed(tools: tuple[StoreTool, ...], options: argparse.Namespace) -> list[StoreTool]:
    kept = []
    for tool in tools:
        python = sys.executable if tool.name.startswith("partialpool") else options.peer_python
        if tool.is_installed(python):
            kept.append(tool)
        else:
            print(f"skipped: {tool.name} ({tool.module} is not installed)")
    return kept


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the Python peers")
    parser.add_argument("--stores", nargs="+", type=int, default=[10**3, 10**5, 10**6])
    parser.add_argument("--parts", nargs="+", choices=("points", "draws"), default=("points", "draws"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=10.0, help="seconds; a slower peer runs one round")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a process may take")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    everything = []
    if "points" in options.parts:
        everything += print_points(installed(POINT, options), options)
    if "draws" in options.parts:
        everything += print_draws(installed(SAMPLING, options), options)
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
