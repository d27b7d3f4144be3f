"""Whether groups' own sds are more different than one sigma makes them."""

from __future__ import annotations

import numpy as np

from partialpool.errors import UnequalNoiseWarning, warn_user
from partialpool.inputs.measurements import Measurements
from partialpool.inputs.raw_columns import FloatArray
from partialpool.inputs.role import DescribeRow

# The probability with which sds of equal, normal noise are warned of, and the groups that are named.
_FALSE_ALARM, _MOST_NAMED = 1e-3, 5


def warn_of_unequal_noise(measured: Measurements, where: DescribeRow) -> None:
    """Warn where the sds of rows of (n, mean, sd) speak against one sigma by Bartlett's test (1937, Proc. Royal Society
    A 160:268-282), at 1 in 1,000; the rows whose sds are furthest off are named."""
    if measured.counts is None or measured.within_squares is None or measured.kind != "summaries":
        return
    rows = np.flatnonzero((measured.counts > 1.0) & (measured.within_squares > 0.0))
    if len(rows) < 2:
        return
    degrees = measured.counts[rows] - 1.0
    variances = measured.within_squares[rows] / degrees
    if (p := compare_variances(variances, degrees)) >= _FALSE_ALARM:
        return
    pooled = float(degrees @ variances / degrees.sum())
    away = np.log(variances / pooled) * np.sqrt(degrees)
    furthest = rows[np.argsort(-np.abs(away))[:_MOST_NAMED]]
    sds = np.sqrt(measured.within_squares[furthest] / (measured.counts[furthest] - 1.0))
    named = ", ".join(f"{sd:.3g} in {where(int(row))}" for sd, row in zip(sds, furthest, strict=True))
    warn_user(
        f"sd: one sigma is fitted to rows whose sds differ by more than chance (Bartlett's test, p = {p:.1g}); "
        f"furthest from the pooled {np.sqrt(pooled):.3g} are {named}. The answer changes: rows of larger sd count for "
        "too much and have intervals too narrow, those of smaller sd the other way. To let each row have its own noise "
        "give standard_error= (sd / sqrt(n)) in place of size= and sd=",
        UnequalNoiseWarning,
    )


def compare_variances(variances: FloatArray, degrees: FloatArray) -> float:
    """Return the p-value of Bartlett's test that ``variances`` (row,) of so many ``degrees`` of freedom are of one."""
    from scipy.special import chdtrc

    total, n = float(degrees.sum()), len(variances)
    statistic = total * np.log(degrees @ variances / total) - degrees @ np.log(variances)
    scale = 1.0 + (float((1.0 / degrees).sum()) - 1.0 / total) / (3.0 * (n - 1.0))
    return float(chdtrc(n - 1.0, statistic / scale))
