"""Whole-process cpu time of partialpool against the libraries it cannot do without, in interleaved pairs.

python benchmarks/import_time.py --pairs 20
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

NUMPY = [sys.executable, "-c", "import numpy"]
SCIPY = [sys.executable, "-c", "import numpy, scipy.special, scipy.linalg, scipy.optimize"]
DEMO = ["demo", "--no-plot"]
SCRIPT = str(Path(sys.executable).with_name("partialpool"))

COMPARISONS = (
    ("import partialpool", "import numpy", [sys.executable, "-c", "import partialpool"], NUMPY),
    ("partialpool demo --no-plot", "import numpy + scipy", [SCRIPT, *DEMO], SCIPY),
    (
        "python -m partialpool demo --no-plot",
        "import numpy + scipy",
        [sys.executable, "-m", "partialpool", *DEMO],
        SCIPY,
    ),
)
LIMIT = 1.5


def measure(command: list[str]) -> tuple[float, float]:
    """Cpu and wall seconds of one process, run in an empty folder so that nothing is imported by accident."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            command,
            check=True,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def compare(ours: list[str], theirs: list[str], pairs: int) -> list[tuple[float, float, float, float]]:
    """Per pair: our cpu, their cpu, our wall, their wall; one discarded pair fills the caches."""
    measure(ours), measure(theirs)
    rows = []
    for _ in range(pairs):
        our_cpu, our_wall = measure(ours)
        their_cpu, their_wall = measure(theirs)
        rows.append((our_cpu, their_cpu, our_wall, their_wall))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    pairs = max(parser.parse_args().pairs, 10)
    print("| ours | theirs | ours cpu s | theirs cpu s | cpu ratio (quartiles) | wall ratio | limit |")
    print("|---|---|---|---|---|---|---|")
    for our_name, their_name, ours, theirs in COMPARISONS:
        try:
            rows = compare(ours, theirs, pairs)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"| {our_name} | {their_name} | failed: {error} |")
            continue
        low, middle, high = quantiles([a / b for a, b, _, _ in rows], n=4)
        wall = median(c / d for _, _, c, d in rows)
        cpu = [f"{median(column):.3f}" for column in list(zip(*rows, strict=True))[:2]]
        verdict = "met" if middle <= LIMIT else "NOT MET"
        ratio = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        print(f"| {our_name} | {their_name} | {cpu[0]} | {cpu[1]} | {ratio} | {wall:.2f} | {LIMIT}: {verdict} |")


if __name__ == "__main__":
    main()
