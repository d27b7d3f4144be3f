"""What the command line says on standard error: one block an error, one line a warning."""

from __future__ import annotations

import errno
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from partialpool.errors import (
    ComputationError,
    DataError,
    FormulaError,
    IdentificationError,
    NotYetError,
    OutputError,
    PartialpoolError,
    PartialpoolWarning,
    PriorError,
)
from partialpool.inputs.page import USUAL_WIDTH, page_width

_TITLES: dict[type[PartialpoolError], str] = {
    DataError: "the data cannot be used",
    FormulaError: "the formula cannot be understood",
    PriorError: "a prior cannot be used",
    IdentificationError: "the data cannot tell apart what the model asks for",
    NotYetError: "not computed yet",
    ComputationError: "the computation did not succeed",
    OutputError: "a file cannot be used",
}


@contextmanager
def speak_plainly() -> Iterator[None]:
    """Turn errors into one block on standard error and exit code 1, warnings into one line each."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", PartialpoolWarning)
        warnings.showwarning = _print_warning
        try:
            yield
        except PartialpoolError as error:
            title = next((text for kind, text in _TITLES.items() if isinstance(error, kind)), "an error")
            _print_error(title, str(error))
            sys.exit(1)
        except MemoryError:
            _print_error("out of memory", "use fewer rows or columns, or a machine with more memory")
            sys.exit(1)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe has gone: click ends quietly
                raise
            _print_error("a file cannot be used", str(error))
            sys.exit(1)
        except Exception as error:
            _print_error("a defect in partialpool, please report it", _locate(error))
            sys.exit(1)


def _print_error(title: str, message: str) -> None:
    if "\n" not in message:  # a marked place in a formula keeps its lines
        message = "\n".join(textwrap.wrap(message, min(page_width(), USUAL_WIDTH) - 2, break_on_hyphens=False))
    click.echo(f"error: {title}\n{textwrap.indent(message, '  ')}", err=True)


def _print_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    click.echo(f"warning: {' '.join(str(message).split())}", err=True)


def _locate(error: Exception) -> str:
    """Say what went wrong and in which line of the package."""
    place, trace = "", error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "partialpool" in path.parts:
            place = f" (at {path.parent.name}/{path.name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"
