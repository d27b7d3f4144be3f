"""The demonstration: eight schools, from numbers to a partially pooled answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.errors import OutputError

if TYPE_CHECKING:
    from partialpool.posterior import Posterior

INTRODUCTION = """\
Eight schools (Rubin 1981): the effect of coaching on a test score, estimated
with a standard error in each of eight schools. How different are the schools?
"""


def fit_demo() -> Posterior:
    """Fit the eight schools with default priors."""
    from partialpool.datasets import eight_schools
    from partialpool.fit import fit
    from partialpool.posterior import Posterior

    fitted = fit("effect ~ 1 + (1 | school)", eight_schools(), standard_error="se")
    assert isinstance(fitted, Posterior)  # one sigma for all: a joint posterior
    return fitted


def find_demo_picture() -> tuple[Path | None, str]:
    """Return where the demonstration draws its picture, or None and why it draws none.

    Raises ``OutputError`` where it cannot be written.
    """
    from partialpool.outputs.output_paths import check_matplotlib, check_picture_path

    try:
        check_matplotlib()
    except OutputError as error:
        return None, str(error)
    return check_picture_path(Path.cwd() / "shrinkage.png"), ""


def conclude(fit: Posterior) -> str:
    """Return what the fit says, in one sentence with its numbers."""
    from partialpool.results.groups import tabulate_groups

    columns = tabulate_groups(fit.fitted, None).columns
    raw, pooled, weight = columns["raw"], columns["mean"], columns["weight"]
    return (
        f"Raw effects run from {min(raw):.0f} to {max(raw):.0f} points; partially pooled, from {min(pooled):.1f} to "
        f"{max(pooled):.1f}:\nthe schools' own estimates are so noisy that they keep {100 * min(weight):.0f} to "
        f"{100 * max(weight):.0f} % of their weight."
    )
