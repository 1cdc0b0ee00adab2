"""Renders the report as one HTML page that needs nothing else: no script, no request, no file beside it."""

from __future__ import annotations

import datetime
import functools
import importlib.resources
from typing import TYPE_CHECKING

from search.drawing import css_colour, family_colour
from search.evidence import (
    ReportSource,
    interval_cell,
    settings_in_words,
    transfer_headline,
    transfer_sentences,
)
from search.report.tables.costs import costs
from search.report.tables.finalists import ranked_finalists
from search.report.tables.guard import guard_table
from search.report.tables.kpis import kpi_table, shown, shown_spread
from search.report.tables.settings import settings_rows, summary_rows
from search.report.tiles import head_tiles, measured_on
from search.settings import CONSTANT_FAMILY, next_command
from search.wording import count, duration, family_title, number, sentence_case, setting_title

if TYPE_CHECKING:
    import jinja2

    from search.report.figures.groups import FigureGroup

_MOST_TRIALS = 300


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
        tiles=head_tiles(source),
        measured_on=measured_on(source),
        kpis=kpi_table(source),
        costs=costs(source),
        guard=guard_table(source),
        own_losses=search.own_losses or (search.pictures is not None and search.pictures.own_losses),
        transfers=source.transferred,
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


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _resource(f"templates/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
        transfer_headline=transfer_headline,
        transfer_sentences=transfer_sentences,
    )
    return environment.get_template("report.html.j2")


def _colour(family: str) -> str:
    return css_colour(family_colour(family))


def _unbroken(text: str) -> str:
    """Return the text with no-break spaces between a number and its unit, and around the sign in `λ = 0.9`."""
    return text.replace(" %", "\u00a0%").replace("λ = ", "λ\u00a0=\u00a0").replace("± ", "±\u00a0")


@functools.cache
def _resource(name: str) -> str:
    return (importlib.resources.files("search.report") / name).read_text(encoding="utf-8")
