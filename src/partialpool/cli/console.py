"""Consoles that lack a character: what they cannot show is escaped, never a failure."""

from __future__ import annotations

import io
import json
import sys


def escape_what_is_lacking() -> None:
    """Let standard output and error print characters that their encoding lacks as escapes, such as ``\\u03a9``.

    A way of handling them that the user chose (``PYTHONIOENCODING=cp1252:replace``) stays.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def escape_json(text: str) -> str:
    """Return JSON as it is where standard output takes it, else with escapes that JSON knows."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), indent=1)
    return text
