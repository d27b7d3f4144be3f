"""Shares: a response strictly between 0 and 1, and what to do about one that is not."""

from __future__ import annotations

from partialpool.inputs.columns.raw_columns import FloatArray
from partialpool.inputs.roles.role import DescribeRow, Role, refuse


def check_shares(title: str, values: FloatArray, where: DescribeRow) -> None:
    """Raise ``DataError`` unless values (row,) are above 0 and below 1, as those of family beta are."""
    role = Role(title, title, values)
    remedy = "mend or drop the row, or give family='gaussian' for measurements without such ends"
    if values.size and values.min() >= 0.0 and values.max() <= 100.0:
        remedy = "divide percentages by 100, or mend the row"
    refuse(
        role,
        ~((values >= 0.0) & (values <= 1.0)),
        where,
        f"with family='beta' values are shares between 0 and 1; {remedy}",
    )
    refuse(
        role,
        (values == 0.0) | (values == 1.0),
        where,
        "with family='beta' values are above 0 and below 1, and inflation at the ends is not computed; if they are "
        "proportions of counts give the counts with family='binomial' and trials=; if they are rounded give what is "
        "half a step short of the end; else drop these rows, and model who is at the end apart",
    )
