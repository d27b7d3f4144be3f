"""A small table that prints without pandas and becomes a data frame on demand (pandas costs a second to import)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

# Columns of a terminal, and the fewest characters to which a label is shortened.
_PAGE_WIDTH = 100
_SHORTEST_LABEL = 24
# Digits printed of a line's sd; wider numbers than this are written as 1.23e+08.
_FIGURES = 3
_WIDEST_NUMBER = 12
# Columns without the unit of the others in their line, and how the names of more such begin.
_UNITLESS = ("weight", "P(>0)", "size")
_UNITLESS_START = "proportion"


@dataclass(frozen=True)
class Table:
    """Columns of one length under an index of one or more levels.

    ``index`` holds one sequence per level, named by ``index_names``; ``columns`` maps names to arrays (line,).
    """

    index_names: tuple[str | None, ...]
    index: tuple[Sequence[Any] | NDArray[Any], ...]
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.index[0])

    def to_frame(self) -> pd.DataFrame:
        """Return the table as a pandas data frame."""
        import pandas as pd

        if len(self.index) == 1:
            labels: Any = pd.Index(self.index[0], name=self.index_names[0])
        else:
            levels: list[Any] = list(self.index)
            labels = pd.MultiIndex.from_arrays(levels, names=list(self.index_names))
        return pd.DataFrame(self.columns, index=labels)

    def render(self, most_lines: int = 30, width: int = _PAGE_WIDTH) -> str:
        """Return the table as text of at most ``width`` columns, long tables cut in the middle.

        Numbers have the decimals that show three figures of their line's sd, lines of one unit alike; a number that
        does not exist is '-'.

        >>> columns = {"mean": [251.4, 0.0812], "sd": [7.53, 0.273]}
        >>> print(Table((None,), (["Intercept", "cor"],), columns).render())
                      mean     sd
        Intercept  251.40   7.53
        cor          0.081  0.273
        """
        lines, gap = self._choose_lines(most_lines)
        labels = [[str(level[i]) for i in lines] for level in self.index]
        cells = self._format_cells(lines)
        heads = [name or "" for name in self.index_names]
        numbers = sum(2 + max(map(len, [name, *texts])) for name, texts in cells.items())
        _shorten_labels(heads, labels, max(_SHORTEST_LABEL, width - numbers))
        blocks = []
        for names in _fold(heads, labels, cells, width):
            text = _lay_out(heads, labels, {name: cells[name] for name in names})
            if gap:
                text.insert(1 + gap, f"... {len(self) - len(lines):,} more lines ...")
            blocks.append("\n".join(text))
        return "\n\n".join(blocks)

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

    def _format_cells(self, lines: Sequence[int]) -> dict[str, list[str]]:
        values = {name: [column[i] for i in lines] for name, column in self.columns.items()}
        together = {
            name: [float(value) for value in column]
            for name, column in values.items()
            if not _is_unitless(name) and _are_real(column)
        }
        decimals = self._share_decimals(
            lines, [_line_decimals({name: column[k] for name, column in together.items()}) for k in range(len(lines))]
        )
        cells = {}
        for name, column in values.items():
            if name in together:
                cells[name] = _align([_write(x, d) for x, d in zip(together[name], decimals, strict=True)])
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


def _are_real(values: Sequence[Any]) -> bool:
    """Say whether a column holds numbers other than integers alone."""
    numbers = all(isinstance(value, int | float | np.integer | np.floating) for value in values)
    return numbers and not all(isinstance(value, int | np.integer) for value in values)


def _line_decimals(line: dict[str, float]) -> int:
    """Return the decimals that show three figures of the line's spread, negative where whole tens would do."""
    finite = {name: x for name, x in line.items() if math.isfinite(x)}
    spreads = [x for name, x in finite.items() if (name == "sd" or name.endswith("_sd")) and x > 0.0]
    quantiles = [x for name, x in finite.items() if name.startswith("q")]
    if spreads:
        size = finite["sd"] if finite.get("sd", 0.0) > 0.0 else min(spreads)
    elif quantiles and max(quantiles) > min(quantiles):
        size = 0.3 * (max(quantiles) - min(quantiles))
    else:
        size = min((abs(x) for x in finite.values() if x != 0.0), default=1.0)
    return _FIGURES - 1 - math.floor(math.log10(size))


def _write(number: float, decimals: int) -> str:
    if math.isnan(number):
        return "-"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    text = f"{number:.{max(decimals, 0)}f}"
    if len(text) <= _WIDEST_NUMBER:
        return text
    size = math.floor(math.log10(abs(number))) if number else 0
    return f"{number:.{min(max(size + decimals, _FIGURES - 1), 15)}e}"


def _align(texts: list[str]) -> list[str]:
    """Pad numbers on the right so that their decimal points stand above each other."""
    behind = [len(text) - text.find(".") if "." in text and "e" not in text else 0 for text in texts]
    most = max(behind, default=0)
    return [text + " " * (most - count) for text, count in zip(texts, behind, strict=True)]


def _shorten_labels(heads: Sequence[str], labels: list[list[str]], room: int) -> None:
    """Shorten the longest labels, in place, until all levels fit into ``room`` beside each other."""
    widths = [max(map(len, [head, *level])) for head, level in zip(heads, labels, strict=True)]
    least = [max(len(head), 8) for head in heads]
    while sum(widths) + 2 * (len(widths) - 1) > room:
        longest = max(range(len(widths)), key=lambda k: widths[k] - least[k])
        if widths[longest] <= least[longest]:
            break
        widths[longest] -= 1
    for level, width in zip(labels, widths, strict=True):
        level[:] = [label if len(label) <= width else label[: width - 5] + "..." + label[-2:] for label in level]


def _fold(
    heads: Sequence[str], labels: Sequence[Sequence[str]], cells: dict[str, list[str]], width: int
) -> list[list[str]]:
    """Return the names of the columns of each block that fits the width."""
    margin = sum(max(map(len, [head, *level])) for head, level in zip(heads, labels, strict=True))
    margin += 2 * (len(heads) - 1)
    blocks: list[list[str]] = [[]]
    used = margin
    for name, texts in cells.items():
        needed = 2 + max(map(len, [name, *texts]))
        if blocks[-1] and used + needed > width:
            blocks.append([])
            used = margin
        blocks[-1].append(name)
        used += needed
    return blocks


def _lay_out(heads: Sequence[str], labels: Sequence[Sequence[str]], cells: dict[str, list[str]]) -> list[str]:
    """Return the heading and the lines, labels left and numbers right."""
    columns = [[head, *level] for head, level in zip(heads, labels, strict=True)]
    columns += [[name, *texts] for name, texts in cells.items()]
    padded = []
    for k, column in enumerate(columns):
        wide = max(map(len, column))
        padded.append([text.ljust(wide) if k < len(heads) else text.rjust(wide) for text in column])
    return ["  ".join(parts).rstrip() for parts in zip(*padded, strict=True)]
