"""Names that files take."""

from __future__ import annotations

import re

from partialpool.results.arviz.safe_names import make_file_names, make_safe_names


def test_plain_names_stay() -> None:
    names = ["Intercept", "sd(school)", "sd(g, x)", "cor(g, Intercept, x)", "period[2]", "a:b", "größe", "my x"]
    assert make_safe_names(names) == names


def test_no_two_names_become_one() -> None:
    names = ["a/b", "a∕b", ".", "", "\0", "draw", "draw_"]
    safe = make_safe_names(names, taken=["draw"])
    assert len(set(safe)) == len(names)
    assert not {"draw", ".", ""} & set(safe)
    assert not any("/" in name for name in safe)


LEGAL = re.compile(r"[^<>:\"/\\|?*\x00-\x1f]+(?<![. ])")
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(10))}


def is_legal(name: str) -> bool:
    """Say whether Windows takes a file of this name (Microsoft, Naming Files, Paths, and Namespaces)."""
    return bool(LEGAL.fullmatch(name)) and name.split(".")[0].lower() not in DEVICES


def test_every_system_takes_the_names() -> None:
    odd = ["sd(batch:cask)", "a<b>c", 'say "x"', "x|y", "what?", "a*b", "c\\d", "tab\there", "CON", "nul.x", "Aux"]
    odd += ["end.", "space ", "x", "X", "x_", "ratio∶", "ratio:", "größe", "GRÖSSE", "a b", "com1", ""]
    names = make_file_names(odd)
    assert all(map(is_legal, names))
    assert len({name.casefold() for name in names}) == len(odd)
    assert make_file_names(["Intercept", "sd(g, x)", "größe", "period[2]"]) == [
        "Intercept", "sd(g, x)", "größe", "period[2]",
    ]  # fmt: skip
