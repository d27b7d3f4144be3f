"""Exceptions and warnings: each message says what, where and the remedy."""

from __future__ import annotations

import sys
import warnings
from types import FrameType


class PartialpoolError(Exception):
    """The root of every error that partialpool raises on purpose."""


class DataError(PartialpoolError, ValueError):
    """The data cannot be used as given; the message names the column, the row and the remedy."""


class FormulaError(PartialpoolError, ValueError):
    """The formula cannot be understood; the message marks the place."""


class PriorError(PartialpoolError, ValueError):
    """A prior is unknown, invalid, or leaves the posterior improper."""


class IdentificationError(PartialpoolError, ValueError):
    """The data cannot tell apart what the model asks for; the message names the columns or factors."""


class NotYetError(PartialpoolError, NotImplementedError):
    """The model is understood but not computed yet; the message says what would be needed."""


class ComputationError(PartialpoolError, RuntimeError):
    """A computation did not reach its stated accuracy; the message gives the cause and the remedy."""


class OutputError(PartialpoolError, OSError):
    """A file could not be read or written; the message names the path and the remedy."""


class PartialpoolWarning(UserWarning):
    """A warning; its message states whether the answer changes."""


class MissingRowsWarning(PartialpoolWarning):
    """Rows with missing values were left out; the message counts them by column."""


class PriorWarning(PartialpoolWarning):
    """A prior is legal but known to mislead; the message gives the reason."""


class ModelWarning(PartialpoolWarning):
    """A model is legal and may not be the one that was meant; the message says what it answers."""


class AliasedColumnsWarning(PartialpoolWarning):
    """Columns that others determine in the rows at hand were left out; the message names them."""


class UnequalNoiseWarning(PartialpoolWarning):
    """Groups' own sds differ by more than chance under one sigma; the message names them."""


class AccuracyWarning(PartialpoolWarning):
    """A result was obtained below the accuracy asked for; the message says by how much."""


def warn_user(message: str, category: type[PartialpoolWarning]) -> None:
    """Issue a warning that points at the line which called the package, however deep inside it is issued.

    ``stacklevel`` counts frames, which differ by route; ``skip_file_prefixes`` takes Python 3.12.
    """
    frame: FrameType | None = sys._getframe()
    depth, outermost = 0, 0
    while frame is not None:
        depth += 1
        module = frame.f_globals.get("__name__", "").partition(".")[0]
        # functools stands between a cached property and the line that reads it; other libraries' frames further in
        if module == __package__ or (module == "functools" and outermost == depth - 1):
            outermost = depth
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=outermost + 1)  # noqa: TID251
