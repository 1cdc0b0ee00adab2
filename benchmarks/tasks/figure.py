"""Draws all tasks' gains over the labels alone: the best constant, the best rule, and a published setting."""

from __future__ import annotations

import pathlib
from typing import Any

from search.drawing import INK, MUTED, style

_SERIES = (("the best constant", INK, "o"), ("the best rule", "#2a7fb8", "D"), ("λ = 0.9, T = 4", "#c8553d", "s"))


def draw(tasks: list[dict[str, Any]], place: pathlib.Path) -> None:
    """Write a picture with a row for each task; bars are 95 % intervals."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(7.0, 0.7 + 0.48 * len(tasks)), layout="constrained")
        axes = figure.add_subplot()
        for turn, (title, colour, mark) in enumerate(_SERIES):
            for row, task in enumerate(tasks):
                gain = _gains(task)[turn]
                if gain is None:
                    continue
                y = row + 0.22 * (turn - 1)
                axes.plot([gain["low"], gain["high"]], [y, y], color=colour, linewidth=1.4)
                axes.plot(gain["mean"], y, mark, color=colour, markersize=4.5, label=None if row else title)
        axes.axvline(0.0, color=MUTED, linewidth=0.8)
        axes.set_yticks(range(len(tasks)), [task["name"] for task in tasks])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("gain over the labels alone, points (bikes: hundredths of the logarithm)")
        axes.legend(loc="upper left", frameon=False, ncols=3, bbox_to_anchor=(0.0, 1.0), borderaxespad=-1.6)
        figure.savefig(place, dpi=130)


def _gains(task: dict[str, Any]) -> tuple[dict[str, float] | None, ...]:
    published = next((one for one in task["published"] if one["weight"] == 0.9), None)
    return (
        task["constant"]["over_labels"],
        task["best_rule"]["over_labels"],
        None if published is None else published["over_labels"],
    )
