"""Run everything that continuous integration runs: ``python tools/check.py``.

Each step prints its name, its own output and how it ended; the exit code is 0 if all steps passed, 1 otherwise. All
steps run, whichever fails. Needs the extras ``plot`` and ``test``: ``pip install -e ".[plot,test]"``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CODE = ["src", "tests", "benchmarks", "tools"]
STEPS: list[tuple[str, list[str]]] = [
    ("format", ["ruff", "format", "--check", *CODE]),
    ("lint", ["ruff", "check", *CODE]),
    ("types", ["mypy"]),
    ("import rules", ["lint-imports"]),
    ("tests and doctests", [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile"]),
]


def main() -> int:
    """Run all steps and return the exit code."""
    # tests share the cores, so each keeps to one thread
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = (
        threads | os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    )
    results = []
    for name, command in STEPS:
        print(f"== {name}: {' '.join(command)}", flush=True)
        start = time.perf_counter()
        code = _run(command, environment)
        results.append((name, code, time.perf_counter() - start))
        print(flush=True)
    width = max(len(name) for name, _, _ in results)
    for name, code, seconds in results:
        print(f"{name.ljust(width)}  {'passed' if code == 0 else f'FAILED ({code})'}  {seconds:.1f} s")
    failed = [name for name, code, _ in results if code != 0]
    print(f"\n{'all passed' if not failed else 'failed: ' + ', '.join(failed)}")
    return 1 if failed else 0


def _run(command: list[str], environment: dict[str, str]) -> int:
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except FileNotFoundError:
        print(f"{command[0]} is not installed: pip install -e '.[plot,test]'")
        return 127


if __name__ == "__main__":
    sys.exit(main())
