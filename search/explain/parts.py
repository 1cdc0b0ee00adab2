"""Holds what both figures of a training share."""

from __future__ import annotations

import io
import pathlib
from typing import Any

from search.drawing import MUTED
from search.errors import SearchError

ALERT = "#d55e00"
"""The colour of interventions and alarms."""
_DOTS_AN_INCH = 220


def note(axes: Any, words: str, *, colour: str = MUTED, x: float = 1.0) -> None:
    """Write small words above a panel that end at `x`, a share of its width."""
    axes.text(x, 1.03, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5, color=colour)


def save(figure: Any, path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Write a figure as PNG and SVG and return both paths. Must be called inside `drawing.style`.

    Args:
        figure: of matplotlib.
        path: the files' path without a suffix.

    Raises:
        SearchError: the files cannot be written.
    """
    drawn: dict[str, io.BytesIO] = {"png": io.BytesIO(), "svg": io.BytesIO()}
    for kind, out in drawn.items():
        figure.savefig(out, format=kind, dpi=_DOTS_AN_INCH, facecolor="white")
    png, svg = (path.with_name(f"{path.name}.{kind}") for kind in drawn)
    try:
        png.parent.mkdir(parents=True, exist_ok=True)
        png.write_bytes(drawn["png"].getvalue())
        svg.write_bytes(drawn["svg"].getvalue())
    except OSError as error:
        raise SearchError(
            f"cannot write the figure {str(path)!r}: {error.strerror or error}; choose another folder with"
            " --output, or copy the decision log to a folder that you may write to."
        ) from error
    return png, svg
