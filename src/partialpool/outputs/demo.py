"""The demonstration: eight schools, from numbers to a partially pooled answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from partialpool.results.posterior import Posterior

INTRODUCTION = """\
Eight schools (Rubin 1981): the effect of coaching on a test score, estimated in each of eight
schools, with its standard error. Are the schools really that different?
"""


def fit_demo() -> Posterior:
    """Fit the eight schools with default priors."""
    from partialpool.datasets import eight_schools
    from partialpool.fit import fit
    from partialpool.results.posterior import Posterior

    fitted = fit("effect ~ 1 + (1 | school)", eight_schools(), standard_error="se")
    assert isinstance(fitted, Posterior)  # one sigma for all: a joint posterior
    return fitted


def demo_picture_path() -> Path:
    """Return where the demonstration draws its picture."""
    return Path.cwd() / "shrinkage.png"
