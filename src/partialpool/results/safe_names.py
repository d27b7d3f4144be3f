"""Safe names: data's own names turned into names that xarray, netCDF and zarr take, without two becoming one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Paths in a file use the slash: netCDF, zarr and xarray's trees refuse it in names. This one looks like it.
DIVISION_SLASH = "\N{DIVISION SLASH}"


def make_safe_names(names: Sequence[str], taken: Iterable[str] = (), suffix: str = "_") -> list[str]:
    """Return one name for each of ``names``: a slash becomes a division slash, a name that is taken gets ``suffix``.

    >>> make_safe_names(["Intercept", "I(x / 2)", "draw"], taken=["chain", "draw"])
    ['Intercept', 'I(x ∕ 2)', 'draw_']
    """
    used = set(taken)
    result = []
    for name in names:
        safe = name.replace("/", DIVISION_SLASH).replace("\0", "") or "unnamed"
        if safe == ".":  # the present folder, in a path
            safe = "_"
        while safe in used:
            safe += suffix
        used.add(safe)
        result.append(safe)
    return result
