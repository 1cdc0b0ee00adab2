"""Renders the report as one HTML page that needs nothing else: no script, no request, no file beside it."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib.resources
from typing import TYPE_CHECKING

from search.drawing import css_colour, family_colour
from search.evidence import (
    Confirmed,
    ReportSource,
    interval_cell,
    interval_in_words,
    rule_title,
    settings_in_words,
    title,
)
from search.report.tables.costs import costs
from search.report.tables.finalists import ranked_finalists
from search.report.tables.guard import guard_table
from search.report.tables.kpis import kpi_table, shown, shown_spread
from search.report.tables.settings import settings_rows, summary_rows
from search.settings import CONSTANT_FAMILY, next_command
from search.wording import Scale, count, duration, family_title, number, percent, sentence_case, setting_title

if TYPE_CHECKING:
    import jinja2

    from search.report.figures.groups import FigureGroup

_MOST_TRIALS = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """A number at the head of the page."""

    label: str
    value: str
    note: str = ""


def render_html(
    source: ReportSource, groups: tuple[FigureGroup, ...] = (), *, created: datetime.datetime | None = None
) -> str:
    """Return the page.

    Args:
        source: the data of the report; the search may be unfinished.
        groups: the figures of the page.
        created: when the report is made, shown at the foot of the page.
    """
    search, judgement, scale = source.search, source.judgement, source.scale
    trials = search.finished
    text: str = _template().render(
        style=_resource("style.css"),
        source=source,
        search=search,
        judgement=judgement,
        answer=judgement.answer,
        confirmed=source.confirmed,
        recommended=judgement.recommended,
        next_command=functools.partial(next_command, places=source.launch),
        scale=scale,
        heading="Accuracy" if scale.is_accuracy else scale.title,
        tiles=_tiles(source),
        kpis=kpi_table(source),
        costs=costs(source),
        guard=guard_table(source),
        own_losses=search.own_losses or (search.pictures is not None and search.pictures.own_losses),
        finalists=ranked_finalists(source.confirmed) if source.confirmed else (),
        figure_groups=groups,
        trials=trials[:_MOST_TRIALS],
        left_out=max(0, len(trials) - _MOST_TRIALS),
        shared=list(dict.fromkeys(name for trial in trials for name in trial.shared)),
        eliminated=[trial for trial in search.raced if trial.status == "eliminated"],
        failed=[trial for trial in search.trials if trial.status == "failed"],
        summary=summary_rows(search),
        settings=settings_rows(search.config),
        created=created,
    )
    return text


def _tiles(source: ReportSource) -> tuple[Tile, ...]:
    tiles, confirmed = [], source.confirmed
    for gain in source.judgement.gains[:1]:
        who = "The best rule"
        if confirmed:
            who = "The nearest rule" if confirmed.winner == confirmed.baseline else "The winner"
        interval = interval_in_words(source.scale, gain, gain.seeds)
        tiles.append(
            Tile(
                label=f"{who} against the best constant",
                value=source.scale.margin(gain.mean),
                note=f"{gain.ours}; {interval}",
            )
        )
    return (*tiles, *(_confirmed_tiles(confirmed) if confirmed else _search_tiles(source)))


def _confirmed_tiles(confirmed: Confirmed) -> list[Tile]:
    record, scale = confirmed.record, Scale(confirmed.record.objective)
    named = [("Best constant", confirmed.baseline), ("Labels alone", confirmed.labels_alone)]
    if confirmed.winner != confirmed.baseline:
        named.insert(0, ("Winner", confirmed.winner))
    tiles = [
        Tile(label=label, value=scale.value(confirmed.comparison.of(key).test, 1), note=title(record, key))
        for label, key in named
        if key is not None
    ]
    if record.teacher is not None and record.teacher.accuracy is not None:
        figures = record.teacher_figures
        tiles.append(_teacher_tile(scale, record.teacher.accuracy, figures.parameters if figures else None))
    return tiles


def _search_tiles(source: ReportSource) -> list[Tile]:
    search, scale = source.search, source.scale
    families, comparison = source.judgement.families, source.judgement.comparison
    best = families[0].best if families else None
    tiles = []
    if best is not None and families[0].family != CONSTANT_FAMILY:
        tiles.append(Tile(label="Best rule", value=scale.value(best.score, 1), note=family_title(families[0].family)))
    if comparison.constant is not None:
        name = rule_title(CONSTANT_FAMILY, comparison.constant.parameters)
        tiles.append(Tile(label="Best constant", value=scale.value(comparison.constant.score, 1), note=name))
    if comparison.labels_alone is not None:
        score = scale.value(comparison.labels_alone.score, 1)
        tiles.append(Tile(label="Labels alone", value=score, note="λ = 0"))
    if best is not None and search.teacher_accuracy is not None:
        tiles.append(_teacher_tile(scale, search.teacher_accuracy, search.teacher_parameters))
    return tiles


def _teacher_tile(scale: Scale, accuracy: float, parameters: int | None) -> Tile:
    label = "Teacher" if scale.is_accuracy else "Teacher's accuracy"
    return Tile(label=label, value=percent(accuracy, 1), note=f"{parameters:,} parameters" if parameters else "")


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=number,
        title=family_title,
        setting=setting_title,
        colour=_colour,
        css=css_colour,
        unbroken=_unbroken,
        duration=duration,
        sentence=sentence_case,
    )
    environment.globals.update(
        constant_family=CONSTANT_FAMILY,
        settings_in_words=settings_in_words,
        count=count,
        shown=shown,
        shown_spread=shown_spread,
        interval_cell=interval_cell,
    )
    return environment.from_string(_resource("templates/report.html.j2"))


def _colour(family: str) -> str:
    return css_colour(family_colour(family))


def _unbroken(text: str) -> str:
    """Return the text with no-break spaces between a number and its unit, and around the sign in `λ = 0.9`."""
    return text.replace(" %", "\u00a0%").replace("λ = ", "λ\u00a0=\u00a0").replace("± ", "±\u00a0")


@functools.cache
def _resource(name: str) -> str:
    return (importlib.resources.files("search.report") / name).read_text(encoding="utf-8")
