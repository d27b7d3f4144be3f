"""REML estimates here and in lme4, on lme4's own data, which R exports while this runs.

python benchmarks/run_reml.py
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from large import read_columns

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Problem:
    dataset: str
    formula: str
    columns: tuple[str, ...]


PROBLEMS = (
    Problem("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)", ("diameter", "plate", "sample")),
    Problem("Pastes", "strength ~ 1 + (1 | batch / cask)", ("strength", "batch", "cask")),
    Problem("sleepstudy", "Reaction ~ Days + (Days | Subject)", ("Reaction", "Days", "Subject")),
    Problem(
        "cake",
        "angle ~ recipe + temp + (1 | recipe:replicate)",
        ("angle", "recipe", "temp", "replicate"),
    ),
    Problem("InstEval", "y ~ 1 + (1 | s) + (1 | d) + (1 | dept)", ("y", "s", "d", "dept")),
)


def run_r(file: str, *arguments: str) -> str:
    done = subprocess.run(["Rscript", str(PEERS / file), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-200:])
    return done.stdout


def ours(problem: Problem, folder: Path) -> dict[str, float]:
    import partialpool as pp

    columns = {
        # The levels of a factor are text, so that one among the coefficients is not taken for a number.
        name: values.astype(str) if values.dtype.kind == "i" else values
        for name, values in read_columns(folder).items()
    }
    return pp.fit(problem.formula, columns, method="empirical_bayes", estimator="reml").summary()["mean"].to_dict()


def theirs(problem: Problem, folder: Path, tight: bool) -> dict[str, float]:
    lines = run_r("lme4_large.R", str(folder), problem.formula, "0" if tight else "1").strip().splitlines()
    return {common_name(name): value for name, value in json.loads(lines[-1])["estimate"].items()}


def differences(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """Relative differences. Raises ``RuntimeError`` where the two do not have the same parameters."""
    if set(ours) != set(theirs):
        raise RuntimeError(f"not the same parameters: {sorted(set(ours) ^ set(theirs))}")
    return {name: abs(ours[name] / value - 1.0) for name, value in theirs.items()}


def common_name(name: str) -> str:
    """lme4 writes recipe2 and cask:batch where we write recipe[2] and batch:cask."""
    name = re.sub(r"\[(?:T\.)?(\w+)\]", r"\1", name)
    return re.sub(r"\w+(?::\w+)+", lambda match: ":".join(sorted(match[0].split(":"))), name)


def main() -> None:
    print("| data | parameter | partialpool | lme4, tight | relative difference |\n| --- | --- | --- | --- | --- |")
    summary = []
    for problem in PROBLEMS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            run_r("lme4_export.R", name, problem.dataset, *problem.columns)
            mine = {common_name(key): value for key, value in ours(problem, folder).items()}
            tight, default = theirs(problem, folder, tight=True), theirs(problem, folder, tight=False)
        from_tight, from_default = differences(mine, tight), differences(mine, default)
        for key, value in mine.items():
            print(f"| {problem.dataset} | {key} | {value:.7g} | {tight[key]:.7g} | {from_tight[key]:.1e} |")
        largest = max(from_tight, key=from_tight.__getitem__)
        formula = problem.formula.replace("|", "\\|")
        sizes = f"{from_tight[largest]:.1e} | {largest} | {max(from_default.values()):.1e}"
        summary.append(f"| {problem.dataset} | `{formula}` | {sizes} |")
    print("\n| data | formula | largest relative difference | of | from lmer's defaults |")
    print("| --- | --- | --- | --- | --- |", *summary, sep="\n")


if __name__ == "__main__":
    main()
