"""Table layout: keys on the left and numbers on the right, in as many blocks as the page's width takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Keys are shortened to this many characters in all so that the numbers stand in one block, and each to no fewer than
# this so that a block has a number at all.
_SHORTEST_KEYS = 24
_SHORTEST_KEY = 8
# Blanks between columns, and where these bring all numbers into one block.
_GAP, _NARROW_GAP = 2, 1
# Columns that answer: they are printed before those that explain the answer.
_ANSWERS = re.compile(r"mean|sd|q\d.*|P\(>0\)|partial|partial_sd")


@dataclass(frozen=True)
class TextColumn:
    """A column as text: its ``head`` and ``texts`` (line,), ``whole`` where it is better folded than shortened."""

    head: str
    texts: list[str]
    whole: bool = False

    @property
    def width(self) -> int:
        """The widest text's number of characters."""
        return max(map(len, [self.head, *self.texts]))

    def shorten(self, width: int) -> TextColumn:
        """Return the column with what is longer cut in the middle."""
        return TextColumn(_shorten(self.head, width), [_shorten(text, width) for text in self.texts], self.whole)


def answer_first(names: Sequence[str]) -> list[str]:
    """Return names of columns, those of the answer first: means, sds, quantiles and probabilities.

    >>> answer_first(["n", "raw", "raw_sd", "mean", "sd", "q5", "q95", "weight"])
    ['mean', 'sd', 'q5', 'q95', 'n', 'raw', 'raw_sd', 'weight']
    """
    return sorted(names, key=lambda name: _ANSWERS.fullmatch(name) is None)


def lay_out(keys: Sequence[TextColumn], numbers: Sequence[TextColumn], width: int) -> list[list[str]]:
    """Return blocks of lines of at most ``width`` characters, the heading first, each with the keys and some numbers.

    Columns stand closer, or keys are shortened, where that brings all numbers into one block; keys are shortened too
    where no number would fit beside them.
    """
    every = [*keys, *numbers]
    if _total(every) > width >= _total(every, _NARROW_GAP):
        return [_write_block(keys, numbers, _NARROW_GAP)]
    needed = [_GAP + column.width for column in numbers]
    shorter = _fit_keys(keys, max(_SHORTEST_KEYS, width - sum(needed)), [_least(key) for key in keys])
    keys = shorter if _tell_apart(shorter) == _tell_apart(keys) else keys
    keys = _fit_keys(keys, width - max(needed, default=0), [_SHORTEST_KEY] * len(keys))
    margin = _total(keys)
    blocks: list[list[TextColumn]] = [[]]
    used = margin
    for column, size in zip(numbers, needed, strict=True):
        if blocks[-1] and used + size > width:
            blocks.append([])
            used = margin
        blocks[-1].append(column)
        used += size
    return [_write_block(keys, block) for block in blocks]


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 5]}...{text[-2:]}"


def _least(key: TextColumn) -> int:
    return key.width if key.whole else max(len(key.head), _SHORTEST_KEY)


def _total(columns: Sequence[TextColumn], gap: int = _GAP) -> int:
    return sum(column.width for column in columns) + gap * max(len(columns) - 1, 0)


def _tell_apart(keys: Sequence[TextColumn]) -> list[int]:
    """Return how many distinct texts each key has."""
    return [len(set(key.texts)) for key in keys]


def _fit_keys(keys: Sequence[TextColumn], room: int, least: Sequence[int]) -> list[TextColumn]:
    """Shorten the longest keys until all fit into ``room`` beside each other, or are as short as they may be."""
    widths = [key.width for key in keys]
    while sum(widths) + _GAP * (len(widths) - 1) > room:
        longest = max(range(len(widths)), key=lambda k: widths[k] - least[k])
        if widths[longest] <= least[longest]:
            break
        widths[longest] -= 1
    return [key.shorten(width) for key, width in zip(keys, widths, strict=True)]


def _write_block(keys: Sequence[TextColumn], numbers: Sequence[TextColumn], gap: int = _GAP) -> list[str]:
    """Return the heading and the lines, keys left and numbers right."""
    padded = [[text.ljust(key.width) for text in (key.head, *key.texts)] for key in keys]
    padded += [[text.rjust(column.width) for text in (column.head, *column.texts)] for column in numbers]
    return [(" " * gap).join(parts).rstrip() for parts in zip(*padded, strict=True)]
