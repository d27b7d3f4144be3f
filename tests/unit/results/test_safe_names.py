"""Names that files take."""

from __future__ import annotations

from partialpool.results.safe_names import make_safe_names


def test_plain_names_stay() -> None:
    names = ["Intercept", "sd(school)", "sd(g, x)", "cor(g, Intercept, x)", "period[2]", "a:b", "größe", "my x"]
    assert make_safe_names(names) == names


def test_no_two_names_become_one() -> None:
    names = ["a/b", "a∕b", ".", "", "\0", "draw", "draw_"]
    safe = make_safe_names(names, taken=["draw"])
    assert len(set(safe)) == len(names)
    assert not {"draw", ".", ""} & set(safe)
    assert not any("/" in name for name in safe)
