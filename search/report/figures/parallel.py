"""Draws every trial as a line through its settings: parallel coordinates, a row of axes for each family."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from policies.parameter import Value
from search.drawing import INK, MUTED, PAGE, Figure, LegendItem, Table, finish, new_figure, score_axis, thinned
from search.evidence import ReportSource
from search.records import SearchRecord, TrialRecord
from search.report.figures.setting import Setting, declared_parameters, in_words, varied
from search.wording import Scale, family_title

_MOST_LINES = 120
_MOST_AXES = 6
_MOST_FAMILIES = 8
_ROW, _GAP = 78, 40
_BEST, _BETTER, _WORSE = "#d55e00", "#56b4e9", MUTED


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParallelRow:
    """One family: its axes, and its trials, best first."""

    family: str
    settings: tuple[Setting, ...]
    left_out: tuple[str, ...]
    trials: tuple[TrialRecord, ...]

    @property
    def best(self) -> tuple[TrialRecord, ...]:
        """The best tenth, at least one."""
        return self.trials[: max(1, round(len(self.trials) / 10))]


def parallel_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no family has two trials that differ. Must be called inside `drawing.style`."""
    rows = _rows(source)
    return _plot_parallel(source, rows[:_MOST_FAMILIES], rows[_MOST_FAMILIES:]) if rows else None


def _rows(source: ReportSource) -> list[ParallelRow]:
    return [row for family in source.best_trials if (row := _row(source.judged, family)).settings]


def _settings_of(trial: TrialRecord) -> dict[str, Value]:
    """Return the rule's parameters, then what is searched alike for all families."""
    return {**trial.parameters, **trial.shared}


def _row(search: SearchRecord, family: str) -> ParallelRow:
    trials = [trial for trial in search.finished if trial.family == family]
    logarithmic = search.config.space.logarithmic | {
        name for name, known in declared_parameters(family).items() if known.log
    }
    names = dict.fromkeys(name for trial in trials for name in _settings_of(trial))
    settings = (
        varied(name, [_settings_of(t)[name] for t in trials if name in _settings_of(t)], log=name in logarithmic)
        for name in names
    )
    found = [setting for setting in settings if setting is not None]
    # Shared settings are always shown; of a long list of parameters only the first ones, as declared.
    common = {name for trial in trials for name in trial.shared}
    shared = [setting for setting in found if setting.name in common]
    own = [setting for setting in found if setting.name not in common]
    room = _MOST_AXES - len(shared)
    shown = (*own[:room], *shared)
    return ParallelRow(
        family=family,
        settings=shown,
        left_out=tuple(setting.name for setting in own[room:]),
        trials=tuple(trial for trial in trials if all(s.name in _settings_of(trial) for s in shown)),
    )


def _plot_parallel(source: ReportSource, shown: list[ParallelRow], more: list[ParallelRow]) -> Figure:
    rows = len(shown)
    figure, axes = new_figure(
        rows * _ROW + (rows - 1) * _GAP + 46, rows=rows, left=14, right=40, bottom=30, top=16, gap=(0, _GAP)
    )
    for row, panel in zip(shown, axes, strict=True):
        _plot_row(panel, row, source.scale)
    caption = (
        "Each line is a finished trial, from setting to setting to its score on the right; axes run over the values"
        " that were tried. Orange: the family's best tenth."
    )
    left_out = [f"{family_title(row.family)}: {', '.join(row.left_out)}" for row in shown if row.left_out]
    if left_out:
        caption += f" Not drawn, for lack of space: {'; '.join(left_out)}.".replace("_", " ")
    if more:
        titles = ", ".join(family_title(row.family) for row in more)
        caption += f" Families not drawn: {titles}; all are in the table."
    return finish(
        figure,
        name="parallel",
        title="Which settings do the good trials have?",
        caption=caption,
        finding=_finding(shown[0]),
        legend=tuple(
            LegendItem(label=label, colour=colour)
            for label, colour in (("best tenth", _BEST), ("better half", _BETTER), ("worse half", _WORSE))
        ),
        table=_table(source.judged),
    )


def _height(setting: Setting, value: Value) -> float:
    """Return the place of a value on the axis, in [0, 1]."""
    place, low, high = setting.place(value), setting.low, setting.high
    if setting.log:
        place, low, high = math.log(place), math.log(low), math.log(high)
    return (place - low) / (high - low)


def _plot_row(axes: Any, row: ParallelRow, scale: Scale) -> None:
    last = len(row.settings)
    scores = [trial.score or 0.0 for trial in row.trials]
    low, high = scores[-1], scores[0]
    for rank, trial in reversed(thinned(list(enumerate(row.trials)), _MOST_LINES)):
        values = _settings_of(trial)
        heights = [_height(setting, values[setting.name]) for setting in row.settings]
        heights.append(0.5 if high == low else (scores[rank] - low) / (high - low))
        colour = _BEST if rank < len(row.best) else _BETTER if rank < len(scores) / 2 else _WORSE
        faint, width = 0.4 if colour == _WORSE else 1.0, 1.8 if colour == _BEST else 0.9
        axes.plot(range(last + 1), heights, color=colour, alpha=faint, linewidth=width, zorder=3)
    axes.set_xlim(0, last)
    axes.set_ylim(-0.04, 1.04)
    axes.set_axis_off()
    axes.vlines(range(last + 1), 0, 1, color=MUTED, linewidth=0.7, zorder=2)
    axes.set_title(family_title(row.family), loc="left", color=INK, pad=4)
    for at, setting in enumerate(row.settings):
        _name_axis(axes, at, setting)
    right = axes.twinx()
    right.grid(visible=False)
    right.spines[:].set_visible(False)
    margin = 0.04 * (high - low) if high > low else 0.01
    score_axis(right.yaxis, low - margin, high + margin, scale, ticks=4)
    axes.annotate(
        scale.objective.name, (last, 1), xytext=(0, 7), textcoords="offset points", fontsize=7.5, ha="right", color=INK
    )


def _name_axis(axes: Any, at: int, setting: Setting) -> None:
    """Write the name below, every other one a line lower, and the ends of the range beside the axis."""
    style: dict[str, Any] = {"fontsize": 7.5, "ha": "left" if at == 0 else "center", "color": INK}
    axes.annotate(setting.title, (at, 0), xytext=(0, -11 - 9 * (at % 2)), textcoords="offset points", **style)
    ends: tuple[Value, ...] = setting.options or (setting.low, setting.high)
    for value, y, above in ((ends[0], 0.0, 2), (ends[-1], 1.0, -8)):
        axes.annotate(
            in_words(value), (at, y), xytext=(2, above), textcoords="offset points",
            fontsize=6.5, color=MUTED, ha="left", zorder=5,
            bbox={"boxstyle": "square,pad=0.05", "facecolor": PAGE, "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _finding(row: ParallelRow) -> str:
    """Return the ranges of the numeric settings in a family's best tenth.

    If the tenth is a single trial, its settings are returned.
    """
    if len(row.best) < 2:
        values = _settings_of(row.trials[0])
        told = ", ".join(f"{setting.title} {in_words(values[setting.name])}" for setting in row.settings)
        return f"The best trial of {family_title(row.family)} has {told}."
    parts = []
    for setting in row.settings:
        if not setting.options:
            values_of = [setting.place(_settings_of(trial)[setting.name]) for trial in row.best]
            parts.append(f"{setting.title} {in_words(min(values_of))} to {in_words(max(values_of))}")
    return f"The best tenth of {family_title(row.family)}: {', '.join(parts)}." if parts else ""


def _table(search: SearchRecord) -> Table:
    """Return all finished trials, best first, with a column for every setting of any family."""
    trials = search.finished
    names = sorted({name for trial in trials for name in trial.parameters})
    shared = sorted({name for trial in trials for name in trial.shared})
    return Table(
        ("trial", "family", "score", *shared, *names),
        tuple((t.number, t.family, t.score, *map(t.shared.get, shared), *map(t.parameters.get, names)) for t in trials),
    )
