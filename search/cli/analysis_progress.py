"""Shows a running analysis in the terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from search.cli.progress import TerminalListener
from search.records import Listener
from search.wording import duration, time_left
from trainables.records import ProbeRecord
from trainables.teacher import TeacherProgress

_PLAIN_SECONDS = 15.0


class AnalysisProgress(Listener):
    """Follows an analysis on a console: a bar where it is a terminal, a line now and then where it is not."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._preparation = TerminalListener(console)
        self._bar: Progress | None = None
        self._began = self._last_line = time.monotonic()

    def stage(self, text: str) -> None:
        """Announce a stage."""
        self._preparation.stage(text)
        self._began = time.monotonic()

    def teacher(self, progress: TeacherProgress) -> None:
        """Show the teacher's training."""
        self._preparation.teacher(progress)

    def probe(self, probe: ProbeRecord, done: int, total: int) -> None:
        """Move the bar; the first probe gives an estimate of the whole time."""
        if done == 1 < total:
            took = time.monotonic() - self._began
            self._preparation.stage(
                f"a probe takes {duration(took)} here, so all {total} take about {duration(took * total)}; use --probes"
                " or --seeds for fewer, --horizons 1 for shorter ones"
            )
        if not self._console.is_terminal:
            if time.monotonic() - self._last_line >= _PLAIN_SECONDS:
                self._last_line = time.monotonic()
                left = time_left((time.monotonic() - self._began) / done * (total - done))
                self._preparation.stage(", ".join(part for part in (f"{done}/{total} probes", left) if part))
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("· seed {task.fields[seed]}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} probes"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar.add_task("probes", total=total, seed=probe.seed)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, seed=probe.seed)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._preparation.end()
