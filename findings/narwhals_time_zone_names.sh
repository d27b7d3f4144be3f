#!/usr/bin/env bash
# narwhals 2.29.0 reading columns of moments with a time zone from pandas 3.1.1 and polars 2.1.0.
#
# Guess: every zone that pandas takes is read as a moment of that zone.
# Seen: zones whose names hold an underscore or a digit (America/New_York, Etc/GMT+5) come out as dtype Unknown,
#       while Europe/Berlin and UTC are read. pandas itself knows them all, and a polars column of the same zone is read.
# A column of groups or dates is then refused, or passed over, for the name of its zone alone.
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/environment"
"$folder/environment/bin/pip" install --quiet "narwhals==2.29.0" "pandas==3.1.1" "polars==2.1.0" tzdata

"$folder/environment/bin/python" - <<'PYTHON'
import narwhals as nw
import pandas as pd
import polars as pl

print("narwhals", nw.__version__, "pandas", pd.__version__, "polars", pl.__version__)
ZONES = {"UTC": True, "Europe/Berlin": True, "America/New_York": False, "Etc/GMT+5": False}
seen = {}
for zone in ZONES:
    moments = pd.Series(pd.date_range("2024-01-01", periods=2, tz=zone))
    dtype = nw.from_native(moments, series_only=True).dtype
    other = nw.from_native(pl.Series(moments.dt.tz_localize(None)).dt.replace_time_zone(zone), series_only=True).dtype
    seen[zone] = isinstance(dtype, nw.Datetime)
    print(f"{zone:18} pandas: {dtype}   polars: {other}")
assert seen == ZONES, "the behaviour has changed"
print("as seen before")
PYTHON
