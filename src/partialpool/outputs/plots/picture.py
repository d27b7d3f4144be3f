"""The look that the pictures share: colours that colour-blind readers can tell apart, one frame, one way to save."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from partialpool.numerics.arrays import FloatArray
from partialpool.outputs.output_paths import write_whole
from partialpool.outputs.plots.panels import Interval, Panel

# Okabe and Ito (2008): vermilion, blue, bluish green.
RAW, POOLED, NEW = "#D55E00", "#0072B2", "#009E73"
INK, SOFT, FAINT, BAND = "#222222", "#555555", "#8a8a8a", "#ececec"
#: What is said of groups whose quantiles are all on one point.
HOLLOW = "; hollow: an interval of no width"
# Inches for title, note and legend.
HEADING = 0.95
_DOTS_PER_INCH = 160


# What a style sheet may not change: half of it would be lost among colours that are fixed. Fonts are the user's.
_OWN = ("axes.", "errorbar.", "figure.", "grid.", "hatch.", "legend.", "lines.", "markers.", "patch.", "path.", "text.")
_OWN_TICKS = ("xtick.", "ytick.")


class Picture(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return render(self, "png")

    def savefig(self, fname: Any, *, transparent: bool | None = None, **kwargs: Any) -> None:
        """Save as matplotlib does, on the figure's own background whatever the style sheet says."""
        super().savefig(fname, transparent=transparent, **{"facecolor": self.get_facecolor(), **kwargs})


@contextmanager
def own_style() -> Iterator[None]:
    """Draw in matplotlib's default style with the user's fonts, whatever style sheet is in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that are on their way out
        own = {
            name: value for name, value in matplotlib.rcParamsDefault.items() if name.startswith((*_OWN, *_OWN_TICKS))
        }
    with matplotlib.rc_context(own):
        yield


def create_picture(width: float, panel_height: float, n_panels: int, columns: int) -> tuple[Picture, list[Axes]]:
    """Return a figure (inches), room for the heading on top, with axes for the panels, filled line by line."""
    lines = -(-n_panels // columns)
    height = panel_height * lines + HEADING
    figure = Picture(figsize=(width, height))
    figure.set_layout_engine(
        "constrained", w_pad=0.07, h_pad=0.05, wspace=0.03, rect=(0.0, 0.0, 1.0, 1.0 - HEADING / height)
    )
    grid = figure.subplots(lines, columns, squeeze=False)
    axes = [axis for line in grid for axis in line]
    for spare in axes[n_panels:]:
        spare.remove()
    for axis in axes[:n_panels]:
        for side in ("left", "right", "top"):
            axis.spines[side].set_visible(False)
        axis.spines["bottom"].set_color(FAINT)
        axis.tick_params(axis="x", labelcolor=INK, labelsize=9, color=FAINT, length=3)
        axis.tick_params(axis="y", length=0, labelsize=9, labelcolor=INK)
    return figure, axes[:n_panels]


def add_heading(figure: Figure, title: str, note: str, handles: Sequence[Any]) -> None:
    """Put the title, what is shown and the legend above the panels, at the left."""
    width, height = (float(size) for size in figure.get_size_inches())
    left = 0.1 / width

    def write(depth: float, text: str, **style: Any) -> None:
        figure.text(left, 1.0 - depth / height, text, ha="left", va="center", **style).set_parse_math(False)

    write(0.24, shorten(title, int(9.5 * width)), fontsize=12.5, fontweight="bold", color=INK)
    write(0.50, shorten(note, int(13 * width)), fontsize=9, color=SOFT)
    figure.legend(
        handles=list(handles),
        loc="center left",
        bbox_to_anchor=(left, 1.0 - 0.76 / height),
        ncols=max(len(handles), 1),
        frameon=False,
        fontsize=9,
        labelcolor=INK,
        handletextpad=0.6,
        columnspacing=1.6,
        borderpad=0.0,
        borderaxespad=0.0,
    )


def write_beside(axis: Axes, places: Iterable[float], texts: Iterable[str], head: str, points: float) -> None:
    """Write a column of numbers right of a panel, ending this many points from it, under a heading."""
    places = list(places)
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 8.5, "color": SOFT, "annotation_clip": False}
    where: dict[str, Any] = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points"}
    for place, text in zip(places, texts, strict=True):
        axis.annotate(text, (1.0, place), (points, 0), **where, **style)
    axis.annotate(head, (1.0, max(places) + 0.8), (points, 0), style="italic", **where, **style)


def draw_population(axis: Axes, population: Interval | None) -> None:
    """Draw the population's mean as a line with its 90 % interval as a band."""
    if population is None:
        return
    axis.axvspan(population.q5, population.q95, color=BAND, zorder=0, linewidth=0)
    axis.axvline(population.mean, color=FAINT, linewidth=1.1, zorder=1)


def draw_estimates(
    axis: Axes, mean: FloatArray, places: FloatArray, widths: FloatArray, panel: Panel, size: float
) -> None:
    """Draw partially pooled estimates, hollow where the population's points leave an interval no width, and those
    points."""
    hollow = np.zeros(len(mean), dtype=bool)
    if panel.points is not None:
        hollow = widths <= 0.0
        for point in panel.points:
            axis.axvline(point, color=POOLED, linewidth=0.9, linestyle=":", zorder=1)
    axis.plot(mean[~hollow], places[~hollow], "o", color=POOLED, markersize=size, zorder=4)
    if hollow.any():
        axis.plot(mean[hollow], places[hollow], "o", color=POOLED, markerfacecolor="white", markersize=size, zorder=4)


def describe_points(panel: Panel) -> list[Line2D]:
    """Return the legend's entry for the points of an estimated population."""
    if panel.points is None:
        return []
    count = f"{len(panel.points)} points" if len(panel.points) > 1 else "one point"
    return [Line2D([], [], color=POOLED, linewidth=0.9, linestyle=":", label=f"the population's {count}")]


def name_axis(axis: Axes, panel: Panel) -> None:
    """Write what the axis shows, and under it what its reader must know."""
    axis.set_xlabel(panel.axis_label, fontsize=10, color=INK).set_parse_math(False)
    if panel.caution is not None:
        style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8.5, "color": RAW}
        below: dict[str, Any] = {"xycoords": axis.xaxis.label, "textcoords": "offset points", "annotation_clip": False}
        axis.annotate(panel.caution, (0.5, 0.0), (0, -2), **below, **style).set_parse_math(False)


def as_written(texts: Iterable[Text]) -> None:
    """Show labels as they are: a dollar sign in a name is not mathematics."""
    for text in texts:
        text.set_parse_math(False)


def shorten(label: str, most: int = 28) -> str:
    """Return the label, cut to ``most`` characters."""
    return label if len(label) <= most else label[: most - 1] + "…"


def span(values: Iterable[FloatArray], margin: float = 0.04) -> tuple[float, float]:
    """Return limits around the finite values."""
    joined = np.concatenate([np.ravel(value) for value in values])
    joined = joined[np.isfinite(joined)]
    low, high = (float(joined.min()), float(joined.max())) if len(joined) else (0.0, 0.0)
    extra = margin * (high - low) or 0.5 * abs(high) or 0.5
    return low - extra, high + extra


def stretch(inner: tuple[float, float], outer: tuple[float, float], factor: float) -> tuple[float, float]:
    """Return limits that take ``outer`` in as far as it is not more than ``factor`` times ``inner`` away."""
    room = factor * (inner[1] - inner[0])
    return max(min(outer[0], inner[0]), inner[0] - room), min(max(outer[1], inner[1]), inner[1] + room)


def keep_within(limits: tuple[float, float], bounds: tuple[float, float]) -> tuple[float, float]:
    """Return limits that go beyond bounds by a thin margin at most."""
    margin = 0.03 * (limits[1] - limits[0])
    return max(limits[0], bounds[0] - margin), min(limits[1], bounds[1] + margin)


def render(figure: Figure, ending: str) -> bytes:
    """Return the figure as the bytes of a file of this kind."""
    buffer = BytesIO()
    # a label in a script that the font lacks is drawn as boxes; the salt makes names inside an SVG repeatable
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "partialpool"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        dateless = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[ending]
        figure.savefig(buffer, format=ending, dpi=_DOTS_PER_INCH, facecolor="white", metadata=dateless)
    return buffer.getvalue()


def save_picture(figure: Figure, path: Path | None) -> None:
    """Write the figure where a path is given."""
    if path is not None:
        write_whole(path, render(figure, path.suffix.lower().removeprefix(".")))
