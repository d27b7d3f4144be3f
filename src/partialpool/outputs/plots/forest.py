"""The forest picture: every group's interval in order, the population's mean, and a new group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.outputs.plots.panels import Interval, Panel, find_intervals, gather_panels, name_response
from partialpool.outputs.plots.picture import (
    FAINT,
    HOLLOW,
    INK,
    NEW,
    POOLED,
    RAW,
    add_heading,
    as_written,
    create_picture,
    describe_points,
    draw_estimates,
    draw_population,
    keep_within,
    name_axis,
    own_style,
    save_picture,
    shorten,
    span,
    stretch,
    write_beside,
)

if TYPE_CHECKING:
    from partialpool.results.fitted import Fitted

# Of more groups than this the lowest and the highest, half each, are shown.
_MOST_GROUPS = 60


def draw_forest(posterior: Fitted, factor: int, path: Path | None) -> Figure:
    """Draw the picture of the factor at this position and, where a path is given, write it."""
    panels = gather_panels(posterior, factor)
    group = posterior.model.groups[factor]
    n = group.n_levels
    order = np.argsort(panels[0].mean, kind="stable")
    gap = 0
    note = f"all {n:,} groups"
    if n > _MOST_GROUPS:
        gap = _MOST_GROUPS // 2
        order = np.concatenate([order[:gap], order[-gap:]])
        note = f"the {gap} lowest and the {gap} highest of {n:,} groups"
    intervals = find_intervals(posterior, factor, order)
    columns = min(len(panels), 3)
    height = 0.75 + (0.21 if len(order) > 20 else 0.27) * (len(order) + 3)
    with own_style():
        figure, axes = create_picture(4.0 + 3.2 * columns, height, len(panels), columns)
        for k, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            last = k % columns == columns - 1 or k == len(panels) - 1
            _draw_panel(axis, panel, intervals[k], order, gap, n - 2 * gap, labelled=k % columns == 0, counted=last)
        note += ", in order" if len(panels) == 1 else f", in order of {panels[0].axis_label}"
        note += HOLLOW if panels[0].points is not None else ""
        pooled = "partially pooled" if posterior.model.pooling == "partial" else "unpooled"
        handles = [
            Line2D([], [], color=RAW, marker="o", markerfacecolor="white", linestyle="", label="raw"),
            Line2D([], [], color=POOLED, marker="o", linewidth=3.5, label=f"{pooled}, 50 and 90 % intervals"),
            *describe_points(panels[0]),
        ]
        add_heading(figure, f"{name_response(posterior)} by {group.name}", note, handles)
        save_picture(figure, path)
    return figure


def _draw_panel(
    axis: Axes,
    panel: Panel,
    quantiles: FloatArray,
    order: IntArray,
    gap: int,
    hidden: int,
    *,
    labelled: bool,
    counted: bool,
) -> None:
    places = np.arange(len(order), dtype=float)
    if gap:
        places[gap:] += 1.0
    raw, mean = panel.raw[order], panel.mean[order]
    inner = span([mean, quantiles])
    limits = keep_within(stretch(inner, span([raw, *_ends(panel.new_group)]), 0.5), panel.bounds)
    draw_population(axis, panel.population)
    axis.hlines(places, quantiles[:, 0], quantiles[:, 3], color=POOLED, linewidth=1.2)
    axis.hlines(places, quantiles[:, 1], quantiles[:, 2], color=POOLED, linewidth=3.6)
    draw_estimates(axis, mean, places, quantiles[:, 3] - quantiles[:, 0], panel, 5.5)
    axis.plot(raw, places, "o", color=RAW, markerfacecolor="white", markersize=4.6, markeredgewidth=1.2, zorder=5)
    for beyond, edge, marker in ((raw < limits[0], limits[0], "<"), (raw > limits[1], limits[1], ">")):
        if beyond.any():  # an empty line that is not clipped breaks the layout
            axis.plot(np.full(int(beyond.sum()), edge), places[beyond], marker, color=RAW, markersize=5, clip_on=False)
    if np.any(raw < limits[0]):
        axis.tick_params(axis="y", pad=7)
    ticks = dict(zip(places, [shorten(panel.labels[i]) for i in order], strict=True))
    if gap:
        ticks[float(gap)] = f"… {hidden:,} more …"
    below = -1.5
    if panel.population is not None:
        _draw_interval(axis, below, panel.population, INK, "D")
        ticks[below] = "population mean"
        below -= 1.0
    if panel.new_group is not None:
        _draw_interval(axis, below, panel.new_group, NEW, "s")
        ticks[below] = "a new group"
        below -= 1.0
    if below < -1.5:
        axis.axhline(-0.75, color=FAINT, linewidth=0.6)
    axis.set_xlim(limits)
    axis.set_ylim(below + 0.3, float(places[-1]) + 0.9)
    axis.set_yticks(list(ticks), list(ticks.values()) if labelled else [""] * len(ticks))
    as_written(axis.get_yticklabels())
    name_axis(axis, panel)
    if counted and (written := panel.count(order)) is not None:
        head, texts = written
        write_beside(axis, places, texts, head, 14 + 5 * max(map(len, [*texts, head])))


def _draw_interval(axis: Axes, place: float, interval: Interval, color: str, marker: str) -> None:
    axis.hlines(place, interval.q5, interval.q95, color=color, linewidth=1.2)
    axis.hlines(place, interval.q25, interval.q75, color=color, linewidth=3.6)
    axis.plot(interval.mean, place, marker, color=color, markersize=5.5, zorder=4)


def _ends(interval: Interval | None) -> list[np.ndarray]:
    return [] if interval is None else [np.array([interval.q5, interval.q95])]
