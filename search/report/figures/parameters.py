"""Draws the score against each searched setting: a family's own, and those that all families share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from policies.parameter import Value
from search.drawing import (
    INK,
    Figure,
    Table,
    family_colour,
    family_legend,
    finish,
    focus,
    new_figure,
    plain_axis,
    score_axis,
    score_label,
    thinned,
)
from search.records import SearchRecord, TrialRecord
from search.report.figures.setting import SHARED, Setting, declared_parameters, in_words, varied
from search.wording import Scale, family_title, number, setting_title

_MOST_POINTS = 200
_ROW = 108
_FEW = 4


class Panel(NamedTuple):
    """One setting, with its value in each trial, best trial first."""

    setting: Setting
    points: Sequence[tuple[Value, TrialRecord]]


def shared_figure(search: SearchRecord) -> Figure | None:
    """Draw the settings that all families share; None if none was varied. Must be called inside `drawing.style`."""
    return _figure(search, None, "parameters")


def family_figures(search: SearchRecord) -> tuple[Figure, ...]:
    """Draw a figure for each family with settings to tune, best first. Must be called inside `drawing.style`."""
    families = dict.fromkeys(trial.family for trial in search.finished)
    drawn = (
        _figure(search, family, f"parameters-{family if family.isidentifier() else place}")
        for place, family in enumerate(families, start=1)
    )
    return tuple(figure for figure in drawn if figure is not None)


def _panels(search: SearchRecord, family: str | None) -> tuple[list[Panel], dict[str, Value]]:
    """Return a panel for each setting that was varied, and the others with the value that they have in every trial.

    The settings are a family's own; those that all families share if `family` is None.
    """
    if family is None:
        settings, log = (
            [(dict[str, Value](trial.shared), trial) for trial in search.finished],
            search.config.space.logarithmic,
        )
    else:
        settings = [(trial.parameters, trial) for trial in search.finished if trial.family == family]
        log = frozenset(name for name, parameter in declared_parameters(family).items() if parameter.log)
    panels, kept = [], {}
    for name in dict.fromkeys(name for values, _ in settings for name in values):
        seen = [(values[name], trial) for values, trial in settings if name in values]
        setting = varied(name, [value for value, _ in seen], log=name in log)
        if setting is None:
            kept[name] = seen[0][0]
        else:
            panels.append(Panel(setting, thinned(seen, _MOST_POINTS)))
    return panels, kept


def _figure(search: SearchRecord, family: str | None, name: str) -> Figure | None:
    panels, kept = _panels(search, family)
    if not panels:
        return None
    scale = Scale(search.objective)
    scores = [trial.score or 0.0 for trial in search.finished if family in (None, trial.family)]
    limits = focus(scores, scores[:1], scale)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    height = rows * _ROW + (rows - 1) * 40 + 44
    figure, axes = new_figure(height, rows=rows, columns=columns, left=42, right=8, bottom=36, top=8, gap=(14, 40))
    for panel_axes in axes[len(panels) :]:
        panel_axes.set_axis_off()
    for index, (panel, panel_axes) in enumerate(zip(panels, axes, strict=False)):
        _plot_panel(panel_axes, panel, limits, scale)
        if index % columns == 0:
            panel_axes.set_ylabel(score_label(scale, short=True))
        else:
            panel_axes.tick_params(labelleft=False)
    best = ", ".join(f"{setting.title} {in_words(points[0][0])}" for setting, points in panels)
    shown = [(panel.setting, value, trial) for panel in panels for value, trial in panel.points]
    return finish(
        figure,
        name=name,
        title=f"Which values suit {'every rule' if family is None else family_title(family)}?",
        caption=_caption(family, panels, kept),
        finding=f"The best trial has {best}.",
        legend=family_legend(trial.family for _, _, trial in shown) if family is None else (),
        table=Table(
            ("parameter", "value", "score", "family"),
            tuple(
                (setting.name, value if isinstance(value, str) else float(value), trial.score or 0.0, trial.family)
                for setting, value, trial in shown
            ),
        ),
    )


def _plot_panel(axes: Any, panel: Panel, limits: tuple[float, float], scale: Scale) -> None:
    low, high = limits
    setting = panel.setting
    points = [(setting.place(value), trial.score or 0.0, trial.family) for value, trial in panel.points]
    for family in dict.fromkeys(owner for _, _, owner in points):
        own = [(value, max(score, low)) for value, score, owner in points if owner == family]
        axes.plot(
            *zip(*own, strict=True), "o", markersize=4.6, color=family_colour(family), alpha=0.65, markeredgewidth=0
        )
    value, score, family = points[0]
    axes.plot(value, score, "D", markersize=6, color=family_colour(family), markeredgecolor=INK, markeredgewidth=0.8)
    if setting.log:
        axes.set_xscale("log")
    axes.margins(x=0.06)
    plain_axis(axes.xaxis, log=setting.log)
    distinct = sorted({value for value, _, _ in points})
    if setting.options:
        axes.set_xticks(range(len(setting.options)), [option.replace("_", " ") for option in setting.options])
        axes.set_xlim(-0.5, len(setting.options) - 0.5)
    elif len(distinct) <= _FEW:  # a list of choices rather than a range
        axes.set_xticks(distinct, [number(value) for value in distinct])
    score_axis(axes.yaxis, low, high, scale, ticks=4)
    axes.set_xlabel(setting.title)


def _caption(family: str | None, panels: list[Panel], kept: dict[str, Value]) -> str:
    meanings = SHARED
    if family is not None:
        meanings = {name: parameter.meaning for name, parameter in declared_parameters(family).items()}
    text = "; ".join(f"{s.title}: {meanings[s.name]}" for s, _ in panels if s.name in meanings)
    text = f"{text[:1].upper()}{text[1:]}. " if text else ""
    if kept:
        told = ", ".join(f"{setting_title(name)} = {number(value)}" for name, value in kept.items())
        text += f"Kept: {told}. "
    return f"{text}The diamond is the best trial; a dot on the lower edge lies below it."
