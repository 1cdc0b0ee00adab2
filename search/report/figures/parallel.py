"""Draws every trial as a line through its settings: parallel coordinates, a row of axes for each family."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from policies.families import FAMILIES
from policies.parameter import Value
from search.drawing import (
    INK,
    MUTED,
    PAGE,
    Figure,
    LegendItem,
    Table,
    css_colour,
    finish,
    new_figure,
    score_axis,
    thinned,
)
from search.evidence import ReportSource
from search.records import SearchRecord, TrialRecord
from search.wording import Scale, family_title, number

_MOST_LINES = 120
_MOST_AXES = 6
_MOST_FAMILIES = 8
_ROW, _GAP = 78, 40
_SHARED = ("learning_rate", "temperature")
_BEST, _BETTER, _WORSE = "#d55e00", "#56b4e9", MUTED


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coordinate:
    """One axis: a setting and its range among the shown trials; `options` are the values of a choice, in order."""

    name: str
    log: bool
    options: tuple[str, ...]
    low: float
    high: float

    def place(self, value: Value) -> float:
        """Return the place of a value on the axis, in [0, 1]."""
        number = float(self.options.index(value)) if isinstance(value, str) else float(value)
        low, high = self.low, self.high
        if self.log:
            number, low, high = math.log(number), math.log(low), math.log(high)
        return 0.5 if high == low else (number - low) / (high - low)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelRow:
    """One family: its axes, and its trials, best first."""

    family: str
    coordinates: tuple[Coordinate, ...]
    left_out: tuple[str, ...]
    trials: tuple[TrialRecord, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelInfo:
    """The data of the figure."""

    rows: tuple[ParallelRow, ...]
    more: tuple[str, ...]
    scale: Scale


def parallel_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no family has two trials that differ. Must be called inside `drawing.style`."""
    info = _get_parallel_info(source)
    return _plot_parallel(source.judged, info) if info.rows else None


def _get_parallel_info(source: ReportSource) -> ParallelInfo:
    rows = [row for family in source.best_trials if (row := _row(source.judged, family)).coordinates]
    return ParallelInfo(
        rows=tuple(rows[:_MOST_FAMILIES]),
        more=tuple(row.family for row in rows[_MOST_FAMILIES:]),
        scale=source.scale,
    )


def settings_of(trial: TrialRecord) -> dict[str, Value]:
    """Return the rule's parameters, then what is searched alike for all families."""
    return {**trial.parameters, **trial.shared}


def _row(search: SearchRecord, family: str) -> ParallelRow:
    trials = [trial for trial in search.finished if trial.family == family]
    declared = FAMILIES[family].parameters() if family in FAMILIES else {}
    names = dict.fromkeys(name for trial in trials for name in settings_of(trial))
    found = []
    for name in names:
        log = name in _SHARED or (name in declared and declared[name].log)
        coordinate = _coordinate(name, [settings_of(t)[name] for t in trials if name in settings_of(t)], log=log)
        if coordinate is not None:
            found.append(coordinate)
    # Shared settings are always shown; of a long list of parameters only the first ones, as declared.
    shared = [c for c in found if c.name in _SHARED]
    own = [c for c in found if c.name not in _SHARED]
    room = _MOST_AXES - len(shared)
    shown = (*own[:room], *shared)
    complete = [trial for trial in trials if all(c.name in settings_of(trial) for c in shown)]
    return ParallelRow(
        family=family, coordinates=shown, left_out=tuple(c.name for c in own[room:]), trials=tuple(complete)
    )


def _coordinate(name: str, values: list[Value], *, log: bool) -> Coordinate | None:
    """Return the axis of a setting; None if it was not varied."""
    if len(set(values)) < 2:
        return None
    options = tuple(sorted({value for value in values if isinstance(value, str)}))
    numbers = [float(options.index(v)) if isinstance(v, str) else float(v) for v in values]
    low, high = min(numbers), max(numbers)
    return Coordinate(name=name, log=log and low > 0, options=options, low=low, high=high)


def _plot_parallel(search: SearchRecord, info: ParallelInfo) -> Figure:
    rows = len(info.rows)
    figure, axes = new_figure(
        rows * _ROW + (rows - 1) * _GAP + 46, rows=rows, left=14, right=40, bottom=30, top=16, gap=(0, _GAP)
    )
    for row, panel in zip(info.rows, axes, strict=True):
        _plot_row(panel, row, info.scale)
    caption = (
        "Each line is a finished trial, from setting to setting to its score on the right; axes run over the values"
        " that were tried. Orange: the family's best tenth."
    )
    left_out = [f"{family_title(row.family)}: {', '.join(row.left_out)}" for row in info.rows if row.left_out]
    if left_out:
        caption += f" Not drawn, for lack of space: {'; '.join(left_out)}.".replace("_", " ")
    if info.more:
        caption += f" Families not drawn: {', '.join(map(family_title, info.more))}; all are in the table."
    return finish(
        figure,
        name="parallel",
        title="Which settings do the good trials have?",
        caption=caption,
        finding=_finding(info.rows[0]),
        legend=tuple(
            LegendItem(label=label, colour=css_colour(colour))
            for label, colour in (("best tenth", _BEST), ("better half", _BETTER), ("worse half", _WORSE))
        ),
        table=_table(search),
    )


def _plot_row(axes: Any, row: ParallelRow, scale: Scale) -> None:
    last = len(row.coordinates)
    scores = [trial.score or 0.0 for trial in row.trials]
    low, high = scores[-1], scores[0]
    best = max(1, round(len(scores) / 10))
    for rank, trial in reversed(thinned(list(enumerate(row.trials)), _MOST_LINES)):
        values = settings_of(trial)
        places = [coordinate.place(values[coordinate.name]) for coordinate in row.coordinates]
        places.append(0.5 if high == low else (scores[rank] - low) / (high - low))
        colour = _BEST if rank < best else _BETTER if rank < len(scores) / 2 else _WORSE
        faint = 0.4 if colour == _WORSE else 1.0
        axes.plot(range(last + 1), places, color=colour, alpha=faint, linewidth=1.8 if rank < best else 0.9, zorder=3)
    axes.set_xlim(0, last)
    axes.set_ylim(-0.04, 1.04)
    axes.set_axis_off()
    axes.vlines(range(last + 1), 0, 1, color=MUTED, linewidth=0.7, zorder=2)
    axes.set_title(family_title(row.family), loc="left", color=INK, pad=4)
    for at, coordinate in enumerate(row.coordinates):
        _name_axis(axes, at, coordinate)
    right = axes.twinx()
    right.grid(visible=False)
    for side in ("left", "top", "right", "bottom"):
        right.spines[side].set_visible(False)
    margin = 0.04 * (high - low) if high > low else 0.01
    score_axis(right.yaxis, low - margin, high + margin, scale, ticks=4)
    axes.annotate(
        scale.objective.name, (last, 1), xytext=(0, 7), textcoords="offset points", fontsize=7.5, ha="right", color=INK
    )


def _name_axis(axes: Any, at: int, coordinate: Coordinate) -> None:
    """Write the name below, every other one a line lower, and the ends of the range beside the axis."""
    words = coordinate.name.replace("_", " ")
    style: dict[str, Any] = {"fontsize": 7.5, "ha": "left" if at == 0 else "center", "color": INK}
    axes.annotate(words, (at, 0), xytext=(0, -11 - 9 * (at % 2)), textcoords="offset points", **style)
    ends: tuple[Value, Value] = (coordinate.low, coordinate.high)
    if coordinate.options:
        ends = (coordinate.options[0], coordinate.options[-1])
    for value, y in zip(ends, (0.0, 1.0), strict=True):
        axes.annotate(
            _shown(value), (at, y), xytext=(2, 2 if y == 0 else -8), textcoords="offset points",
            fontsize=6.5, color=MUTED, ha="left", zorder=5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": PAGE, "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _shown(value: Value) -> str:
    return number(value).replace("_", " ").replace("-", "−")


def _finding(row: ParallelRow) -> str:
    """Return the ranges of the numeric settings in a family's best tenth.

    If the tenth is a single trial, its settings are returned.
    """
    best = row.trials[: max(1, round(len(row.trials) / 10))]
    if len(best) < 2:
        values = settings_of(row.trials[0])
        told = ", ".join(f"{c.name.replace('_', ' ')} {_shown(values[c.name])}" for c in row.coordinates)
        return f"The best trial of {family_title(row.family)} has {told}."
    parts = []
    for coordinate in row.coordinates:
        if not coordinate.options:
            values_of = [float(settings_of(trial)[coordinate.name]) for trial in best]
            name = coordinate.name.replace("_", " ")
            parts.append(f"{name} {_shown(min(values_of))} to {_shown(max(values_of))}")
    return f"The best tenth of {family_title(row.family)}: {', '.join(parts)}." if parts else ""


def _table(search: SearchRecord) -> Table:
    """Return all finished trials, best first, with a column for every setting of any family."""
    trials = search.finished
    names = sorted({name for trial in trials for name in trial.parameters})
    shared = sorted({name for trial in trials for name in trial.shared})
    return Table(
        ("trial", "family", "score", *shared, *names),
        tuple(
            (
                trial.number,
                trial.family,
                trial.score,
                *(trial.shared.get(name) for name in shared),
                *(trial.parameters.get(name) for name in names),
            )
            for trial in trials
        ),
    )
