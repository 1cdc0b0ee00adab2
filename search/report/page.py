"""The report as one HTML page that needs nothing else: no script, no request, no file beside it."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib.resources
from typing import TYPE_CHECKING

from search.records import SearchRecord, TrialRecord
from search.report.figures import figures
from search.report.importance import Importance, importances
from search.report.palette import css_colour, family_colour
from search.report.ranking import (
    CONSTANT_FAMILY,
    ConstantComparison,
    FamilyRank,
    compare_to_constant,
    rank_families,
)
from search.report.settings_table import settings_rows, summary_rows
from search.report.verdict import judge
from search.scale import Scale
from search.wording import count, family_title, number, percent

if TYPE_CHECKING:
    import jinja2

_MOST_TRIALS = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """A number at the head of the page."""

    label: str
    value: str
    note: str = ""


def render_html(
    search: SearchRecord,
    *,
    created: datetime.datetime | None = None,
    computed: tuple[Importance, ...] | None = None,
) -> str:
    """The page.

    Args:
        search: the search, finished or not.
        created: when the report is made, shown at its foot.
        computed: the search's importances, if they are at hand.
    """
    scale = Scale(search.objective)
    families = rank_families(search)
    comparison = compare_to_constant(search)
    trials = search.finished
    winner = trials[0] if trials else None
    text: str = _template().render(
        style=_resource("style.css"),
        search=search,
        verdict=judge(search),
        scale=scale,
        heading="Accuracy" if scale.is_accuracy else scale.title,
        tiles=_tiles(search, families, comparison, scale),
        winner=winner,
        winner_settings=_winner_settings(winner),
        families=families,
        comparison=comparison,
        figures=figures(search, importances(search) if computed is None else computed),
        trials=trials[:_MOST_TRIALS],
        left_out=max(0, len(trials) - _MOST_TRIALS),
        shared=list(dict.fromkeys(name for trial in trials for name in trial.shared)),
        failed=[trial for trial in search.trials if trial.status == "failed"],
        summary=summary_rows(search),
        settings=settings_rows(search.config),
        created=created,
    )
    return text


def _tiles(
    search: SearchRecord, families: tuple[FamilyRank, ...], comparison: ConstantComparison, scale: Scale
) -> tuple[Tile, ...]:
    best = families[0].best if families else None
    tiles = []
    if best is not None:
        tiles.append(Tile(label="Best rule", value=scale.value(best.score, 1), note=family_title(families[0].family)))
    if comparison.constant is not None:
        weight = number(comparison.constant.parameters.get("weight"))
        tiles.append(Tile(label="Best constant", value=scale.value(comparison.constant.score, 1), note=f"λ = {weight}"))
    if comparison.labels_alone is not None:
        score = scale.value(comparison.labels_alone.score, 1)
        tiles.append(Tile(label="Labels alone", value=score, note="λ = 0, no teacher"))
    if best is not None and search.teacher_accuracy is not None:
        size = search.teacher_parameters
        note = f"{size:,} parameters" if size else ""
        label = "Teacher" if scale.is_accuracy else "Teacher's accuracy"
        tiles.append(Tile(label=label, value=percent(search.teacher_accuracy, 1), note=note))
    return tuple(tiles)


def _winner_settings(winner: TrialRecord | None) -> str:
    if winner is None:
        return ""
    return ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in winner.shared.items())


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        number=number,
        title=family_title,
        colour=_colour,
        unbroken=_unbroken,
    )
    environment.globals.update(constant_family=CONSTANT_FAMILY, count=count)
    return environment.from_string(_resource("templates/report.html.j2"))


def _colour(family: str) -> str:
    return css_colour(family_colour(family))


def _unbroken(text: str) -> str:
    """No line break between a number and its unit, or around the sign in `λ = 0.9`."""
    return text.replace(" %", "\u00a0%").replace("λ = ", "λ\u00a0=\u00a0").replace("± ", "±\u00a0")


@functools.cache
def _resource(name: str) -> str:
    return (importlib.resources.files("search.report") / name).read_text(encoding="utf-8")
