"""Which settings moved the score most, as bars."""

from __future__ import annotations

import dataclasses

from search.report.drawing import Figure, finish, new_figure
from search.report.importance import ROUGH_BELOW, Importance
from search.report.palette import INK, MUTED, family_colour
from search.report.tables import Table
from search.wording import family_title

_BAR = 14
_GROUP = 26
_MOST_BARS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """One block of bars: a family's settings and their shares in [0, 1], largest first."""

    title: str
    family: str | None
    bars: tuple[tuple[str, float], ...]


def importance_figure(importances: tuple[Importance, ...]) -> Figure | None:
    """The figure, or None where no importance could be told. To be called inside `drawing.style`."""
    groups = _get_importance_info(importances)
    return _plot_importance(groups, importances) if groups else None


def _get_importance_info(importances: tuple[Importance, ...]) -> tuple[Group, ...]:
    return tuple(
        Group(
            title="all trials together" if item.family is None else family_title(item.family),
            family=item.family,
            bars=tuple((share.name.replace("_", " "), share.share) for share in item.shares[:_MOST_BARS]),
        )
        for item in importances
        if item.shares
    )


def _plot_importance(groups: tuple[Group, ...], importances: tuple[Importance, ...]) -> Figure:
    height = sum(_GROUP + _BAR * len(group.bars) for group in groups)
    figure, (axes,) = new_figure(height, left=96, right=34, bottom=0, top=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    at = 0.0
    label = {"fontsize": 8.5, "va": "center"}
    for group in groups:
        colour = INK if group.family is None else family_colour(group.family)
        axes.annotate(
            group.title, (0, at + 14), xytext=(-94, 0), textcoords="offset points", color=INK, weight="bold", **label
        )
        at += _GROUP
        for name, share in group.bars:
            axes.barh(at, share, height=_BAR - 4.5, color=colour)
            axes.annotate(name, (0, at), xytext=(-5, 0), textcoords="offset points", ha="right", color=MUTED, **label)
            value = f"{100 * share:.0f} %"
            axes.annotate(value, (share, at), xytext=(4, 0), textcoords="offset points", color=INK, **label)
            at += _BAR
    title = "Which settings move the score most?"
    return finish(
        figure,
        name="importance",
        title=title,
        caption=_caption(importances),
        finding=_finding(groups),
        table=_table(importances),
    )


def _finding(groups: tuple[Group, ...]) -> str:
    first = groups[0]
    name, share = first.bars[0]
    return f"Of {first.title}, {name} comes first with {100 * share:.0f} % of the explained variance."


def _table(importances: tuple[Importance, ...]) -> Table:
    return Table(
        ("family", "trials", "setting", "share"),
        tuple(
            (item.family or "all", item.trials, share.name, share.share)
            for item in importances
            for share in item.shares or ()
        ),
    )


def _caption(importances: tuple[Importance, ...]) -> str:
    text = "Shares of the score's explained variance (functional ANOVA); each block adds up to 100 %."
    if any(item.shares and item.rough for item in importances):
        text += f" Blocks of fewer than {ROUGH_BELOW} trials are rough: only a large difference means anything."
    left_out = [f"{family_title(i.family)} ({i.reason})" for i in importances if i.shares is None and i.family]
    return f"{text} Left out: {'; '.join(left_out)}." if left_out else text
