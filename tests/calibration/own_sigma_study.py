"""Groups with sigmas of their own, from a lognormal population of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .study import FloatArray, Study


@dataclass(frozen=True)
class OwnSigmaStudy(Study):
    """A study whose rows have their group's sigma."""

    @property
    def options(self) -> dict[str, Any]:
        """What ``fit`` is told beside formula and priors."""
        return {"sigma": "pooled by group"}

    def draw_truth(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw the groups' sigmas too."""
        truth = super().draw_truth(rng)
        logs = truth["mean(log sigma)"] + truth["sd(log sigma)"] * rng.standard_normal(self.n_groups)
        return truth | {f"sigma[g={j}]": float(np.exp(log)) for j, log in enumerate(logs)}

    def noise(self, values: Mapping[str, Any]) -> FloatArray:
        """Return each row's residual sd, (row,) or (row, draw)."""
        return np.asarray([values[f"sigma[g={j}]"] for j in range(self.n_groups)])[self.groups]

    @property
    def ranked(self) -> tuple[str, ...]:
        """The sigmas of the first and the last group too."""
        return (*super().ranked, "sigma[g=0]", f"sigma[g={self.n_groups - 1}]")
