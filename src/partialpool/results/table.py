"""A small table that prints without pandas and becomes a data frame on demand (pandas costs a second to import)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """Columns of one length under an index of one or more levels.

    ``index`` holds one sequence per level, named by ``index_names``; ``columns`` maps names to arrays (line,).
    """

    index_names: tuple[str | None, ...]
    index: tuple[Sequence[Any], ...]
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.index[0])

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a pandas data frame."""
        import pandas as pd

        if len(self.index) == 1:
            labels: Any = pd.Index(self.index[0], name=self.index_names[0])
        else:
            labels = pd.MultiIndex.from_arrays(list(self.index), names=list(self.index_names))
        return pd.DataFrame(self.columns, index=labels)

    def render(self, most_lines: int = 30) -> str:
        """Return the table as text, numbers to what their column's spread supports, long tables cut in the middle."""
        lines = list(range(len(self)))
        cut = len(lines) > most_lines
        if cut:
            lines = [*lines[: most_lines // 2], *lines[len(lines) - most_lines // 2 :]]
        heads = [name or "" for name in self.index_names] + list(self.columns)
        cells = [[str(level[i]) for i in lines] for level in self.index]
        cells += [_format_column([column[i] for i in lines]) for column in self.columns.values()]
        widths = [max(map(len, [head, *column])) for head, column in zip(heads, cells, strict=True)]
        left = len(self.index)

        def line(parts: Sequence[str]) -> str:
            padded = [
                part.ljust(width) if k < left else part.rjust(width)
                for k, (part, width) in enumerate(zip(parts, widths, strict=True))
            ]
            return "  ".join(padded).rstrip()

        text = [line(heads), *(line([column[i] for column in cells]) for i in range(len(lines)))]
        if cut:
            text.insert(1 + most_lines // 2, f"... {len(self) - len(lines)} more ...")
        return "\n".join(text)

    def __str__(self) -> str:
        return self.render()


def _format_column(values: Sequence[Any]) -> list[str]:
    """Format numbers of one column alike: enough decimals for three figures of a typical value."""
    if not all(isinstance(value, int | float | np.integer | np.floating) for value in values):
        return [str(value) for value in values]
    numbers = [float(value) for value in values]
    sizes = sorted(abs(number) for number in numbers if np.isfinite(number) and number != 0.0)
    if all(isinstance(value, int | np.integer) or float(value).is_integer() for value in values) and not any(
        isinstance(value, float | np.floating) and not np.isfinite(value) for value in values
    ) and all(isinstance(value, int | np.integer) for value in values):
        return [f"{int(value)}" for value in values]
    typical = sizes[len(sizes) // 2] if sizes else 1.0
    if typical >= 1e6 or typical < 1e-4:
        return [_special(number) or f"{number:.3g}" for number in numbers]
    decimals = max(0, 2 - int(np.floor(np.log10(typical))))
    return [_special(number) or f"{number:.{decimals}f}" for number in numbers]


def _special(number: float) -> str | None:
    if np.isnan(number):
        return "-"
    return None if np.isfinite(number) else ("inf" if number > 0 else "-inf")
