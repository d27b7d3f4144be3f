"""Data files: CSV and Parquet as frames, with what is wrong with a file said in its own terms."""

from __future__ import annotations

import csv
import difflib
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from partialpool.errors import DataError, OutputError, PartialpoolError

if TYPE_CHECKING:
    import pandas as pd

    from partialpool.inputs.language.formula import Formula

ENDINGS = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
# Bytes at the end of a file in which its last line is looked for.
_TAIL = 65536


def read_data_file(path: str | Path, formula: Formula, roles: Mapping[str, str]) -> Any:
    """Return the columns of a CSV or Parquet file that a formula and the roles (argument -> column) use.

    Columns that serve only as grouping factors keep their labels: '007' stays text, 308 an integer. Raises
    ``OutputError`` when the file is absent or cannot be read, ``DataError`` when what it holds is not a table.
    """
    from partialpool.inputs.language.columns_used import list_columns_used

    path = Path(path)
    _check_there(path)
    used = list_columns_used(formula)
    others = [*used.response, *used.ordinary, *roles.values()]
    wanted = list(dict.fromkeys([*others, *used.factors]))
    if path.name.lower().endswith(".parquet"):
        return _read_parquet(path, wanted)
    return _read_csv(path, wanted, [name for name in used.factors if name not in others])


def _check_there(path: Path) -> None:
    if not path.exists():
        folder = path.parent
        names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean '{folder / near[0]}'?" if near else "check the path"
        raise OutputError(f"there is no file '{path}': {hint}")
    if path.is_dir():
        raise OutputError(f"'{path}' is a directory: give a file")
    if not path.name.lower().endswith(ENDINGS):
        raise OutputError(f"'{path}' has an ending that is not read: give {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    if path.stat().st_size == 0:
        raise DataError(f"'{path}' is empty: write its table again")


def _read_parquet(path: Path, wanted: Sequence[str]) -> Any:
    if find_spec("pyarrow") is None:
        raise OutputError(f"'{path}': Parquet needs pyarrow, which is not installed: pip install 'partialpool[files]'")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if set(wanted) <= set(names):
            return pq.read_table(path, columns=list(wanted))
        return {name: [] for name in names}  # whose lack of a column is reported like any other
    except (pa.ArrowException, OSError) as error:
        raise OutputError(
            f"'{path}' is not a Parquet file, or is cut short ({_first_line(error)}): write it again"
        ) from error


def _read_csv(path: Path, wanted: Sequence[str], labels: Sequence[str]) -> Any:
    tabs = ".tsv" in path.suffixes or ".TSV" in path.suffixes
    separator = "\t" if tabs else ","
    try:
        with _open(path) as source:
            names = _read_header(path, source, separator)
            if not set(wanted) <= set(names):
                _check_separator(path, names)
                return {name: [] for name in names}  # whose lack of a column is reported like any other
            _check_duplicates(path, names, wanted)
            _check_last_line(path, source, separator, len(names))
            frame = _parse(source, separator, labels)
    except PartialpoolError:
        raise
    except (EOFError, zlib.error) as error:
        raise OutputError(f"'{path}' is cut short ({_first_line(error)}): compress or copy it again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not text in UTF-8: save it as CSV in UTF-8") from error
    except OSError as error:
        raise OutputError(f"'{path}' cannot be read ({_first_line(error)}): check the file") from error
    except csv.Error as error:
        raise DataError(f"'{path}' is not CSV ({_first_line(error)}): save it as CSV in UTF-8") from error
    except (ValueError, Warning) as error:  # pandas' errors and warnings of parsing
        raise DataError(
            f"'{path}' is not a table in CSV ({_first_line(error)}): give every line as many fields as the "
            "heading, with quotes around a field that holds a separator"
        ) from error
    if not len(frame):
        raise DataError(f"'{path}' has a heading and no rows: add the data")
    for name in labels:
        frame[name] = _tidy_labels(frame[name].astype("category"))
    return frame


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    import gzip

    with gzip.open(path) as packed:
        return io.BytesIO(packed.read())


def _read_header(path: Path, source: IO[bytes], separator: str) -> list[str]:
    if b"\0" in source.read(4096):
        raise DataError(f"'{path}' is not text (it holds zero bytes): save it as CSV in UTF-8")
    source.seek(0)
    text = io.TextIOWrapper(source, encoding="utf-8-sig", newline="")
    try:
        header = next((line for line in csv.reader(text, delimiter=separator, skipinitialspace=True) if line), [])
    finally:
        text.detach()
    source.seek(0)
    if not any(header):
        raise DataError(f"'{path}' is empty: its first line should name the columns")
    return header


def _check_separator(path: Path, names: Sequence[str]) -> None:
    if len(names) == 1:
        for separator, called in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
            if separator in names[0]:
                raise DataError(
                    f"the fields of '{path}' seem to be separated by {called}: save it with commas as .csv, or with "
                    "tabs as .tsv"
                )


def _check_duplicates(path: Path, names: Sequence[str], wanted: Iterable[str]) -> None:
    count = Counter(names)
    for name in wanted:
        if count[name] > 1:
            raise DataError(f"{count[name]} columns of '{path}' are named '{name}': rename all but one")


def _check_last_line(path: Path, source: IO[bytes], separator: str, n_fields: int) -> None:
    """Refuse a last line with too few fields, which pandas would fill up with missing values."""
    end = source.seek(0, io.SEEK_END)
    start = source.seek(max(0, end - _TAIL))
    lines = [line for line in source.read().split(b"\n") if line.strip()]
    source.seek(0)
    if not lines or (len(lines) == 1 and start > 0):
        return
    last = lines[-1].decode("utf-8", errors="replace").rstrip("\r")
    if last.count('"') % 2:  # the end of a field of several lines: left to the parser
        return
    found = len(next(csv.reader([last], delimiter=separator, skipinitialspace=True), []))
    if found < n_fields:
        raise DataError(
            f"'{path}' looks half written: its last line has {found} of {n_fields} fields ({last[:40]!r}): write it "
            "again, or complete the line"
        )


def _parse(source: IO[bytes], separator: str, labels: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            source,
            sep=separator,
            dtype=dict.fromkeys(labels, str),
            encoding="utf-8-sig",
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
        )


def _tidy_labels(column: pd.Series[Any]) -> Any:
    """Return a categorical column of label texts as numbers where all are written as numbers are, else as texts."""
    import numpy as np
    import pandas as pd

    texts = [str(text) for text in column.cat.categories]
    numbers = _as_numbers(texts)
    if numbers is None:
        return column.cat.reorder_categories(sorted(texts))
    if all(isinstance(number, int) for number in numbers):
        return column.cat.rename_categories(numbers).cat.reorder_categories(sorted(numbers))
    values = np.array([*numbers, np.nan])  # the last answers a code of -1, missing
    return pd.Series(values[column.cat.codes.to_numpy()])


def _as_numbers(texts: Sequence[str]) -> list[int | float] | None:
    """Return the numbers that the texts write, None where one is not a number, has zeros or a sign before it, or is a
    whole number too long to be told apart from its neighbours."""
    if any(re.match(r"[+-]?0\d|\+|-?\d{19,}$", text) for text in texts):
        return None
    try:
        numbers = [int(text) if re.fullmatch(r"-?\d{1,18}", text) else float(text) for text in texts]
    except ValueError:
        return None
    return numbers if len(set(numbers)) == len(numbers) else [float(number) for number in numbers]


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".:") if text else type(error).__name__
