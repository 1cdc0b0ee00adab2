"""Draws the curve of constants and the rules beside it."""

from __future__ import annotations

import statistics

from search.diagnosis.record import Arm, Diagnosis, Estimate
from search.diagnosis.wording import headline
from search.drawing import (
    INK,
    MUTED,
    Figure,
    LegendItem,
    Table,
    difference_axis,
    family_colour,
    finish,
    new_figure,
)
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title, number

_RULE_GAP = 0.14


def diagnosis_figure(found: Diagnosis) -> Figure:
    """Draw every arm's gain over the labels alone, by seed and as expected. Must be called inside `drawing.style`."""
    scale = Scale(found.objective)
    figure, (axes,) = new_figure(230, right=12, bottom=40)
    arms = [arm for arm in found.arms if arm.level is not None]
    alone = arms[0].scores
    gains = [arm.over_labels or Estimate(mean=0.0, low=0.0, high=0.0) for arm in arms]
    places = _places(arms)
    for arm, gain, at in zip(arms, gains, places, strict=True):
        colour = family_colour(arm.family)
        axes.plot([at, at], [gain.low, gain.high], color=colour, linewidth=1.4)
        axes.plot(at, gain.mean, "o", markersize=6, color=colour, zorder=4)
        if arm is not arms[0]:
            pairs = [score - alone[seed] for seed, score in arm.scores.items()]
            axes.plot([at] * len(pairs), pairs, "_", markersize=7, color=MUTED, zorder=3)
    curve = [place for place, arm in enumerate(arms) if arm.kind == "constant"]
    axes.plot(
        [places[place] for place in curve],
        [gains[place].mean for place in curve],
        color=family_colour(CONSTANT_FAMILY),
        linewidth=1.8,
    )
    axes.axhline(0.0, color=INK, linewidth=0.5)
    axes.axvline(1.0 + 0.5 * _RULE_GAP, color=INK, linewidth=0.5)
    low, high = _limits(gains)
    under = sum(gain.mean < low for gain in gains)
    difference_axis(axes.yaxis, low, high, scale)
    axes.set_ylabel(f"gain over the labels alone{', points' if scale.is_accuracy else ''}")
    axes.set_xlim(-0.04, 1.04 + _RULE_GAP * (len(arms) - len(curve)))
    axes.set_xticks(places, [number(a.weight) if a.kind == "constant" else _initials(a.family) for a in arms])
    axes.set_xlabel("constant λ, then rules")
    cut = f" {count(under, 'arm')} {'is' if under == 1 else 'are'} below the axis." if under else ""
    return finish(
        figure,
        name="diagnosis",
        title="Will λ matter here?",
        finding=headline(found),
        caption=(
            f"Bars are {count(len(found.seeds), 'seed')} each, against the labels alone under the same seed. Dots are"
            " expected gains, drawn together where the seeds cannot tell arms apart; lines are 95 % intervals for new"
            f" seeds and samples.{cut}"
        ),
        legend=tuple(
            LegendItem(
                label="constant λ" if family == CONSTANT_FAMILY else f"{_initials(family)}: {family_title(family)}",
                colour=family_colour(family),
                dot=True,
            )
            for family in dict.fromkeys(arm.family for arm in arms)
        ),
        table=Table(
            ("arm", "family", "learning_rate", "mean", "over_labels", "low", "high", "seeds"),
            tuple(
                (arm.title, arm.family, arm.learning_rate, statistics.fmean(arm.scores.values()), gain.mean, gain.low,
                 gain.high, len(arm.scores))
                for arm, gain in zip(arms, gains, strict=True)
            ),
        ),
    )  # fmt: skip


def _limits(gains: list[Estimate]) -> tuple[float, float]:
    """Return limits that show the good arms: one far below must not squeeze the others together."""
    high = max(gain.high for gain in gains)
    middle = statistics.median(gain.low for gain in gains)
    low = max(min(gain.low for gain in gains), middle - 2.0 * (high - middle))
    margin = 0.06 * (high - low) or 1.0
    return min(low, 0.0) - margin, max(high, 0.0) + margin


def _places(arms: list[Arm]) -> list[float]:
    rules = [arm for arm in arms if arm.kind != "constant"]
    return [arm.weight if arm.kind == "constant" else 1.0 + _RULE_GAP * (1 + rules.index(arm)) for arm in arms]


def _initials(family: str) -> str:
    return "".join(word[0].upper() for word in family.split("_"))
