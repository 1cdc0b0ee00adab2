"""Shows a running search or confirmation in a notebook: one output that is updated in place."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

from rich.console import Group, RenderableType
from rich.jupyter import JupyterMixin
from rich.text import Text

from search.progress.confirmation import ConfirmationProgress
from search.progress.console import Terminal
from search.progress.search import Followed

_SECONDS = 1.0
"""The time between two updates of the table."""


class Shown(JupyterMixin):
    """Anything that rich can draw, as a notebook shows it."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich__(self) -> RenderableType:
        return self._drawn


class NotebookProgress(ConfirmationProgress):
    """Follows a search or a confirmation in the output of a notebook's cell.

    The output holds the stages and, while trials run, the table. It needs no widgets, so a stored notebook shows the
    last state.
    """

    def __init__(self) -> None:
        super().__init__(Terminal())
        # Ray and tqdm would ask for ipywidgets, which this output does without.
        logging.getLogger("ray.widgets.util").setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", message="IProgress not found")
        self._lines: list[Text] = []
        self._output: Any = None
        self._drawn = 0.0

    def tick(self) -> None:
        """Draw the table again, once a second."""
        if self.board is not None and time.monotonic() - self._drawn >= _SECONDS:
            self._draw(self.board.table(), Text(self.board.line()))

    def _follow(self, board: Followed) -> None:
        self.board = board
        self._draw(board.table(), Text(board.line()))

    def _line(self, text: str, style: str = "") -> None:
        self._lines.append(Text(text, style=style))
        self._draw()

    def _draw(self, *below: RenderableType) -> None:
        from IPython.display import display

        self._drawn = time.monotonic()
        shown = Shown(Group(*self._lines, *below))
        if self._output is None:
            self._output = display(shown, display_id=True)
        else:
            self._output.update(shown)
