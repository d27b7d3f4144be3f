"""Large problems: our full posterior against point estimates of lme4 and GPBoost, in one run.

python benchmarks/run_large.py --peer-python ~/peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from large import PROBLEMS, simulate

PEERS = Path(__file__).parent / "peers"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: Shares of lme4's time that we set ourselves as limits.
LIMITS = {"crossed": 0.5, "slopes": 0.15, "nested": 0.5}


def run(command: list[str], timeout: float) -> dict[str, Any] | str:
    """Run a process that prints JSON; return why it did not where it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | ONE_THREAD, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"not within {timeout:.0f} s"
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "failed"
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def run_lme4(name: str, formula: str, timeout: float) -> dict[str, Any] | str:
    """Write the columns where R reads them, and fit."""
    if shutil.which("Rscript") is None:
        return "R is not installed"
    data = simulate(next(problem for problem in PROBLEMS if problem.name == name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        formats = ["%.17g" if values.dtype.kind == "f" else "%d" for values in data.values()]
        np.savetxt(
            path, np.column_stack(list(data.values())), delimiter=",", header=",".join(data), comments="", fmt=formats
        )
        return run(["Rscript", str(PEERS / "lme4_large.R"), str(path), formula], timeout)


def compare(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """Return the largest relative difference of sds and of sigma."""
    worst = 0.0
    for name, value in theirs.items():
        place = name.replace("(Intercept)", "Intercept")
        for candidate in (place, place.replace(", Intercept)", ")")):
            if candidate in ours and (candidate.startswith("sd(") or candidate == "sigma"):
                worst = max(worst, abs(ours[candidate] / value - 1.0))
    return worst


def describe(tool: str, result: dict[str, Any] | str, ours: float) -> str:
    """Return one line of the table."""
    if isinstance(result, str):
        return f"| {tool} | {result} | | |"
    ratio = "" if tool == "partialpool" else f"{ours / result['seconds']:.3f}"
    return f"| {tool} | {result['seconds']:.2f} | {ratio} | {result['gigabytes']:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", help="a Python that has gpboost")
    parser.add_argument("--problems", nargs="*", default=[problem.name for problem in PROBLEMS])
    parser.add_argument("--timeout", type=float, default=300.0)
    arguments = parser.parse_args()
    for problem in PROBLEMS:
        if problem.name not in arguments.problems:
            continue
        alone = problem.name == "crossed_large"
        script = str(PEERS / "partialpool_large.py")
        ours = run([sys.executable, script, problem.name, "1" if alone else "3"], arguments.timeout)
        if isinstance(ours, str):
            raise SystemExit(f"{problem.name}: {ours}")
        print(f"\n{problem.name}: {problem.formula}\n")
        print("| tool | seconds, warm | ours / theirs | peak GB |\n| --- | --- | --- | --- |")
        print(describe("partialpool", ours, ours["seconds"]))
        if not alone:
            lme4 = run_lme4(problem.name, problem.formula, arguments.timeout)
            print(describe("lme4", lme4, ours["seconds"]))
            if arguments.peer_python:
                peer = run([arguments.peer_python, str(PEERS / "gpboost_large.py"), problem.name], arguments.timeout)
                print(describe("GPBoost", peer, ours["seconds"]))
            if not isinstance(lme4, str):
                worst = compare(ours["estimate"], lme4["estimate"])
                print(f"\nREML here and in lme4: largest relative difference of an sd {worst:.1e}")
                print(f"limit: {LIMITS[problem.name]} of lme4's time")
        evidence = ", ".join(f"{name} {value:.3g}" for name, value in ours["evidence"].items())
        print(
            f"first run in its process {ours['first']:.2f} s, the fit alone {ours['fit']:.2f} s; {evidence}", flush=True
        )


if __name__ == "__main__":
    main()
