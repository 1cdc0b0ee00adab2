"""Draws which settings moved the score most, as bars with the intervals of a bootstrap."""

from __future__ import annotations

import dataclasses
from typing import Any

from search.drawing import INK, MUTED, Figure, Table, family_colour, finish, new_figure
from search.evidence import INTERVAL_TRIALS, RESAMPLES, SURE, Importance, Share, setting_title
from search.wording import count, family_title

_BAR = 14
_GROUP = 26
_MOST_BARS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """One block of bars: a family's settings and their shares in [0, 1], largest first."""

    title: str
    note: str
    """The certainty of the order, in words."""
    family: str | None
    clear: bool
    """True if the first bar stands out."""
    bars: tuple[Share, ...]


def importance_figure(importances: tuple[Importance, ...]) -> Figure | None:
    """Draw the figure; None if no importance could be computed. Must be called inside `drawing.style`."""
    groups = _get_importance_info(importances)
    return _plot_importance(groups, importances) if groups else None


def _get_importance_info(importances: tuple[Importance, ...]) -> tuple[Group, ...]:
    return tuple(
        Group(
            title="all trials together" if item.family is None else family_title(item.family),
            note=_note(item),
            family=item.family,
            clear=item.clear,
            bars=item.shares[:_MOST_BARS],
        )
        for item in importances
        if item.shares
    )


def _note(item: Importance) -> str:
    if item.first_in is None:
        return f"{count(item.trials, 'trial')}: too few to be sure"
    return "one stands out" if item.clear else "cannot be told apart"


def _plot_importance(groups: tuple[Group, ...], importances: tuple[Importance, ...]) -> Figure:
    height = sum(_GROUP + _BAR * len(group.bars) for group in groups)
    figure, (axes,) = new_figure(height, left=96, right=34, bottom=0, top=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    at = 0.0
    label = {"fontsize": 8.5, "va": "center"}
    for group in groups:
        axes.annotate(
            group.title, (0, at + 14), xytext=(-94, 0), textcoords="offset points", color=INK, weight="bold", **label
        )
        axes.annotate(
            group.note, (1, at + 14), xytext=(32, 0), textcoords="offset points", color=MUTED, ha="right", **label
        )
        at += _GROUP
        for share in group.bars:
            axes.annotate(
                setting_title(share.name), (0, at), xytext=(-5, 0), textcoords="offset points", ha="right",
                color=MUTED, **label,
            )  # fmt: skip
            _plot_bar(axes, at, share, INK if group.family is None else family_colour(group.family), clear=group.clear)
            at += _BAR
    title = "Which settings move the score most?"
    return finish(
        figure,
        name="importance",
        title=title,
        caption=_caption(importances),
        finding=next(item.sentence for item in importances if item.shares),
        table=_table(importances),
    )


def _plot_bar(axes: Any, at: float, share: Share, colour: str, *, clear: bool) -> None:
    axes.barh(at, share.share, height=_BAR - 4.5, color=colour, alpha=1.0 if clear else 0.45)
    end = share.share
    if share.low is not None and share.high is not None:
        axes.plot([share.low, share.high], [at, at], color=INK, linewidth=1.0, solid_capstyle="butt")
        axes.vlines([share.low, share.high], at - 2.5, at + 2.5, color=INK, linewidth=1.0)
        end = max(end, share.high)
    axes.annotate(
        f"{100 * share.share:.0f} %", (end, at), xytext=(4, 0), textcoords="offset points", color=INK,
        fontsize=8.5, va="center",
    )  # fmt: skip


def _table(importances: tuple[Importance, ...]) -> Table:
    return Table(
        ("family", "trials", "setting", "share", "low", "high", "first_in"),
        tuple(
            (item.family or "all", item.trials, share.name, share.share, share.low, share.high, item.first_in)
            for item in importances
            for share in item.shares or ()
        ),
    )


def _caption(importances: tuple[Importance, ...]) -> str:
    shown = [item for item in importances if item.shares]
    text = "Shares of the score's explained variance (functional ANOVA); each block adds up to 100 %."
    if any(item.first_in is not None for item in shown):
        text += (
            f" Whiskers: 95 % of {RESAMPLES} bootstraps of the trials. Bars are in full colour where the same setting"
            f" is the first in at least {100 * SURE:.0f} % of these."
        )
    if any(item.first_in is None for item in shown):
        text += f" Blocks of fewer than {INTERVAL_TRIALS} trials have no intervals and are only a hint."
    left_out = [f"{family_title(i.family)} ({i.reason})" for i in importances if i.shares is None and i.family]
    return f"{text} Left out: {'; '.join(left_out)}." if left_out else text
