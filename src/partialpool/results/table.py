"""A small table that prints without pandas and becomes a data frame on demand (pandas costs a second to import)."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partialpool.inputs.page import page_width
from partialpool.results.table_layout import TextColumn, answer_first, lay_out

if TYPE_CHECKING:
    import pandas as pd

# Digits printed of a line's sd, and of the distances between its quantiles; wider numbers than this are written as
# 1.23e+08.
_FIGURES, _QUANTILE_FIGURES = 3, 2
_WIDEST_NUMBER = 12
# A spread below this share of the line's largest number is what rounding left of none.
_ROUNDING = 1e-12
# Columns without the unit of the others in their line, and how the names of more such begin.
_UNITLESS = ("weight", "P(>0)", "size")
_UNITLESS_START = "proportion"


@dataclass(frozen=True)
class Table:
    """Columns of one length under an index of one or more levels.

    ``index`` holds one sequence per level, named by ``index_names``; ``columns`` maps names to arrays (line,).
    ``notes`` say why numbers do not exist, or how others are to be read; they stand below the print, and in the frame's
    ``attrs["notes"]``.
    """

    index_names: tuple[str | None, ...]
    index: tuple[Sequence[Any] | NDArray[Any], ...]
    columns: dict[str, Any]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index[0])

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a pandas data frame, which prints as the table does."""
        import pandas as pd

        from partialpool.results.printed_frame import PrintedFrame

        if len(self.index) == 1:
            labels: Any = pd.Index(self.index[0], name=self.index_names[0])
        else:
            levels: list[Any] = list(self.index)
            labels = pd.MultiIndex.from_arrays(levels, names=list(self.index_names))
        frame = PrintedFrame(self.columns, index=labels)
        if self.notes:
            frame.attrs["notes"] = list(self.notes)
        return frame

    def render(self, most_lines: int = 30, width: int | None = None, *, answers_lead: bool = False) -> str:
        """Return the table as text of at most ``width`` columns (None: the page's), long tables cut in the middle.

        The answer's columns come first where there are several blocks, or ``answers_lead``. Numbers have the decimals
        that show three figures of their line's sd, or where tails make this wide two of the distances between
        quantiles, lines of one unit alike; a number that does not exist is '-'.

        >>> columns = {"mean": [251.4, 0.0812], "sd": [7.53, 0.273]}
        >>> print(Table((None,), (["Intercept", "cor"],), columns).render())
                      mean     sd
        Intercept  251.40   7.53
        cor          0.081  0.273
        """
        lines, gap = self._choose_lines(most_lines)
        keys = [
            TextColumn(name or "", [str(level[i]) for i in lines])
            for name, level in zip(self.index_names, self.index, strict=True)
        ]
        values = {name: [column[i] for i in lines] for name, column in self.columns.items()}
        keys += [TextColumn(name, column, whole=True) for name, column in values.items() if _are_texts(column)]
        cells = self._format_cells(lines, {name: column for name, column in values.items() if not _are_texts(column)})
        names = answer_first(list(cells)) if answers_lead else list(cells)
        blocks = lay_out(keys, [TextColumn(name, cells[name]) for name in names], width or page_width())
        if len(blocks) > 1 and not answers_lead:
            return self.render(most_lines, width, answers_lead=True)
        if gap:
            for block in blocks:
                block.insert(1 + gap, f"... {len(self) - len(lines):,} more lines ...")
        notes = [line for note in self.notes for line in textwrap.wrap(note, width or page_width())]
        return "\n".join(["\n\n".join("\n".join(block) for block in blocks), *notes])

    def __str__(self) -> str:
        return self.render()

    def _choose_lines(self, most_lines: int) -> tuple[list[int], int]:
        """Return the lines to print, and after how many of them others are left out (0: none are)."""
        n = len(self)
        if n <= most_lines:
            return list(range(n)), 0
        block = 1  # lines that share a label stay together
        while len(self.index) > 1 and block < n and self.index[0][block] == self.index[0][0]:
            block += 1
        half = max(1, most_lines // 2 // block) * block
        if 2 * half >= n:
            return list(range(n)), 0
        return [*range(half), *range(n - half, n)], half

    def _format_cells(self, lines: Sequence[int], values: dict[str, list[Any]]) -> dict[str, list[str]]:
        together = {
            name: [float(value) for value in column]
            for name, column in values.items()
            if not _is_unitless(name) and _are_real(column)
        }
        each = [{name: column[k] for name, column in together.items()} for k in range(len(lines))]
        decimals = self._share_decimals(lines, [_line_decimals(line) for line in each])
        cells = {}
        for name, column in values.items():
            if name in together:
                own = [_own_decimals(line, name) for line in each]
                cells[name] = _align([_write(*cell) for cell in zip(together[name], decimals, own, strict=True)])
            elif _is_unitless(name) and _are_real(column):
                cells[name] = _align([_write(float(x), _FIGURES) for x in column])
            else:
                cells[name] = [str(value) for value in column]
        return cells

    def _share_decimals(self, lines: Sequence[int], decimals: list[int]) -> list[int]:
        """Give lines of one unit the decimals that suit the middle one: all of them, or those of one coefficient."""
        if self.index_names[0] is None or not decimals:
            return decimals
        units = [self.index[-1][i] if len(self.index) > 1 else None for i in lines]
        middle = {
            unit: sorted(d for d, other in zip(decimals, units, strict=True) if other == unit) for unit in set(units)
        }
        return [middle[unit][len(middle[unit]) // 2] for unit in units]


def _is_unitless(name: str) -> bool:
    return name in _UNITLESS or name.startswith(_UNITLESS_START)


def _are_texts(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _are_real(values: Sequence[Any]) -> bool:
    """Say whether a column holds numbers other than integers alone."""
    numbers = all(isinstance(value, int | float | np.integer | np.floating) for value in values)
    return numbers and not all(isinstance(value, int | np.integer) for value in values)


def _line_decimals(line: dict[str, float]) -> int:
    """Return the decimals that show three figures of the line's spread and two of its quantiles' distances, negative
    where whole tens would do."""
    finite = {name: x for name, x in line.items() if math.isfinite(x)}
    residue = _ROUNDING * max(map(abs, finite.values()), default=0.0)
    spreads = {name: x for name, x in finite.items() if (name == "sd" or name.endswith("_sd")) and x > residue}
    quantiles = [x for name, x in finite.items() if name.startswith("q")]
    if spreads:
        size = spreads.get("sd", min(spreads.values()))
    elif quantiles and max(quantiles) - min(quantiles) > residue:
        size = 0.3 * (max(quantiles) - min(quantiles))
    else:
        size = min((abs(x) for x in finite.values() if abs(x) > residue), default=1.0)
    return max(_count_decimals(size), _quantile_decimals(quantiles, residue))


def _quantile_decimals(quantiles: list[float], residue: float) -> int:
    """Return the decimals that show two figures of the least distance between quantiles, but at most one more than the
    distance of the outermost needs; none for whole numbers, such as counts."""
    ordered = sorted(quantiles)
    distances = [high - low for low, high in pairwise(ordered) if high - low > residue]
    if not distances or all(x == round(x) for x in ordered):
        return -_WIDEST_NUMBER
    # of a normal variable's 5, 50 and 95 % points these are its sd
    between, whole = 0.6 * min(distances), 0.3 * (ordered[-1] - ordered[0])
    return min(_count_decimals(between, _QUANTILE_FIGURES), _count_decimals(whole, _QUANTILE_FIGURES) + 1)


def _own_decimals(line: dict[str, float], name: str) -> int | None:
    """Return the decimals that show three figures of the spread of one number of the line (None: it has none)."""
    is_spread = name == "sd" or name.endswith("_sd")
    named = f"{name}_sd" if f"{name}_sd" in line else "sd"
    spread = line[name] if is_spread else line.get(named, math.nan)
    return _count_decimals(spread) if math.isfinite(spread) and spread > 0.0 else None


def _count_decimals(size: float, figures: int = _FIGURES) -> int:
    return figures - 1 - math.floor(math.log10(size))


def _write(number: float, decimals: int, own: int | None = None) -> str:
    """Write a number with these decimals, or, where that is too wide, as 1.23e+08 with those that suit its ``own``
    spread."""
    if math.isnan(number):
        return "-"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    text = f"{number:.{max(decimals, 0)}f}"
    if len(text) <= _WIDEST_NUMBER:
        return text
    size = math.floor(math.log10(abs(number))) if number else 0
    return f"{number:.{min(max(size + (decimals if own is None else own), _FIGURES - 1), 15)}e}"


def _align(texts: list[str]) -> list[str]:
    """Pad numbers on the right so that their decimal points stand above each other."""
    behind = [len(text) - text.find(".") if "." in text and "e" not in text else 0 for text in texts]
    most = max(behind, default=0)
    return [text + " " * (most - count) for text, count in zip(texts, behind, strict=True)]
