"""Large problems: our full posterior against point estimates of lme4, GPBoost and statsmodels, and Bambi's posterior.

python benchmarks/run_large.py --peer-python ~/peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from large import PROBLEMS, SEED, SMALL, LargeProblem, simulate, write_columns

PEERS = Path(__file__).parent / "peers"
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)
REASONS = {
    ("statsmodels", "crossed"): "crossed factors would need a dense matrix of rows x rows, 43 GB",
    ("statsmodels", "insteval"): "crossed factors would need a dense matrix of rows x rows, 43 GB",
    ("statsmodels", "nested"): "nested levels would need dense blocks of 20,000 rows x 20,000 rows",
    ("bambi", "slopes"): "20,000 effects and 1,000,000 rows: hours",
    ("bambi", "nested"): "101,050 effects and 1,000,000 rows: hours",
}
"""Why a tool is not run on a problem."""


@dataclass(frozen=True)
class Tool:
    name: str
    label: str
    gives: str
    file: str
    module: str

    def command(self, folder: Path, problem: LargeProblem, fits: int, peer_python: str) -> list[str]:
        if self.file.endswith(".R"):
            return ["Rscript", str(PEERS / self.file), str(folder), problem.formula, str(fits)]
        python = sys.executable if self is OURS else peer_python
        return [python, str(PEERS / self.file), problem.name, str(folder), str(fits)]

    def is_installed(self, peer_python: str) -> bool:
        if self.file.endswith(".R"):
            code = ["Rscript", "-e", f"q(status = !nzchar(system.file(package = '{self.module}')))"]
        else:
            check = f"import sys, importlib.util as u; sys.exit(u.find_spec('{self.module}') is None)"
            code = [sys.executable if self is OURS else peer_python, "-c", check]
        return shutil.which(code[0]) is not None and subprocess.run(code, capture_output=True).returncode == 0


OURS = Tool("partialpool", "**partialpool**", "posterior, 4,000 draws", "partialpool_large.py", "partialpool")
LME4 = Tool("lme4", "lme4", "point estimate", "lme4_large.R", "lme4")
TOOLS = (
    OURS,
    LME4,
    Tool("gpboost", "GPBoost", "point estimate", "gpboost_large.py", "gpboost"),
    Tool("statsmodels", "statsmodels", "point estimate", "statsmodels_large.py", "statsmodels"),
    Tool("bambi", "Bambi + nutpie", "posterior, 4,000 draws", "bambi_large.py", "bambi"),
)


@dataclass
class Record:
    """What one tool did on one problem, round after round."""

    tool: Tool
    warm: list[float] = field(default_factory=list)
    warm_cpu: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    gigabytes: list[float] = field(default_factory=list)
    """Peak of the process that fits once."""
    answer: dict[str, Any] = field(default_factory=dict)
    failure: str = ""


def run(command: list[str], timeout: float) -> tuple[dict[str, Any], float]:
    """Run a process whose last line is JSON: that, and wall seconds. Raises ``RuntimeError`` with why it failed."""
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | ONE_THREAD, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"not within {timeout:.0f} s") from error
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:120])
    return json.loads(done.stdout.strip().splitlines()[-1]), time.perf_counter() - start


def run_round(record: Record, problem: LargeProblem, folder: Path, options: argparse.Namespace) -> None:
    """Fit once in a process of its own; where that is quick, twice in another, whose second fit is the warm one."""
    answer, whole = run(record.tool.command(folder, problem, 1, options.peer_python), options.timeout)
    record.whole.append(whole)
    record.gigabytes.append(answer["gigabytes"])
    if answer["seconds"][0] < options.patience:
        answer, _ = run(record.tool.command(folder, problem, 2, options.peer_python), options.timeout)
    record.answer = answer
    record.warm.append(answer["seconds"][-1])
    record.warm_cpu.append(answer["cpu"][-1])


def run_problem(
    problem: LargeProblem, tools: list[Tool], folder: Path, options: argparse.Namespace
) -> dict[str, Record]:
    """All tools, interleaved over the rounds; a slow peer runs in the first round only."""
    records = {tool.name: Record(tool) for tool in tools}
    active = list(records.values())
    for number in range(options.rounds):
        for record in list(active):
            load = os.getloadavg()[0]
            print(f"  {problem.name}, round {number + 1}: {record.tool.name} (load {load:.1f})", file=sys.stderr)
            try:
                run_round(record, problem, folder, options)
            except RuntimeError as error:
                record.failure = str(error)
                active.remove(record)
                continue
            if record.warm[-1] > options.patience and record.tool not in (OURS, LME4):
                active.remove(record)
    return records


def ratio_to(ours: Record, theirs: Record, measure: str) -> float:
    """Median over rounds of the ratio within a round, so that drift of the machine cancels."""
    return median(a / b for a, b in zip(getattr(ours, measure), getattr(theirs, measure), strict=False))


def verdict(kept: bool) -> str:
    return "met" if kept else "NOT MET"


def table_row(record: Record, ours: Record, problem: LargeProblem) -> str:
    tool = record.tool
    if not record.warm:
        return f"| {tool.label} | {record.failure} | | | | | |"
    ratio = share = ""
    if tool is not OURS and ours.warm:
        ratio, share = (f"{ratio_to(ours, record, measure):.3f}" for measure in ("warm", "warm_cpu"))
    cells = [
        tool.label + (" (no correlation)" if (tool.name, problem.name) == ("gpboost", "slopes") else ""),
        tool.gives,
        f"{median(record.warm):.2f}" + (" (one run)" if len(record.warm) == 1 else ""),
        ratio,
        share,
        f"{median(record.whole):.2f}",
        f"{max(record.gigabytes):.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def print_problem(problem: LargeProblem, rows: int, levels: list[int], records: dict[str, Record]) -> None:
    origin = f"simulated, seed {SEED}" if problem.draw else "lme4's data, exported by R"
    sizes = " + ".join(f"{count:,}" for count in levels)
    print(f"\n### {problem.name}: `{problem.formula}`\n\n{rows:,} rows, {sizes} levels; {origin}.\n")
    print("| tool | gives | warm s | ours / theirs | the same, cpu | whole process s | peak GB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ours = records["partialpool"]
    for record in records.values():
        print(table_row(record, ours, problem))
    print()
    if ours.warm:
        print_ours(problem, ours, records.get("lme4"))


def print_ours(problem: LargeProblem, ours: Record, lme4: Record | None) -> None:
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in ours.answer["parts"].items())
    evidence = ", ".join(f"{name} {value:.3g}" for name, value in ours.answer["evidence"].items())
    print(f"Ours: {parts} s; {ours.answer['engine']}: {evidence}.")
    spread = ", ".join(f"{seconds:.2f}" for seconds in ours.warm)
    print(f"Ours, warm, round by round: {spread} s; {ours.answer['parameters_drawn']:,} parameters drawn jointly.")
    if lme4 is not None and lme4.warm and problem.share_of_lme4:
        ratio = ratio_to(ours, lme4, "warm")
        print(f"Limit {problem.share_of_lme4:g} of lme4's warm seconds: {verdict(ratio <= problem.share_of_lme4)}.")
    if problem.gigabytes:
        print(f"Limit {problem.gigabytes:g} GB: {verdict(max(ours.gigabytes) <= problem.gigabytes)}.")


def largest_difference(ours: dict[str, float], theirs: dict[str, float]) -> tuple[float, str]:
    """Largest relative difference; raises ``RuntimeError`` where the two do not have the same parameters.

    An sd that is zero in lme4 is compared with sigma.
    """
    if set(ours) != set(theirs):
        raise RuntimeError(f"not the same parameters: {sorted(set(ours) ^ set(theirs))}")
    scales = {name: abs(value) or theirs["sigma"] for name, value in theirs.items()}
    found = [(abs(ours[name] - theirs[name]) / scales[name], name) for name in theirs]
    return max(found, key=lambda each: (math.isnan(each[0]), each))  # one that is no number is the largest


def print_agreement(problem: LargeProblem, folder: Path, options: argparse.Namespace) -> None:
    """Our REML estimate and lmer's, with the optimizer and tolerance that find the maximum."""
    try:
        ours, _ = run(OURS.command(folder, problem, 0, options.peer_python), options.timeout)
        theirs, _ = run(LME4.command(folder, problem, 0, options.peer_python), options.timeout)
        size, name = largest_difference(ours["estimate"], theirs["estimate"])
    except RuntimeError as error:
        print(f"REML, here and in lme4: {error}")
        return
    print(f"REML, here and in lme4: largest relative difference {size:.1e}, of {name}.", flush=True)


def prepare(problem: LargeProblem, folder: Path, small: bool) -> None:
    """Write the columns. Raises ``RuntimeError`` where R is to export them and cannot."""
    if problem.draw is not None:
        write_columns(folder, simulate(problem, small))
        return
    if not LME4.is_installed(sys.executable):
        raise RuntimeError("R with lme4 is not installed")
    command = ["Rscript", str(PEERS / "lme4_export.R"), str(folder), "InstEval", "y", "s", "d", "dept"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-120:])


def count(folder: Path, problem: LargeProblem) -> tuple[int, list[int]]:
    from large import read_columns

    columns = read_columns(folder)
    return len(columns["y"]), [len(set(columns[factor].tolist())) for factor in problem.groups]


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the Python peers")
    parser.add_argument("--problems", nargs="+", choices=[problem.name for problem in PROBLEMS])
    parser.add_argument("--peers", nargs="+", choices=[tool.name for tool in TOOLS[1:]], help="only these")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--patience", type=float, default=20.0, help="seconds; a slower fit is not repeated in a round")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds a process may take")
    parser.add_argument("--small", action="store_true", help="sizes of seconds, to try this program out")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    wanted = [tool for tool in TOOLS if tool is OURS or not options.peers or tool.name in options.peers]
    tools = [tool for tool in wanted if tool.is_installed(options.peer_python)]
    for tool in wanted:
        if tool not in tools:
            print(f"skipped: {tool.name} ({tool.module} is not installed)")
    everything = []
    for problem in PROBLEMS:
        if options.problems and problem.name not in options.problems:
            continue
        if options.small and problem.name not in SMALL:
            print(f"skipped: {problem.name} (it has one size)")
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            try:
                prepare(problem, folder, options.small)
            except RuntimeError as error:
                print(f"skipped: {problem.name} ({error})")
                continue
            here = [tool for tool in tools if (tool.name, problem.name) not in REASONS]
            here = [tool for tool in here if tool is OURS or not problem.alone]
            records = run_problem(problem, here, folder, options)
            print_problem(problem, *count(folder, problem), records)
            for tool in tools:
                if (tool.name, problem.name) in REASONS and not problem.alone:
                    print(f"Not run: {tool.name} ({REASONS[tool.name, problem.name]}).")
            if LME4 in tools and not problem.alone:
                print_agreement(problem, folder, options)
            sys.stdout.flush()
        for record in records.values():
            everything.append({"problem": problem.name, **vars(record), "tool": record.tool.name})
            if options.json:
                options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
