"""What is imported: nothing heavy before it is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import partialpool

HEAVY = {"pandas", "formulaic", "matplotlib", "xarray", "narwhals", "pyarrow", "polars", "h5netcdf", "rich"}


DEMO = "from partialpool.cli.verbs import main\nmain(['demo', '--no-plot'], standalone_mode=False)"


def _modules_after(code: str, where: Path) -> set[str]:
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(Path(partialpool.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=where, env=environment
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    assert not _modules_after("import partialpool", tmp_path) & (HEAVY | {"numpy", "scipy", "click"})


def test_the_demo_without_its_picture_loads_little_more_than_numpy_and_scipy(tmp_path: Path) -> None:
    assert not _modules_after(DEMO, tmp_path) & (HEAVY | {"scipy.stats"})
    assert not list(tmp_path.iterdir())
