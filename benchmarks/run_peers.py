"""partialpool and every installed peer on the named problems, in one run: speed, effective draws, accuracy.

python benchmarks/run_peers.py --peer-python ~/peers/bin/python --radon radon.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from ess import bulk_ess
from problems import Problem, load_problems

PEERS_FOLDER = Path(__file__).parent / "peers"
PROBLEMS = ("eight_schools", "sleepstudy", "radon")
SLOPES = ("sleepstudy", "radon")

SINGLE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(frozen=True)
class Peer:
    name: str
    file: str
    problems: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """R packages or Python modules, by the file's suffix."""
    is_nuts: bool = False

    def command(self, pythons: dict[str, str]) -> list[str]:
        if self.file.endswith(".R"):
            return ["Rscript", str(PEERS_FOLDER / self.file)]
        return [pythons["ours" if self.name == "partialpool" else "peers"], str(PEERS_FOLDER / self.file)]


OURS = Peer("partialpool", "partialpool_peer.py", PROBLEMS, ("partialpool",))
PEERS = (
    OURS,
    Peer("jags", "jags.R", PROBLEMS, ("rjags",)),
    Peer("metafor", "metafor.R", ("eight_schools",), ("metafor",)),
    Peer("lme4", "lme4.R", SLOPES, ("lme4",)),
    Peer("statsmodels", "statsmodels_peer.py", SLOPES, ("statsmodels",)),
    Peer("gpboost", "gpboost_peer.py", SLOPES, ("gpboost",)),
    Peer("emcee", "emcee_peer.py", ("eight_schools",), ("emcee",)),
    Peer("pymc", "pymc_peer.py", PROBLEMS, ("pymc", "nutpie"), is_nuts=True),
    Peer("bambi", "bambi_peer.py", SLOPES, ("bambi", "nutpie"), is_nuts=True),
    Peer("numpyro", "numpyro_peer.py", PROBLEMS, ("numpyro",), is_nuts=True),
)


@dataclass
class Record:
    """What one peer did on one problem, over the rounds."""

    peer: Peer
    warm: list[float] = field(default_factory=list)
    sampling: list[float] = field(default_factory=list)
    """Seconds of a sampler whose model is compiled already; empty where a tool has no such thing."""
    whole: list[float] = field(default_factory=list)
    whole_cpu: list[float] = field(default_factory=list)
    answer: dict = field(default_factory=dict)
    sds: dict[str, float] = field(default_factory=dict)
    failure: str = ""
    effective_draws: list[float] = field(default_factory=list)
    """Smallest over the parameters, round by round."""


def is_installed(peer: Peer, pythons: dict[str, str]) -> bool:
    interpreter = peer.command(pythons)[0]
    if shutil.which(interpreter) is None:
        return False
    if peer.file.endswith(".R"):
        listed = ", ".join(f'"{name}"' for name in peer.needs)
        code = ["-e", f"q(status = !all(nzchar(sapply(c({listed}), function(p) system.file(package = p)))))"]
    else:
        listed = ", ".join(f"'{name}'" for name in peer.needs)
        code = ["-c", f"import sys, importlib.util as u; sys.exit(None in map(u.find_spec, ({listed},)))"]
    return subprocess.run([interpreter, *code], capture_output=True).returncode == 0


def write_task(folder: Path, problem: Problem, seed: int, repeats: int, draws: int) -> None:
    fields = {
        "name": problem.name,
        "formula": problem.formula,
        "response": problem.response,
        "predictor": problem.predictor,
        "group": problem.group,
        "standard_error": problem.standard_error,
        "parametrisation": problem.parametrisation,
        "seed": seed,
        "repeats": repeats,
        "draws": draws,
        **problem.priors,
    }
    (folder / "problem.txt").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(problem.data)
        writer.writerows(zip(*(column.tolist() for column in problem.data.values()), strict=True))


def run_process(command: list[str], timeout: float) -> tuple[str, float, float]:
    """Standard output, wall seconds and cpu seconds of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ | SINGLE_THREAD)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        last_lines = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise RuntimeError(f"exit code {done.returncode}: {last_lines[0]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, wall, cpu


def run_round(
    record: Record, problem: Problem, seed: int, options: argparse.Namespace, pythons: dict[str, str]
) -> float:
    """One whole-process run (a single fit), then one with warm repeats; the seconds spent."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [*record.peer.command(pythons), name]
        write_task(folder, problem, seed, 0, options.draws)
        _, wall, cpu = run_process(command, options.timeout)
        record.whole.append(wall)
        record.whole_cpu.append(cpu)
        patient = wall > options.patience
        write_task(folder, problem, seed, 1 if patient else options.repeats, options.draws)
        output, _, _ = run_process(command, options.timeout)
        record.answer = json.loads(output.strip().splitlines()[-1])
        record.warm.append(median(record.answer["warm_seconds"]))
        record.sampling += record.answer.get("sampling_seconds", [])
        if record.answer["kind"] == "bayes":
            judge_draws(record, np.fromfile(folder / "draws.f64"))
    return time.perf_counter() - start


def judge_draws(record: Record, values: np.ndarray) -> None:
    """Effective draws (never more than the engine itself admits to) and posterior sds."""
    answer = record.answer
    array = values.reshape(len(answer["parameters"]), answer["chains"], -1)
    answer["ess"] = {name: bulk_ess(draws) for name, draws in zip(answer["parameters"], array, strict=True)}
    admitted = answer.get("engine_effective_draws")
    record.effective_draws.append(min([*answer["ess"].values(), *([admitted] if admitted else [])]))
    record.sds = dict(zip(answer["parameters"], array.std((1, 2)).tolist(), strict=True))


def run_problem(problem: Problem, peers: list[Peer], options: argparse.Namespace) -> list[Record]:
    """All peers, interleaved over rounds; a peer slower than the patience runs in the first round only."""
    pythons = {"ours": sys.executable, "peers": options.peer_python}
    records = [Record(peer) for peer in peers if problem.name in peer.problems]
    active = list(records)
    for number in range(options.rounds):
        for record in list(active):
            print(f"  {problem.name}, round {number + 1}: {record.peer.name}", file=sys.stderr)
            try:
                seconds = run_round(record, problem, 1000 * number, options, pythons)
            except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
                record.failure = str(error)
                active.remove(record)
                continue
            if seconds > options.patience and record.peer is not OURS:
                active.remove(record)
    return records


def paired_ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over the rounds of the ratio within a round, so that drift of the machine cancels."""
    return median(a / b for a, b in zip(ours, theirs, strict=False))


def largest_difference(ours: Record, theirs: Record, problem: Problem) -> str:
    """In our posterior sds; a point estimate is compared on the coefficients only."""
    estimates = theirs.answer["estimates"]
    names = problem.coefficients if theirs.answer["kind"] == "point" else tuple(estimates)
    mine = ours.answer["estimates"]
    found = [(abs(estimates[name] - mine[name]) / ours.sds[name], name) for name in names]
    size, name = max(found, key=lambda each: (math.isnan(each[0]), each))  # one that is no number is the largest
    return f"{size:.3f} at {name}"


def smallest_draw_ratio(problem: Problem, peer: Peer) -> float | None:
    """How many times a peer's effective draws per second we promise."""
    if peer.is_nuts:
        return 100.0
    return 10.0 if (peer.name, problem.name) == ("jags", "eight_schools") else None


def promise(ratio: float, limit: float | None, *, at_most: bool) -> str:
    if limit is None:
        return f"{ratio:.3g}"
    kept = ratio <= limit if at_most else ratio >= limit
    return f"{ratio:.3g} ({'<=' if at_most else '>='} {limit:g}: {'met' if kept else 'NOT MET'})"


HEADER = (
    "peer",
    "version",
    "kind",
    "warm s",
    "ours / theirs",
    "whole s",
    "whole cpu s",
    "ours / theirs (cpu)",
    "draws",
    "ESS",
    "ESS / s",
    "ours / theirs (ESS / s)",
    "sampling alone s",
    "ours / theirs (ESS / s, sampling alone)",
    "largest difference, posterior sds",
)


def table_row(record: Record, ours: Record | None, problem: Problem) -> tuple[str, ...]:
    peer, answer = record.peer, record.answer
    if record.failure:
        return (peer.name, "failed: " + record.failure.replace("|", "/")[:90], *[""] * (len(HEADER) - 2))
    is_bayes = answer["kind"] == "bayes"
    row = {
        "peer": peer.name,
        "version": answer["version"],
        "kind": "posterior" if is_bayes else "point",
        "warm s": f"{median(record.warm):.4f}",
        "whole s": f"{median(record.whole):.2f}",
        "whole cpu s": f"{median(record.whole_cpu):.2f}",
    }
    if is_bayes:
        row["draws"] = str(answer["draws"])
        row["ESS"] = f"{median(record.effective_draws):.0f}" + divergence_note(answer)
        row["ESS / s"] = f"{median(record.effective_draws) / median(record.warm):.3g}"
        row["sampling alone s"] = f"{median(record.sampling):.4f}" if record.sampling else ""
    if ours is not None and record is not ours:
        warm_ratio = paired_ratio(ours.warm, record.warm)
        row["ours / theirs"] = promise(warm_ratio, problem.thresholds.get(peer.name), at_most=True)
        row["ours / theirs (cpu)"] = f"{paired_ratio(ours.whole_cpu, record.whole_cpu):.3g}"
        row["largest difference, posterior sds"] = largest_difference(ours, record, problem)
        if is_bayes:
            draw_ratio = median(ours.effective_draws) / median(record.effective_draws) / warm_ratio
            limit = smallest_draw_ratio(problem, peer)
            row["ours / theirs (ESS / s)"] = promise(draw_ratio, limit, at_most=False)
            if record.sampling:
                hardest = draw_ratio * median(record.sampling) / median(record.warm)
                row["ours / theirs (ESS / s, sampling alone)"] = promise(hardest, limit, at_most=False)
    return tuple(row.get(name, "") for name in HEADER)


def divergence_note(answer: dict) -> str:
    return f" ({answer['divergences']} divergences)" if answer.get("divergences") else ""


def print_table(problem: Problem, records: list[Record]) -> None:
    ours = next((record for record in records if record.peer is OURS and not record.failure), None)
    note = f" ({problem.note})" if problem.note else ""
    print(f"\n## {problem.name}: `{problem.formula}`{note}\n")
    rows = [HEADER, *(table_row(record, ours, problem) for record in records)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def as_json(problem: Problem, record: Record) -> dict:
    more = {"whole_seconds": record.whole, "whole_cpu_seconds": record.whole_cpu, "failure": record.failure}
    answer = (
        record.answer
        | {
            "warm_seconds_by_round": record.warm,
            "posterior_sds": record.sds,
            "min_ess_by_round": record.effective_draws,
        }
        | more
    )
    answer = {"peer": record.peer.name, "problem": problem.name, **answer}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in answer.items()}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", default=sys.executable, help="the Python that has the Python peers")
    parser.add_argument("--radon", type=Path, help="CSV: log_radon, floor, county (or PARTIALPOOL_RADON)")
    parser.add_argument("--sleepstudy", type=Path, help="CSV: Reaction, Days, Subject; else the packaged copy")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in PEERS], help="only these")
    parser.add_argument("--rounds", type=int, default=5, help="rounds over all peers")
    parser.add_argument("--repeats", type=int, default=10, help="warm fits per round")
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--patience", type=float, default=10.0, help="seconds; slower peers run one round")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds a process may take")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    pythons = {"ours": sys.executable, "peers": options.peer_python}
    wanted = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    peers = [peer for peer in wanted if is_installed(peer, pythons)]
    for peer in wanted:
        if peer not in peers:
            print(f"skipped: {peer.name} ({', '.join(peer.needs)} not installed)")
    everything = []
    for problem in load_problems(tuple(options.problems), options.radon, options.sleepstudy):
        records = run_problem(problem, peers, options)
        print_table(problem, records)
        everything += [as_json(problem, record) for record in records]
    if options.json:
        options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
