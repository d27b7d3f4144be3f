"""Safe names: data's own names turned into names that xarray, netCDF and zarr take, without two becoming one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Paths in a file use the slash: netCDF, zarr and xarray's trees refuse it in names. This one looks like it.
DIVISION_SLASH = "\N{DIVISION SLASH}"


# What Windows takes in no file name, and what looks like it; a store's variables are directories.
_LOOKALIKES = str.maketrans(
    {
        ":": "\N{RATIO}",
        '"': "\N{DOUBLE PRIME}",
        "*": "\N{ASTERISK OPERATOR}",
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        "?": "\N{FULLWIDTH QUESTION MARK}",
        "\\": "\N{SET MINUS}",
        "|": "\N{DIVIDES}",
    }
    | {chr(code): " " for code in range(32)}
)
# Names of devices, with any ending.
_DEVICES = frozenset(["con", "prn", "aux", "nul"] + [f"{port}{k}" for port in ("com", "lpt") for k in range(10)])


def make_file_names(names: Sequence[str]) -> list[str]:
    """Return one name for each of ``names`` that every file system takes, no two alike but for capitals: characters
    that Windows refuses become ones that look like them, a name that is taken, a device's, or one that ends in a dot or
    a space gets an underscore.

    >>> make_file_names(["u[batch:cask]", "x", "X", "nul", "a."])
    ['u[batch∶cask]', 'x', 'X_', '_nul', 'a._']
    """
    used: set[str] = set()
    result = []
    for name in names:
        safe = name.translate(_LOOKALIKES)
        if safe.split(".")[0].casefold() in _DEVICES:
            safe = f"_{safe}"
        if safe[-1:] in ("", ".", " "):
            safe += "_"
        while safe.casefold() in used:
            safe += "_"
        used.add(safe.casefold())
        result.append(safe)
    return result


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
