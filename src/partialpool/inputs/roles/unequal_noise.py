"""Whether groups' own sds are more different than one sigma makes them."""

from __future__ import annotations

import numpy as np

from partialpool.errors import UnequalNoiseWarning, warn_user
from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.measurements import Measurements
from partialpool.inputs.roles.role import DescribeRow

# The probability with which sds of equal, normal noise are warned of; how many rows are named, and from how many
# standard errors away.
_FALSE_ALARM, _MOST_NAMED, _FAR = 1e-3, 5, 2.0


def warn_of_unequal_noise(measured: Measurements, where: DescribeRow) -> None:
    """Warn where the sds of rows of (n, mean, sd) speak against one sigma by Bartlett's test (1937, Proc. Royal Society
    A 160:268-282), at 1 in 1,000; the rows whose sds are furthest off are named.

    Rows of size 1 have no sd, and an sd of 0, which rounding makes, is not compared. Of 60,000 simulated sets of equal,
    normal noise at most .0011 were warned of, whatever the number of rows (2 to 200) and their sizes (2 to 61).
    """
    if measured.counts is None or measured.within_squares is None or measured.kind != "summaries":
        return
    rows = np.flatnonzero((measured.counts > 1.0) & (measured.within_squares > 0.0))
    if len(rows) < 2:
        return
    degrees = measured.counts[rows] - 1.0
    precision = np.ones(len(rows)) if measured.precision is None else measured.precision[rows]
    variances = precision * measured.within_squares[rows] / degrees
    if (p := compare_variances(variances, degrees)) >= _FALSE_ALARM:
        return
    logs = np.log(variances)
    middle = _weighted_median(logs, degrees)  # the pooled variance would be near the one row that is off
    away = np.abs(logs - middle) * np.sqrt(degrees / 2.0)  # in standard errors
    furthest = np.argsort(-away, kind="stable")[: max(1, min(_MOST_NAMED, int((away > _FAR).sum())))]
    named = ", ".join(f"{np.sqrt(variances[i]):.3g} in {where(int(rows[i]))}" for i in furthest)
    warn_user(
        f"sd: one sigma stands for rows whose sds differ by more than chance (Bartlett's test, {print_p(p)}); "
        f"furthest from their median {np.exp(middle / 2.0):.3g}: {named}. The answer changes: rows of larger sd count "
        "for too much and have intervals too narrow, those of smaller sd the other way. To let each row have its own "
        "noise give standard_error= (sd / sqrt(n)) in place of size= and sd=; where groups (1 | g) differ, "
        "sigma='pooled by group' learns a sigma of each",
        UnequalNoiseWarning,
    )


def print_p(p: float) -> str:
    """Return a p-value as it is written, also one too small for a number."""
    return f"p = {p:.1g}" if p >= 1e-300 else "p < 1e-300"


def compare_variances(variances: FloatArray, degrees: FloatArray) -> float:
    """Return the p-value of Bartlett's test that ``variances`` (row,) of so many ``degrees`` of freedom are of one."""
    from scipy.special import chdtrc

    total, n = float(degrees.sum()), len(variances)
    statistic = total * np.log(degrees @ variances / total) - degrees @ np.log(variances)
    scale = 1.0 + (float((1.0 / degrees).sum()) - 1.0 / total) / (3.0 * (n - 1.0))
    return float(chdtrc(n - 1.0, max(float(statistic), 0.0) / scale))  # of equal variances rounding leaves less than 0


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values)
    middles = np.cumsum(weights[order]) - weights[order] / 2.0
    return float(np.interp(weights.sum() / 2.0, middles, values[order]))
