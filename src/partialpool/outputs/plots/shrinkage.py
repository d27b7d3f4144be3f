"""The shrinkage picture: from each group's own estimate to its partially pooled one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from partialpool.numerics.arrays import FloatArray, IntArray
from partialpool.outputs.plots.panels import Panel, find_intervals, gather_panels, name_response
from partialpool.outputs.plots.picture import (
    BAND,
    FAINT,
    HOLLOW,
    INK,
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

# More groups than lines of text can show go between rails; of more than this many, some are drawn.
_MOST_LINES = 40
_MOST_ON_RAILS = 400
_DRAWN_OF_MANY = 250
# Rail to rail: pale where the population decides, dark where the group's own data do.
_BY_WEIGHT = LinearSegmentedColormap.from_list("weight", ["#9ecae9", "#3b82b8", "#0b2a4a"])


def draw_shrinkage(posterior: Fitted, factor: int, path: Path | None) -> Figure:
    """Draw the picture of the factor at this position and, where a path is given, write it."""
    panels = gather_panels(posterior, factor)
    group = posterior.model.groups[factor]
    pooled = "partially pooled" if posterior.model.pooling == "partial" else "unpooled"
    title = f"{name_response(posterior)}: raw and {pooled} estimates by {group.name}"
    with own_style():
        if group.n_levels <= _MOST_LINES:
            figure = _draw_lines(panels, find_intervals(posterior, factor, np.arange(group.n_levels)), title, pooled)
        else:
            figure = _draw_rails(panels, title, pooled, f"{group.n_levels:,} groups")
        save_picture(figure, path)
    return figure


def _draw_lines(panels: tuple[Panel, ...], intervals: FloatArray, title: str, pooled: str) -> Figure:
    """Give each group a line, highest raw estimate first."""
    first = panels[0]
    order = np.argsort(np.where(np.isnan(first.raw), first.mean, first.raw), kind="stable")
    columns = min(len(panels), 3)
    figure, axes = create_picture(4.0 + 3.2 * columns, 0.85 + 0.29 * len(order), len(panels), columns)
    for k, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
        last = k % columns == columns - 1 or k == len(panels) - 1
        _draw_line_panel(axis, panel, intervals[k], order, labelled=k % columns == 0, counted=last)
    handles = [
        Line2D([], [], color=RAW, marker="o", markerfacecolor="white", linewidth=1, label="raw, 90 % interval"),
        Line2D([], [], color=POOLED, marker="o", linewidth=2.2, label=f"{pooled}, 90 % interval"),
        *describe_points(first),
        *_population_handle(panels),
    ]
    note = "each group's own estimate, and the arrow to where the population draws it"
    if any(np.any(np.isfinite(panel.raw) & np.isnan(panel.raw_low)) for panel in panels):
        note = "raw estimates, without interval at a bound, and arrows to where the population draws them"
    if first.points is not None:
        note = f"raw estimates, arrows to where the population draws them{HOLLOW}"
    note = note if pooled == "partially pooled" else "each group on its own"
    add_heading(figure, title, note, handles)
    return figure


def _draw_line_panel(
    axis: Axes, panel: Panel, intervals: FloatArray, order: IntArray, *, labelled: bool, counted: bool
) -> None:
    places = np.arange(len(order), dtype=float)
    raw, mean = panel.raw[order], panel.mean[order]
    raw_low, raw_high = panel.raw_low[order], panel.raw_high[order]
    low, high = intervals[order, 0], intervals[order, 3]
    inner = span([raw, mean, low, high])
    ends = [raw_low, raw_high]
    outer = span(ends) if any(np.isfinite(end).any() for end in ends) else inner
    limits = keep_within(stretch(inner, outer, 1.0), panel.bounds)
    draw_population(axis, panel.population)
    above, below = places + 0.15, places - 0.15
    axis.hlines(above, raw_low, raw_high, color=RAW, linewidth=1.0, alpha=0.65)
    axis.hlines(below, low, high, color=POOLED, linewidth=2.2)
    for k in np.flatnonzero(np.abs(raw - mean) > 0.03 * (limits[1] - limits[0])):
        arrow = {"arrowstyle": "-|>,head_width=0.16,head_length=0.32", "color": FAINT, "linewidth": 0.9}
        axis.annotate("", (mean[k], below[k]), (raw[k], above[k]), arrowprops={**arrow, "shrinkA": 4, "shrinkB": 4})
    axis.plot(raw, above, "o", color=RAW, markerfacecolor="white", markersize=5.5, markeredgewidth=1.3, zorder=4)
    draw_estimates(axis, mean, below, high - low, panel, 6)
    axis.set_xlim(limits)
    axis.set_ylim(-0.8, len(order) - 0.3)
    axis.set_yticks(places, [shorten(panel.labels[i]) for i in order] if labelled else [""] * len(order))
    as_written(axis.get_yticklabels())
    name_axis(axis, panel)
    _write_columns(axis, panel, order, counted=counted)


def _write_columns(axis: Axes, panel: Panel, order: IntArray, *, counted: bool) -> None:
    """Write the pooling weight right of the panel, and n where groups have several rows."""
    places = np.arange(len(order), dtype=float)
    write_beside(axis, places, [f"{weight:.2f}" for weight in panel.weight[order]], "weight", 42)
    if counted and (written := panel.count(order)) is not None:
        head, texts = written
        write_beside(axis, places, texts, head, 54 + 5 * max(map(len, [*texts, head])))


def _draw_rails(panels: tuple[Panel, ...], title: str, pooled: str, groups: str) -> Figure:
    """Join two rails, raw estimates above and pooled ones below."""
    columns = min(len(panels), 2)
    figure, axes = create_picture(8.2 if columns == 1 else 11.8, 4.3, len(panels), columns)
    weights = np.concatenate([panel.weight for panel in panels])
    varied = float(np.ptp(weights)) > 0.05
    for axis, panel in zip(axes, panels, strict=True):
        _draw_rail_panel(axis, panel, pooled, varied)
    if varied:
        bar = figure.colorbar(ScalarMappable(Normalize(0, 1), _BY_WEIGHT), ax=axes, fraction=0.025, pad=0.02, aspect=32)
        bar.outline.set_visible(False)
        bar.set_label("weight of the raw estimate", fontsize=9, color=INK)
        bar.ax.tick_params(labelsize=8, color=FAINT, colors=INK)
    add_heading(figure, title, _describe_selection(panels, groups), _population_handle(panels))
    return figure


def _describe_selection(panels: tuple[Panel, ...], groups: str) -> str:
    n = len(panels[0].raw)
    text = f"{groups}, all drawn"
    if n > _MOST_ON_RAILS:
        text = f"{groups}: lines for {_DRAWN_OF_MANY} of them, evenly spaced in order; histograms for all on this axis"
    absent = max(int(np.isnan(panel.raw).sum()) for panel in panels)
    return f"{text}; the rows of {absent:,} do not determine a raw estimate" if absent else text


def _draw_rail_panel(axis: Axes, panel: Panel, pooled: str, varied: bool) -> None:
    order = np.argsort(panel.raw, kind="stable")
    order = order[np.isfinite(panel.raw[order])]
    drawn = order
    if len(panel.raw) > _MOST_ON_RAILS:  # of many, without the outermost 1 in 500 raw estimates
        inside = order[round(0.001 * len(order)) : len(order) - round(0.001 * len(order))]
        drawn = inside[np.unique(np.linspace(0, len(inside) - 1, _DRAWN_OF_MANY).round().astype(int))]
    limits = span([panel.raw[drawn], panel.mean], 0.2)
    if panel.population is not None:
        draw_population(axis, panel.population)
    ends = np.stack(
        [np.column_stack([panel.raw[drawn], np.ones(len(drawn))]), np.column_stack([panel.mean[drawn], drawn * 0.0])],
        axis=1,
    )
    opacity = float(np.clip(28.0 / max(len(drawn), 1), 0.3, 0.75))
    lines = LineCollection(list(ends), linewidths=1.1, alpha=opacity, zorder=2)
    if varied:
        lines.set(array=panel.weight[drawn], cmap=_BY_WEIGHT, norm=Normalize(0, 1))
    else:
        lines.set_color(POOLED)
    axis.add_collection(lines)
    _draw_histogram(axis, panel.raw, limits, base=1.0, up=True, color=RAW)
    _draw_histogram(axis, panel.mean, limits, base=0.0, up=False, color=POOLED)
    size = 4.2 if len(drawn) <= 120 else 2.8
    axis.plot(panel.raw[drawn], np.ones(len(drawn)), "o", color=RAW, markersize=size, alpha=0.7, markeredgewidth=0)
    axis.plot(panel.mean[drawn], np.zeros(len(drawn)), "o", color=POOLED, markersize=size, alpha=0.7, markeredgewidth=0)
    _name_extremes(axis, panel, drawn)
    axis.set_xlim(limits)
    shown = [tick for tick in axis.get_xticks() if panel.bounds[0] <= tick <= panel.bounds[1]]
    axis.set_xticks([tick for tick in shown if limits[0] <= tick <= limits[1]])
    axis.set_ylim(-0.42, 1.5)
    axis.set_yticks([0.0, 1.0], [pooled.replace(" ", "\n"), "raw"])
    name_axis(axis, panel)


def _draw_histogram(
    axis: Axes, values: FloatArray, limits: tuple[float, float], *, base: float, up: bool, color: str
) -> None:
    edges = np.linspace(*limits, 61 if len(values) > _MOST_ON_RAILS else 36)
    heights, _ = np.histogram(values[np.isfinite(values)], edges)
    depth = 0.36 * heights / max(int(heights.max()), 1)
    gap = 0.045
    start = base + gap if up else base - gap
    axis.stairs(start + depth if up else start - depth, edges, baseline=start, fill=True, color=color, alpha=0.28)


def _name_extremes(axis: Axes, panel: Panel, drawn: IntArray) -> None:
    """Name the groups with the lowest and the highest raw estimates of those drawn."""
    if len(drawn) < 2:
        return
    for i, side, points in ((drawn[0], "right", -7), (drawn[-1], "left", 7)):
        axis.plot([panel.raw[i], panel.mean[i]], [1, 0], color=INK, linewidth=1.0, zorder=3)
        head, texts = panel.count(np.array([i])) or ("n", ["1"])
        text = f"{shorten(panel.labels[i], 16)}\n{head} = {texts[0]}"
        style: dict[str, Any] = {"ha": side, "va": "center", "fontsize": 8.5, "color": INK, "linespacing": 1.15}
        label = axis.annotate(text, (panel.raw[i], 1), (points, 0), textcoords="offset points", **style)
        label.set_parse_math(False)


def _population_handle(panels: tuple[Panel, ...]) -> list[Patch | Line2D]:
    known = [panel.population for panel in panels if panel.population is not None]
    if not known:
        return []
    if all(interval.q95 <= interval.q5 for interval in known):  # an estimate of it, whose uncertainty is ignored
        name = "population mean" if panels[0].points is None else "its mean"
        return [Line2D([], [], color=FAINT, linewidth=1.1, label=name)]
    return [
        Patch(facecolor=BAND, edgecolor=FAINT, linewidth=0.8, label="population mean, 90 % interval"),
    ]
