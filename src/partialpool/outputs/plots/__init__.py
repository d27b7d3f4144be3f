"""Pictures of a fit, drawn by matplotlib, which is imported when the first one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from partialpool.outputs.output_paths import check_matplotlib, check_picture_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from partialpool.results.fitted import Fitted


class Plots:
    """The pictures of one fit. Each returns a matplotlib figure, and writes it where a ``path`` is given.

    Groups of a likelihood with a link are drawn as probabilities, rates or means, slopes as linear predictors.
    ``factor`` says whose groups are drawn, and is needed where there are several factors. Figures stand by themselves:
    no pyplot state, no change of backend. ``path`` ends in .png, .svg or .pdf. Raises ``OutputError`` when matplotlib
    is missing or the path cannot be written, ``DataError`` for a fit without groups or without that factor.
    """

    def __init__(self, posterior: Fitted) -> None:
        self._posterior = posterior

    def shrinkage(self, path: str | Path | None = None, *, factor: str | None = None) -> Figure:
        """Draw how each group's own estimate moves toward the population.

        Up to 40 groups have a line each: raw and partially pooled estimate with 90 % intervals. More are drawn
        between two rails, raw above and partially pooled below; of thousands, some are drawn and all are counted in
        the histograms. One panel a coefficient.
        """
        target, place = _prepare(path), self._posterior.check_factor(factor)
        from partialpool.outputs.plots.shrinkage import draw_shrinkage

        return draw_shrinkage(self._posterior, place, target)

    def forest(self, path: str | Path | None = None, *, factor: str | None = None) -> Figure:
        """Draw every group's partially pooled estimate with 50 and 90 % intervals, in order, above the population's
        mean and the interval of a new group.

        Of more than 60 groups the lowest and the highest 30 are shown. One panel a coefficient.
        """
        target, place = _prepare(path), self._posterior.check_factor(factor)
        from partialpool.outputs.plots.forest import draw_forest

        return draw_forest(self._posterior, place, target)


def _prepare(path: str | Path | None) -> Path | None:
    """Check that a picture can be drawn, and written where asked, before anything is computed."""
    if path is None:
        check_matplotlib()
        return None
    return check_picture_path(path)
