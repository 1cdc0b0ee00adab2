"""Shows a running analysis in the terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from search.progress import TerminalListener
from search.wording import duration, time_left
from trainables.records import ProbeRecord


class AnalysisProgress(TerminalListener):
    """Follows an analysis on a console: a bar where it is a terminal, a line now and then where it is not."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._began = time.monotonic()

    def stage(self, text: str) -> None:
        """Announce a stage."""
        super().stage(text)
        self._began = self.last_line = time.monotonic()

    def probe(self, probe: ProbeRecord, done: int, total: int) -> None:
        """Move the bar; the first probe gives an estimate of the whole time."""
        took = time.monotonic() - self._began
        if done == 1 < total:
            super().stage(
                f"a probe takes {duration(took)} here, so all {total} take about {duration(took * total)}; use --probes"
                " or --seeds for fewer, --horizons 1 for shorter ones"
            )
        if self.console.is_terminal:
            columns = (
                TextColumn("· seed {task.fields[seed]}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} probes"),
                TimeRemainingColumn(),
            )
            self._move_bar(columns, done, total, transient=True, seed=probe.seed)
        elif self._is_time():
            left = time_left(took / done * (total - done))
            super().stage(", ".join(part for part in (f"{done}/{total} probes", left) if part))
