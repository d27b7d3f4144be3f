"""Page: how many characters a line of print may have."""

from __future__ import annotations

import shutil
import textwrap

#: Characters in a line where no terminal says how many it has, and the most in a line of prose.
USUAL_WIDTH = 100
_NARROWEST = 40


def page_width(usual: int = USUAL_WIDTH) -> int:
    """Return the terminal's width (or that of the variable COLUMNS), ``usual`` where there is no terminal."""
    return max(shutil.get_terminal_size((usual, 24)).columns, _NARROWEST)


def wrap_prose(text: str, indent: int = 2) -> list[str]:
    """Return lines that fit the page, those after the first indented."""
    width = min(page_width(), USUAL_WIDTH)
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)
