"""How much memory there is."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def find_memory() -> float:
    """Return the bytes of memory that this process may use: the machine's, or a container's where that is less;
    infinite where the system does not say."""
    limits = [_physical_memory()]
    for path in _CGROUP_LIMITS:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdigit():
            limits.append(float(text))
    return min(limits)


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return _windows_memory()


def _windows_memory() -> float:
    """Ask Windows, by the structure MEMORYSTATUSEX of its documentation."""
    import ctypes

    kernel = getattr(getattr(ctypes, "windll", None), "kernel32", None)
    if kernel is None:
        return float("inf")

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            *((f"other_{k}", ctypes.c_ulonglong) for k in range(6)),
        )

    status = Status(length=ctypes.sizeof(Status))
    return float(status.total) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else float("inf")
