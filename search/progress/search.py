"""A running search in the terminal: a live table, or plain lines where there is no terminal."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import statistics
import time
from collections.abc import Sequence
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from search.evidence import teacher_remark
from search.plan import Pace
from search.records import ENDED, Listener, SearchRecord, TrialRecord
from search.report import Column, FittedTable
from search.settings import CONSTANT_FAMILY, SearchConfig, planned_trainings, race_in_words
from search.wording import Scale, count, percent, time_left
from trainables.teacher import TeacherProgress

_PLAIN_SECONDS = 15.0
_LARGE_SHARE = 0.25
"""The constant's share of the trainings above which it is announced before they begin."""


@dataclasses.dataclass
class _Tally:
    """The running totals of one family's trials, so that a table costs the same for any number of them."""

    states: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    scores: list[float] = dataclasses.field(default_factory=list)
    """Sorted scores."""
    best: TrialRecord | None = None


class Board:
    """The state of a running search: trials by state, the best of each family, the time left."""

    def __init__(self, search: SearchRecord, config: SearchConfig) -> None:
        self.config = config
        self.scale = Scale(search.objective)
        self.trials: dict[str, TrialRecord] = {}
        self._tallies = {family: _Tally() for family in config.families}
        self._pace = Pace(config, search.trials)
        a_student = sum(planned_trainings(config.heats_of_family(family)) for family in config.families)
        constants = planned_trainings(config.heats_of_family(CONSTANT_FAMILY)) if config.most_constants else 0
        self.share_of_constants = constants / a_student
        for trial in search.trials:
            if trial.status in ENDED or trial.seeds:
                self._count(trial)

    def update(self, record: TrialRecord) -> None:
        """Update the totals with a trial's latest state."""
        self._pace.update(record, time.monotonic())
        self._count(record)

    def _count(self, record: TrialRecord) -> None:
        before = self.trials.get(record.trial_id)
        tally = self._tallies[record.family]
        if before is not None:
            tally.states[before.status] -= 1
            if before.score is not None:
                del tally.scores[bisect.bisect_left(tally.scores, before.score)]
        self.trials[record.trial_id] = record
        tally.states[record.status] += 1
        if record.score is not None:
            bisect.insort(tally.scores, record.score)
            tally.best = record if tally.best is None else max(tally.best, record, key=_rank)

    def count(self, status: str, family: str | None = None) -> int:
        """Trials in a state, of one family or of all."""
        tallies = self._tallies.values() if family is None else (self._tallies[family],)
        return sum(tally.states[status] for tally in tallies)

    @property
    def ended(self) -> int:
        """Trials that need no more work."""
        return sum(self.count(status) for status in ENDED)

    def best(self, family: str | None = None) -> TrialRecord | None:
        """The finished trial with the highest score, of one family or of all."""
        if family is not None:
            return self._tallies[family].best
        return max((t.best for t in self._tallies.values() if t.best is not None), key=_rank, default=None)

    def leader(self, family: str) -> TrialRecord | None:
        """The leading trial of a family's race, by seeds and then by score, while no trial has finished."""
        racing = [t for t in self.trials.values() if t.family == family and t.partial_score is not None]
        return max(racing, key=lambda t: (len(t.seeds), t.partial_score or 0.0, -t.number), default=None)

    def seconds_left(self) -> float | None:
        """Estimate the seconds left; None before a trial has ended in this run. See `search.plan.Pace`."""
        return self._pace.seconds_left(time.monotonic())

    def table(self) -> RenderableType:
        """Draw one row a family, and the best rule below."""
        looked_for = "" if self.scale.is_accuracy else f": {self.scale.on('validation')}"
        families, leader = self.config.families, self.best()
        bests = [self.best(family) for family in families]
        scores = [self._tallies[family].scores for family in families]
        found = zip(families, bests, strict=True)
        table = FittedTable(
            (
                Column("family", families, right=False, wraps=True),
                Column("trials", [self._progress(family) for family in families]),
                Column("median", [self.scale.value(statistics.median(s)) if s else "–" for s in scores], spare=1),
                Column("best", [self.scale.value(b.score) if b else self._leading(self.leader(f)) for f, b in found]),
            ),
            ["bold green" if b and leader and b.trial_id == leader.trial_id else "" for b in bests],
            title=f"Search {self.config.name}{looked_for}",
            elsewhere="in the report",
        )
        return table if leader is None else Group(table, Text(f"best so far: {leader.rule}", style="green"))

    def _progress(self, family: str) -> str:
        """`3/8`, or `2/8 (5 dropped, 1 failed)`."""
        parts = [
            f"{number} {word}"
            for status, word in (("eliminated", "dropped"), ("failed", "failed"))
            if (number := self.count(status, family))
        ]
        config = self.config
        most = config.most_constants if family == CONSTANT_FAMILY else config.trials_per_family * len(config.students)
        done = f"{self.count('finished', family)}/{'≤ ' if family == CONSTANT_FAMILY else ''}{most}"
        return f"{done} ({', '.join(parts)})" if parts else done

    def _leading(self, leader: TrialRecord | None) -> str:
        """A score over some of the seeds says so."""
        if leader is None:
            return "–"
        return f"{self.scale.value(leader.partial_score)} ({count(len(leader.seeds), 'seed')})"

    def ended_in_words(self) -> str:
        """Return the number of trials that have ended."""
        return count(self.ended, "trial")

    def unfinished_in_words(self) -> str:
        """Say what becomes of running trials."""
        return "what runs resumes from its last checkpoint"

    def line(self) -> str:
        """The state in one line."""
        best = self.best()
        most = "at most " if self.config.most_constants else ""  # constants end once the best one is bracketed
        done = f"{self.ended} of {most}{self.config.total_trials} trials done"
        if self.config.racing and (trained := sum(len(trial.seeds) for trial in self.trials.values())):
            done += f" ({count(trained, 'training')})"  # a trial of a race ends only when its race allows it
        parts = [done, f"{self.count('running')} running"]
        if out := self.count("eliminated"):
            parts.append(f"{out} left the race")
        if failed := self.count("failed"):
            parts.append(f"{failed} failed")
        if best and best.score is not None:
            parts.append(f"best so far {self.scale.value(best.score)} ({best.family})")
        if left := time_left(self.seconds_left()):
            parts.append(left)
        return ", ".join(parts)


def _rank(trial: TrialRecord) -> tuple[float, int, int]:
    """Ties go to the simpler rule, then to the earlier trial."""
    return trial.score or 0.0, -trial.complexity, -trial.number


class Followed(Protocol):
    """The state of something that runs, as a table or as one line."""

    def table(self) -> RenderableType: ...
    def line(self) -> str: ...

    def ended_in_words(self) -> str:
        """Return how many trials or trainings have ended."""
        ...

    def unfinished_in_words(self) -> str:
        """Say what becomes of those that run if they are interrupted."""
        ...


class TerminalListener(Listener):
    """Follows a search on a console; live where it is a terminal, a line now and then where it is not."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.live: Live | None = None
        self.board: Followed | None = None
        self.bar: Progress | None = None
        self.last_line = 0.0
        self.over = False
        """True once no more trials or trainings run."""

    def kept(self) -> str:
        """Say what an interruption ends now, and what is kept."""
        if self.board is None:
            return "ending before the first training; what an earlier run finished is kept."
        if self.over:
            return f"ending; what has ended ({self.board.ended_in_words()}) is kept, and reports can be written again."
        return (
            f"saving; what has ended ({self.board.ended_in_words()}) is kept, and {self.board.unfinished_in_words()}."
        )

    def stage(self, text: str) -> None:
        """Say that something begins."""
        self._line(f"· {text}", style="dim")

    def teacher(self, progress: TeacherProgress) -> None:
        """Show the teacher's training."""
        if progress.cached:
            self.stage("teacher found in the cache")
            return
        ended = progress.epoch >= progress.epochs
        if not self.console.is_terminal:
            if self._is_time(anyway=ended):
                self.stage(
                    f"teacher: epoch {progress.epoch:.1f} of {progress.epochs}, training loss {progress.loss:.3f}"
                )
            return
        columns = (
            TextColumn("· training the teacher"),
            BarColumn(),
            TextColumn("epoch {task.completed:.0f}/{task.total}, training loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
        )
        self._move_bar(columns, progress.epoch, progress.epochs, loss=progress.loss)
        if ended:
            self._close_bar()

    def search_begins(self, search: SearchRecord, config: SearchConfig) -> None:
        """Show the table."""
        board = Board(search, config)
        if search.teacher_accuracy is not None:
            self.stage(f"teacher's accuracy on the validation set: {percent(search.teacher_accuracy)}")
        if remark := teacher_remark(search):
            self._line(remark, style="yellow")
        most = "at most " if config.most_constants else ""
        trials = f"{most}{count(config.total_trials, 'trial')} of {count(config.replicates, 'seed')}"
        self.stage(f"{trials}, {board.ended} already done")
        if len(config.heats) > 1:
            self.stage(race_in_words(config.heats, config.trials_per_family))
        if (share := board.share_of_constants) > _LARGE_SHARE:
            most = count(config.constant.most_trials, "constant")
            self.stage(
                f"the best constant λ may take {share:.0%} of the trainings: at most {most} per student"
                " (`constant.most_trials`), fewer once it is bracketed"
            )
        self._follow(board)

    def trial(self, record: TrialRecord) -> None:
        """Update the totals with a trial's latest state."""
        if not isinstance(self.board, Board):
            return
        self.board.update(record)
        if record.status == "failed":
            self._line(f"trial {record.number} ({record.family}) failed: {record.error}", style="red")

    def tick(self) -> None:
        """Redraw."""
        if self.board is None:
            return
        if self.live is not None:
            self.live.update(Group(self.board.line(), self.board.table()))
        elif self._is_time():
            self._line(self.board.line())

    def end(self) -> None:
        """Take the live table away; the report's follows."""
        self.over = True
        self._close_bar()
        if self.live is not None:
            self.live.stop()
            self.live = None
        elif self.board is not None:
            self._line(self.board.line())

    def _follow(self, board: Followed) -> None:
        """Show a board from now on."""
        self._close_bar()
        self.board = board
        if self.console.is_terminal:
            self.live = Live(console=self.console, refresh_per_second=4, transient=True)
            self.live.start()

    def _is_time(self, *, anyway: bool = False) -> bool:
        """Return True if no plain line was written for a while; the caller then writes one."""
        now = time.monotonic()
        if not anyway and now - self.last_line < _PLAIN_SECONDS:
            return False
        self.last_line = now
        return True

    def _line(self, text: str, style: str = "") -> None:
        """One line, which a terminal breaks where it must, so that a command in it can be copied as a whole."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def _move_bar(
        self, columns: Sequence[ProgressColumn], done: float, total: float, *, transient: bool = False, **fields: Any
    ) -> None:
        """Show how much is done; the first call draws the bar of these columns."""
        if self.bar is None:
            self.bar = Progress(*columns, console=self.console, transient=transient)
            self.bar.add_task("", total=total, **fields)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=done, **fields)

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
