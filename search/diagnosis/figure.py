"""Draws the curve of constants and the rules beside it."""

from __future__ import annotations

import statistics

from search.diagnosis.record import Arm, Diagnosis
from search.diagnosis.wording import headline
from search.drawing import (
    INK,
    MUTED,
    Figure,
    LegendItem,
    Table,
    family_colour,
    finish,
    focus,
    new_figure,
    score_axis,
    score_label,
)
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title, number

_RULE_GAP = 0.14


def diagnosis_figure(found: Diagnosis) -> Figure:
    """Draw every arm's seeds and expected score with its interval. Must be called inside `drawing.style`."""
    scale = Scale(found.objective)
    figure, (axes,) = new_figure(230, right=12, bottom=40)
    arms = [arm for arm in found.arms if arm.level is not None]
    places = dict(zip((arm.title for arm in arms), _places(arms), strict=True))
    for arm in arms:
        assert arm.level is not None
        colour, at = family_colour(arm.family), places[arm.title]
        axes.plot([at, at], [arm.level.low, arm.level.high], color=colour, linewidth=1.4)
        axes.plot(at, arm.level.mean, "o", markersize=6, color=colour, zorder=4, clip_on=False)
        axes.plot([at] * len(arm.scores), list(arm.scores.values()), "_", markersize=7, color=MUTED, zorder=3)
    constants = [arm for arm in arms if arm.kind == "constant"]
    axes.plot(
        [places[arm.title] for arm in constants],
        [arm.level.mean if arm.level else 0.0 for arm in constants],
        color=family_colour(CONSTANT_FAMILY),
        linewidth=1.8,
    )
    ends = [end for arm in arms if arm.level for end in (arm.level.low, arm.level.high)]
    scores = [score for arm in arms for score in arm.scores.values()]
    means = [statistics.fmean(arm.scores.values()) for arm in arms]
    low, high = focus([*scores, *ends], [max(means), statistics.median(means), min(means)], scale)
    score_axis(axes.yaxis, low, high, scale)
    axes.set_ylabel(score_label(scale, short=not scale.is_accuracy))
    axes.axvline(1.0 + 0.5 * _RULE_GAP, color=INK, linewidth=0.5)
    rules = [arm for arm in arms if arm.kind != "constant"]
    axes.set_xlim(-0.04, 1.04 + _RULE_GAP * len(rules))
    axes.set_xticks(
        [places[arm.title] for arm in arms],
        [number(arm.weight) if arm.kind == "constant" else _short(arm) for arm in arms],
    )
    axes.set_xlabel("constant λ, then rules")
    used = dict.fromkeys(arm.family for arm in arms)
    return finish(
        figure,
        name="diagnosis",
        title="Will λ matter here?",
        finding=headline(found),
        caption=(
            f"Bars are {count(len(found.seeds), 'seed')} each. Dots are expected scores, drawn together where the seeds"
            " cannot tell arms apart; lines are 95 % intervals for new seeds and samples."
        ),
        legend=tuple(
            LegendItem(
                label="constant λ" if family == CONSTANT_FAMILY else f"{_initials(family)}: {family_title(family)}",
                colour=family_colour(family),
                dot=True,
            )
            for family in used
        ),
        table=Table(
            ("arm", "family", "learning_rate", "mean", "expected", "low", "high", "seeds"),
            tuple(
                (a.title, a.family, a.learning_rate, statistics.fmean(a.scores.values()), a.level.mean, a.level.low,
                 a.level.high, len(a.scores))
                for a in arms
                if a.level
            ),
        ),
    )  # fmt: skip


def _places(arms: list[Arm]) -> list[float]:
    rules = [arm for arm in arms if arm.kind != "constant"]
    return [arm.weight if arm.kind == "constant" else 1.0 + _RULE_GAP * (1 + rules.index(arm)) for arm in arms]


def _short(arm: Arm) -> str:
    return _initials(arm.family)


def _initials(family: str) -> str:
    return "".join(word[0].upper() for word in family.split("_"))
