"""Draws which settings moved the score most, as bars with the intervals of a bootstrap."""

from __future__ import annotations

from typing import Any

from search.drawing import INK, MUTED, Figure, Table, family_colour, finish, new_figure
from search.evidence import INTERVAL_TRIALS, RESAMPLES, SURE, Importance, Share
from search.wording import family_title, setting_title

_BAR = 14
_BLOCK = 26
_MOST_BARS = 6


def importance_figure(importances: tuple[Importance, ...]) -> Figure | None:
    """Draw the figure, a block for each importance with intervals; None without one.

    Shares without an interval are in `report.json` only, since they cannot tell one setting from another. Must be
    called inside `drawing.style`.
    """
    shown = [item for item in importances if item.shares and item.first_in is not None]
    if not shown:
        return None
    height = sum(_BLOCK + _BAR * len(_bars(item)) for item in shown)
    figure, (axes,) = new_figure(height, left=96, right=34, bottom=0, top=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    at = 0.0
    for item in shown:
        title = "all trials together" if item.family is None else family_title(item.family)
        _write(axes, title, (0, at + 14), -94, color=INK, weight="bold")
        _write(axes, _note(item), (1, at + 14), 32, color=MUTED, ha="right")
        at += _BLOCK
        for share in _bars(item):
            _write(axes, setting_title(share.name), (0, at), -5, color=MUTED, ha="right")
            _plot_bar(axes, at, share, INK if item.family is None else family_colour(item.family), clear=item.clear)
            at += _BAR
    return finish(
        figure,
        name="importance",
        title="Which settings move the score most?",
        caption=_caption(shown, importances),
        finding=shown[0].sentence,
        table=Table(
            ("family", "trials", "setting", "share", "low", "high", "first_in"),
            tuple(
                (item.family or "all", item.trials, share.name, share.share, share.low, share.high, item.first_in)
                for item in shown
                for share in item.shares or ()
            ),
        ),
    )


def _bars(item: Importance) -> tuple[Share, ...]:
    return (item.shares or ())[:_MOST_BARS]


def _write(axes: Any, words: str, at: tuple[float, float], aside: float, **look: Any) -> None:
    axes.annotate(words, at, xytext=(aside, 0), textcoords="offset points", fontsize=8.5, va="center", **look)


def _note(item: Importance) -> str:
    """Return the certainty of the order, in words."""
    return "one stands out" if item.clear else "cannot be told apart"


def _plot_bar(axes: Any, at: float, share: Share, colour: str, *, clear: bool) -> None:
    axes.barh(at, share.share, height=_BAR - 4.5, color=colour, alpha=1.0 if clear else 0.45)
    end = share.share
    if share.low is not None and share.high is not None:
        axes.plot([share.low, share.high], [at, at], color=INK, linewidth=1.0, solid_capstyle="butt")
        axes.vlines([share.low, share.high], at - 2.5, at + 2.5, color=INK, linewidth=1.0)
        end = max(end, share.high)
    _write(axes, f"{100 * share.share:.0f} %", (end, at), 4, color=INK)


def _caption(shown: list[Importance], importances: tuple[Importance, ...]) -> str:
    text = (
        "Shares of the score's explained variance (functional ANOVA); each block adds up to 100 %. Whiskers: 95 % of"
        f" {RESAMPLES} bootstraps of the trials. Bars are in full colour where the same setting is the first in at"
        f" least {100 * SURE:.0f} % of these."
    )
    left_out = [family_title(item.family) for item in importances if item.family and item not in shown]
    if not left_out:
        return text
    return f"{text} Left out, since {INTERVAL_TRIALS} trials are needed that differ: {', '.join(left_out)}."
