"""What lines of predictions are called."""

from __future__ import annotations

from collections.abc import Container

GROUP_MEAN = "group mean"
NEW_OBSERVATION = "new observation"
NEW_GROUP_MEAN = "new group mean"
NEW_GROUP_OBSERVATION = "new group, new observation"


def name_labels(factor: str, taken: Container[str]) -> str:
    """Return the name of a factor's column of labels: its own unless a column of numbers has that."""
    return f"{factor} (level)" if factor in taken else factor
