"""Moments: dates and times as labels, local where they have a time zone."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool.errors import DataError

_FIXED = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})")


def name_zone(name: str, zone: Any) -> str:
    """Return a time zone's name: 'Europe/Berlin', 'UTC', or '+02:00' for a constant offset.

    Raises ``DataError`` for a zone that has no name, such as dateutil's read from a file.
    """
    text = str(getattr(zone, "zone", None) or zone)  # pytz prints its zones otherwise than it names them
    fixed = zone.utcoffset(None) if isinstance(zone, datetime.tzinfo) else None
    if fixed is not None and text != "UTC":
        text = datetime.datetime.now(datetime.timezone(fixed)).isoformat()[-6:]
    find_zone(name, text)
    return text


def find_zone(name: str, zone: str) -> datetime.tzinfo:
    """Return the time zone of that name; raises ``DataError``, naming column ``name``, where there is none."""
    import zoneinfo

    if fixed := _FIXED.fullmatch(zone):
        minutes = 60 * int(fixed.group(2)) + int(fixed.group(3))
        return datetime.timezone(datetime.timedelta(minutes=minutes if fixed.group(1) == "+" else -minutes))
    try:
        return datetime.UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(
            f"column '{name}' holds moments of the time zone {zone!r}, whose name is not known: convert them to "
            "one that has a name, such as 'Europe/Berlin' or 'UTC'"
        ) from None


def read_moments(name: str, values: Iterable[datetime.date | np.datetime64]) -> tuple[NDArray[Any], str | None]:
    """Return Python's dates and times as ``datetime64`` (row,), of UTC where they have a time zone, and its name.

    Values of several zones are labelled by UTC. Raises ``DataError`` where only some have a zone.
    """
    moments = list(values)
    zones = {value.tzinfo if isinstance(value, datetime.datetime) else None for value in moments}
    if zones == {None}:
        return np.array(moments, dtype="datetime64[us]"), None
    if None in zones:
        raise DataError(
            f"column '{name}' mixes moments with a time zone and moments without one: make all of it one kind"
        )
    names = {name_zone(name, zone) for zone in zones}
    in_utc = [
        value.astimezone(datetime.UTC).replace(tzinfo=None) for value in moments if isinstance(value, datetime.datetime)
    ]
    return np.array(in_utc, dtype="datetime64[us]"), names.pop() if len(names) == 1 else "UTC"


def print_moments(name: str, values: NDArray[Any], zone: str | None) -> NDArray[np.str_]:
    """Return moments as text: the day where it is midnight, else day and time; with a zone the local ones.

    >>> moments = np.array(["2024-03-30T23:00", "2024-03-31T10:00"], dtype="datetime64[us]")
    >>> print_moments("day", moments, "Europe/Berlin")
    array(['2024-03-31', '2024-03-31T12:00:00+02:00'], dtype='<U25')
    """
    if zone is not None:
        local = find_zone(name, zone)
        return np.array([_print_local(value, local) for value in values.astype("datetime64[us]").tolist()], dtype=str)
    days = values.astype("datetime64[D]")
    whole = days == values
    if whole.all():
        return np.datetime_as_string(days)
    times = np.datetime_as_string(values.astype("datetime64[us]"))
    return np.where(whole, np.datetime_as_string(days), times)


def _print_local(value: datetime.datetime, zone: datetime.tzinfo) -> str:
    moment = value.replace(tzinfo=datetime.UTC).astimezone(zone)
    # where clocks go back at midnight the second one has its offset beside it
    if moment.time() == datetime.time(0) and not moment.fold:
        return moment.date().isoformat()
    return moment.isoformat()
