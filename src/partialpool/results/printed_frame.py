"""Printed frame: a pandas data frame that prints whole, the answer first, in lines that fit the page.

This module imports pandas; it is imported when a data frame is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from partialpool.inputs.page import page_width
from partialpool.results.table import Table
from partialpool.results.table_layout import answer_first

# pandas' own defaults: a user who changes them asks for the print that pandas makes of them.
_PANDAS_WIDTH = 80
_PANDAS_PRECISION = 6


class _AnyFrame(type):
    """Lets every data frame pass for a printed one, from which it differs in nothing but its print.

    ``pandas.testing.assert_frame_equal(frame, fit.groups())`` asks for that.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, pd.DataFrame)


class PrintedFrame(pd.DataFrame, metaclass=_AnyFrame):
    """A data frame whose print has every column, as its head and tail have; all else that is made of it, copies and
    pickles too, are plain."""

    @property
    def _constructor(self) -> Callable[..., pd.DataFrame]:
        return pd.DataFrame

    def __reduce__(self) -> Any:
        return pd.DataFrame(self).__reduce__()

    # final to type checkers, so that subclasses keep the numbers; only the print differs
    def head(self, n: int = 5) -> PrintedFrame:  # type: ignore[misc]
        """Return the first ``n`` lines."""
        return self._as_printed(super().head(n))

    def tail(self, n: int = 5) -> PrintedFrame:  # type: ignore[misc]
        """Return the last ``n`` lines."""
        return self._as_printed(super().tail(n))

    def _as_printed(self, lines: pd.DataFrame) -> PrintedFrame:
        printed = PrintedFrame(lines)
        printed.attrs = dict(self.attrs)
        return printed

    def __repr__(self) -> str:
        if not all(isinstance(name, str) for name in self.columns) or not self.columns.is_unique:
            return super().__repr__()
        if pd.get_option("display.float_format") or pd.get_option("display.precision") != _PANDAS_PRECISION:
            return self._print_by_pandas()
        return _as_table(self).render(self._count_lines(), _choose_width(), answers_lead=True)

    def _print_by_pandas(self) -> str:
        ordered = pd.DataFrame(self)[answer_first(list(self.columns))]
        lines = self._count_lines()
        return ordered.to_string(max_rows=lines, min_rows=lines, line_width=_choose_width())

    def _count_lines(self) -> int:
        """Return how many lines are printed, by pandas' options."""
        most = pd.get_option("display.max_rows") or len(self)
        return len(self) if len(self) <= most else min(pd.get_option("display.min_rows") or most, most)


def _choose_width() -> int:
    """Return the user's display.width, else the terminal's, else pandas' own."""
    chosen = pd.get_option("display.width")
    return chosen if chosen and chosen != _PANDAS_WIDTH else page_width(_PANDAS_WIDTH)


def _as_table(frame: pd.DataFrame) -> Table:
    index = frame.index
    names = tuple(None if name is None else str(name) for name in index.names)
    levels = tuple(np.asarray(index.get_level_values(k)) for k in range(index.nlevels))
    notes = tuple(str(note) for note in frame.attrs.get("notes", ()))
    return Table(names, levels, {str(name): frame[name].to_numpy() for name in frame.columns}, notes)
