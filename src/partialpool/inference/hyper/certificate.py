"""How an answer was obtained and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Status = Literal["exact", "converged", "unreliable", "plug-in"]


@dataclass(frozen=True)
class Engine:
    """The certificate of a fit.

    ``route`` names the method, ``reason`` says why it was taken, ``evidence`` holds the measured accuracy by name,
    ``status`` sums it up: 'exact' (closed form), 'converged' (numerical integration: to the accuracy asked for, unless
    an ``AccuracyWarning`` said how far short of it), 'plug-in' (an estimate put in place of the hyperparameters'
    posterior), 'unreliable'. ``effective_draws`` is how many independent draws the hyperparameter nodes are worth
    (infinite on a grid or in closed form). ``elimination`` says how the factors' effects leave and what one evaluation
    of the likelihood was predicted to cost, ``left`` why a route that comes before this one was left.
    """

    route: str
    reason: str
    evidence: Mapping[str, float]
    status: Status
    effective_draws: float
    elimination: str = ""
    left: str = ""

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {value:.3g}" for name, value in self.evidence.items())
        parts = [f"{self.route} ({self.reason})", self.left, self.elimination, numbers, f"status: {self.status}"]
        return "; ".join(part for part in parts if part)
