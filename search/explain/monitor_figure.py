"""Draws a monitored training: λ and the readings, the ranges that they were confirmed in, alarms and the fall-back."""

from __future__ import annotations

import math
from typing import Any

from policies.monitoring import MonitorLog
from policies.monitoring.windows import READINGS, WINDOWS, WORDS, Means, window_of
from search.drawing import INK, MUTED, new_figure, plain_axis
from search.explain.parts import ALERT, note

_BAND = "#cfe3f3"
_LINE = "#0072b2"

Ranges = dict[str, dict[str, list[float | None]]]


def plot_monitored(monitored: MonitorLog, title: str) -> Any:
    """Draw a monitor's log as a matplotlib figure. Must be called inside `drawing.style`.

    Args:
        monitored: the log.
        title: the text above the figure.
    """
    total = max(int(monitored.start["total_steps"] or 0), monitored.steps, 1)
    ranges: Ranges = (monitored.start["monitoring"] or {}).get("readings", {})
    drawn = [name for name in READINGS if any(name in record["means"] for record in monitored.of("readings"))]
    drawn = drawn or ["weight"]
    figure, axes = new_figure(74 * len(drawn) + 48, rows=len(drawn), left=46, right=12, bottom=30, top=32, gap=(0, 22))
    for name, panel in zip(drawn, axes, strict=True):
        _plot_reading(panel, monitored, name, ranges.get(name), total)
        _mark_events(panel, monitored, name, total)
        panel.set_title(WORDS[name], loc="left", color=INK, pad=4, fontsize=8)
        panel.set_xlim(0, total)
        plain_axis(panel.xaxis, ticks=6)
        panel.tick_params(labelbottom=panel is axes[-1])
    axes[-1].set_xlabel("step")
    if ranges:
        note(axes[0], "band: the range of confirmed trainings; line: mean over a twentieth")
    figure.text(0.02, 1.0 - 4 / (74 * len(drawn) + 48), title, ha="left", va="top", fontsize=9, color=INK)
    return figure


def window_means(monitored: MonitorLog, name: str, total: int) -> dict[int, float]:
    """Return the mean of a reading in each window that has one, from the records of readings."""
    windows: dict[int, Means] = {}
    for record in monitored.of("readings"):
        if name in record["means"]:
            middle = max(0, record["step"] - record["steps"] // 2)
            windows.setdefault(window_of(middle, total), Means()).add({name: record["means"][name]})
    return {window: value for window, means in windows.items() if (value := means.mean(name)) is not None}


def _plot_reading(
    axes: Any, monitored: MonitorLog, name: str, confirmed: dict[str, list[float | None]] | None, total: int
) -> None:
    if name == "norm_ratio":
        axes.set_yscale("log")
    edges = [window * total / WINDOWS for window in range(WINDOWS + 1)]
    means = window_means(monitored, name, total)
    if confirmed is not None:
        low, high = (_steps(confirmed[end]) for end in ("low", "high"))
        axes.fill_between(edges, low, high, step="post", color=_BAND, linewidth=0, zorder=1)
    points = [(record["step"], record["means"][name]) for record in monitored.of("readings") if name in record["means"]]
    axes.plot([x for x, _ in points], [y for _, y in points], color=MUTED, linewidth=0.5, alpha=0.6, zorder=2)
    line = [means.get(window, math.nan) for window in range(WINDOWS)]
    axes.step(edges, [*line, line[-1]], where="post", color=_LINE, linewidth=1.4, zorder=3)
    if name == "weight":
        axes.set_ylim(-0.04, 1.08)
    elif name != "norm_ratio":
        _limit(axes, [y for _, y in points], confirmed)
    plain_axis(axes.yaxis, log=name == "norm_ratio")


def _limit(axes: Any, values: list[float], confirmed: dict[str, list[float | None]] | None) -> None:
    """Keep the axis at what was read; a wide range of few trainings would flatten the line."""
    ends = [end for side in ("low", "high") for end in (confirmed or {}).get(side, []) if end is not None]
    low, high = min(values), max(values)
    reach = max(high - low, 1e-6)
    low, high = (
        min([low, *(end for end in ends if end > low - reach)]),
        max([high, *(end for end in ends if end < high + reach)]),
    )
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _steps(ends: list[float | None]) -> list[float]:
    values = [math.nan if end is None else end for end in ends]
    return [*values, values[-1]]


def _mark_events(axes: Any, monitored: MonitorLog, name: str, total: int) -> None:
    for record in monitored.of("alarm"):
        if record["reading"] == name:
            first, last = record["first"] * total, record["last"] * total
            axes.axvspan(first, last, color=ALERT, alpha=0.25, linewidth=0, zorder=0)
            axes.axvline(record["step"], color=ALERT, linewidth=1.2, zorder=4)
    resets = [record["step"] for record in monitored.of("reset")]
    for record in monitored.of("fall_back"):
        until = min((step for step in resets if step >= record["step"]), default=monitored.steps)
        if name == "weight":
            axes.hlines(1.0, record["step"], until, color=ALERT, linewidth=2.4, zorder=4)
            axes.text(record["step"], 0.94, " constant", color=ALERT, fontsize=6.5, va="top")
