"""Draws the score against each searched setting: a family's own, and those that all families share."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from policies.families import FAMILIES
from policies.parameter import Value
from search.drawing import (
    INK,
    Figure,
    LegendItem,
    Table,
    css_colour,
    family_colour,
    finish,
    focus,
    new_figure,
    plain_axis,
    score_axis,
    score_label,
    thinned,
)
from search.records import SearchRecord, TrialRecord
from search.wording import Scale, family_title, number

_MOST_POINTS = 200
_ROW = 108
_FEW = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """One parameter: its value and the score of each trial, best first. `families` names each point's family.

    The values of a choice are indices into `options`, which is empty for a number.
    """

    name: str
    log: bool
    options: tuple[str, ...]
    values: tuple[float, ...]
    scores: tuple[float, ...]
    families: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParametersInfo:
    """The panels of one figure; `family` is None for the shared ones. `kept` are settings equal in every trial."""

    family: str | None
    panels: tuple[Panel, ...]
    meanings: dict[str, str]
    kept: dict[str, Value]
    limits: tuple[float, float]
    scale: Scale


def shared_figure(search: SearchRecord) -> Figure | None:
    """Draw the settings that all families share; None if none was varied. Must be called inside `drawing.style`."""
    info = _get_shared_info(search)
    return _plot_parameters(info, 0) if info else None


def family_figures(search: SearchRecord) -> tuple[Figure, ...]:
    """Draw a figure for each family with settings to tune, best first. Must be called inside `drawing.style`."""
    infos = (_get_family_info(search, family) for family in dict.fromkeys(trial.family for trial in search.finished))
    return tuple(_plot_parameters(info, place) for place, info in enumerate(infos, start=1) if info is not None)


def _get_shared_info(search: SearchRecord) -> ParametersInfo | None:
    trials = search.finished
    meanings = {"learning_rate": "peak of the schedule", "temperature": "T, softens both models' outputs"}
    settings: list[dict[str, Value]] = [dict(t.shared) for t in trials]
    return _info(None, trials, settings, meanings, Scale(search.objective), log=set(meanings))


def _get_family_info(search: SearchRecord, family: str) -> ParametersInfo | None:
    trials = tuple(t for t in search.finished if t.family == family)
    declared = FAMILIES[family].parameters() if family in FAMILIES else {}
    meanings = {name: parameter.meaning for name, parameter in declared.items()}
    log = {name for name, parameter in declared.items() if parameter.log}
    settings = [dict(t.parameters) for t in trials]
    return _info(family, trials, settings, meanings, Scale(search.objective), log=log)


def _info(
    family: str | None,
    trials: tuple[TrialRecord, ...],
    settings: list[dict[str, Value]],
    meanings: dict[str, str],
    scale: Scale,
    *,
    log: set[str],
) -> ParametersInfo | None:
    """Return the panels and their limits; None if nothing was varied."""
    names = list(dict.fromkeys(name for values in settings for name in values))
    panels = []
    kept: dict[str, Value] = {}
    for name in names:
        seen = [(values[name], trial) for values, trial in zip(settings, trials, strict=True) if name in values]
        if len({value for value, _ in seen}) == 1:
            kept[name] = seen[0][0]
            continue
        shown = thinned(seen, _MOST_POINTS)
        options = tuple(sorted({value for value, _ in seen if isinstance(value, str)}))
        panels.append(
            Panel(
                name=name,
                log=name in log and all(not isinstance(value, str) and value > 0 for value, _ in seen),
                options=options,
                values=tuple(_place(value, options) for value, _ in shown),
                scores=tuple(trial.score or 0.0 for _, trial in shown),
                families=tuple(trial.family for _, trial in shown),
            )
        )
    if not panels:
        return None
    scores = [trial.score or 0.0 for trial in trials]
    return ParametersInfo(
        family=family,
        panels=tuple(panels),
        meanings={panel.name: meanings[panel.name] for panel in panels if panel.name in meanings},
        kept=kept,
        limits=focus(scores, scores[:1], scale),
        scale=scale,
    )


def _place(value: Value, options: tuple[str, ...]) -> float:
    return float(options.index(value)) if isinstance(value, str) else float(value)


def _plot_parameters(info: ParametersInfo, place: int) -> Figure:
    columns = min(2, len(info.panels))
    rows = -(-len(info.panels) // columns)
    height = rows * _ROW + (rows - 1) * 40 + 44
    figure, axes = new_figure(height, rows=rows, columns=columns, left=42, right=8, bottom=36, top=8, gap=(14, 40))
    for index, panel_axes in enumerate(axes):
        if index >= len(info.panels):
            panel_axes.set_axis_off()
            continue
        _plot_panel(panel_axes, info.panels[index], info.limits, info.scale)
        if index % columns == 0:
            panel_axes.set_ylabel(score_label(info.scale, short=True))
        else:
            panel_axes.tick_params(labelleft=False)
    family = info.family if info.family and info.family.isidentifier() else str(place)
    name = "parameters" if info.family is None else f"parameters-{family}"
    title = f"Which values suit {'every rule' if info.family is None else family_title(info.family)}?"
    return finish(
        figure,
        name=name,
        title=title,
        caption=_caption(info),
        finding=_finding(info),
        legend=_legend(info),
        table=_table(info),
    )


def _finding(info: ParametersInfo) -> str:
    """Return the settings of the best trial in a sentence."""
    told = [f"{panel.name.replace('_', ' ')} {_shown(panel, panel.values[0])}" for panel in info.panels]
    return f"The best trial has {', '.join(told)}."


def _shown(panel: Panel, value: float) -> str:
    return panel.options[int(value)].replace("_", " ") if panel.options else number(value).replace("-", "−")


def _table(info: ParametersInfo) -> Table:
    return Table(
        ("parameter", "value", "score", "family"),
        tuple(
            (panel.name, panel.options[int(value)] if panel.options else value, score, family)
            for panel in info.panels
            for value, score, family in zip(panel.values, panel.scores, panel.families, strict=True)
        ),
    )


def _plot_panel(axes: Any, panel: Panel, limits: tuple[float, float], scale: Scale) -> None:
    low, high = limits
    for family in dict.fromkeys(panel.families):
        points = [
            (value, score)
            for value, score, owner in zip(panel.values, panel.scores, panel.families, strict=True)
            if owner == family
        ]
        axes.plot(
            [value for value, _ in points],
            [max(score, low) for _, score in points],
            "o",
            markersize=4.6,
            color=family_colour(family),
            alpha=0.65,
            markeredgewidth=0,
        )
    axes.plot(
        panel.values[0], panel.scores[0], "D", markersize=6, color=family_colour(panel.families[0]),
        markeredgecolor=INK, markeredgewidth=0.8,
    )  # fmt: skip
    if panel.log:
        axes.set_xscale("log")
        edges = [math.log(value) for value in (min(panel.values), max(panel.values))]
        margin = 0.06 * (edges[1] - edges[0])
        axes.set_xlim(math.exp(edges[0] - margin), math.exp(edges[1] + margin))
    else:
        axes.margins(x=0.06)
    plain_axis(axes.xaxis, log=panel.log)
    distinct = sorted(set(panel.values))
    if panel.options:
        axes.set_xticks(range(len(panel.options)), [option.replace("_", " ") for option in panel.options])
        axes.set_xlim(-0.5, len(panel.options) - 0.5)
    elif len(distinct) <= _FEW:  # a list of choices rather than a range
        axes.set_xticks(distinct, [number(value) for value in distinct])
    score_axis(axes.yaxis, low, high, scale, ticks=4)
    axes.set_xlabel(panel.name.replace("_", " "))


def _caption(info: ParametersInfo) -> str:
    parts = [f"{name.replace('_', ' ')}: {meaning}" for name, meaning in info.meanings.items()]
    text = f"{'; '.join(parts)}. " if parts else ""
    text = text[:1].upper() + text[1:]
    if info.kept:
        kept = ", ".join(f"{name.replace('_', ' ')} = {number(value)}" for name, value in info.kept.items())
        text += f"Kept: {kept}. "
    return f"{text}The diamond is the best trial; a dot on the lower edge lies below it."


def _legend(info: ParametersInfo) -> tuple[LegendItem, ...]:
    if info.family is not None:
        return ()
    families = dict.fromkeys(family for panel in info.panels for family in panel.families)
    return tuple(LegendItem(label=family_title(f), colour=css_colour(family_colour(f)), dot=True) for f in families)
