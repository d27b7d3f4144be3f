"""What every Python peer shares: reading the problem, timing, and the one JSON line it prints.

A peer is started as ``python PEER.py FOLDER``. FOLDER holds ``problem.txt`` (lines ``key: value``; a key
that is none of the fields below is a parameter and its prior) and ``data.csv``. The draws of the last fit go
to ``draws.f64``, parameter by parameter, chain by chain, so that one program judges all tools by one ruler.
"""

from __future__ import annotations

import csv
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FIELDS = (
    "name",
    "formula",
    "response",
    "predictor",
    "group",
    "standard_error",
    "parametrisation",
    "seed",
    "repeats",
    "draws",
)


@dataclass(frozen=True)
class Task:
    folder: Path
    name: str
    formula: str
    response: str
    predictor: str
    group: str
    standard_error: str
    parametrisation: str
    seed: int
    repeats: int
    draws: int
    priors: dict[str, str]
    data: dict[str, np.ndarray]

    def scale_name(self, coefficient: str) -> str:
        return f"sd({self.group}, {coefficient})" if self.predictor else f"sd({self.group})"

    @property
    def correlation_name(self) -> str:
        return f"cor({self.group}, Intercept, {self.predictor})"

    def prior_numbers(self, parameter: str) -> list[float]:
        """The arguments of a prior: 'Normal(250, 100)' gives [250, 100]."""
        return [float(number) for number in re.findall(r"-?[\d.]+", self.priors[parameter])]

    def group_codes(self) -> tuple[int, np.ndarray]:
        levels, codes = np.unique(self.data[self.group], return_inverse=True)
        return len(levels), codes


def read_task() -> Task:
    folder = Path(sys.argv[1])
    lines = dict(line.split(": ", 1) for line in (folder / "problem.txt").read_text().splitlines())
    fields = {key: lines.pop(key).strip() for key in FIELDS}
    with (folder / "data.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    data = {
        name: as_levels(values) if name == fields["group"] else np.array(values, float)
        for name, values in zip(header, zip(*rows, strict=True), strict=True)
    }
    for count in ("seed", "repeats", "draws"):
        fields[count] = int(fields[count])
    return Task(folder=folder, priors=lines, data=data, **fields)


def as_levels(values: tuple[str, ...]) -> np.ndarray:
    """Integers where every level is one, as a user's table would have them."""
    return np.array(values, int) if all(value.isdigit() for value in values) else np.array(values)


def time_fits(fit: Callable[[int], object], task: Task) -> tuple[list[float], object]:
    """One warm-up fit, then the timed ones, each with its seed; the seconds and the last result."""
    result = fit(task.seed)
    seconds = []
    for seed in range(task.seed + 1, task.seed + 1 + task.repeats):
        start = time.perf_counter()
        result = fit(seed)
        seconds.append(time.perf_counter() - start)
    return seconds, result


def report_point(task: Task, peer: str, version: str, seconds: list[float], estimates: dict[str, float]) -> None:
    print_line(task, peer, "point", version, seconds, estimates={k: float(v) for k, v in estimates.items()})


def report_draws(
    task: Task, peer: str, version: str, seconds: list[float], draws: Mapping[str, np.ndarray], **more: object
) -> None:
    """``draws``: parameter -> array of shape (chain, draw)."""
    array = np.array([draws[name] for name in task.priors], float)
    (task.folder / "draws.f64").write_bytes(array.tobytes())
    shape = {
        "parameters": list(task.priors),
        "chains": array.shape[1],
        "draws": array.shape[1] * array.shape[2],
    }
    means = dict(zip(task.priors, array.mean((1, 2)).tolist(), strict=True))
    print_line(task, peer, "bayes", version, seconds, estimates=means, **shape, **more)


def print_line(task: Task, peer: str, kind: str, version: str, seconds: list[float], **more: object) -> None:
    print(
        json.dumps(
            {
                "peer": peer,
                "problem": task.name,
                "kind": kind,
                "version": version,
                "warm_seconds": seconds,
                **more,
            }
        )
    )
