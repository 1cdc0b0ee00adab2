"""Measures what a search costs beside its trainings: until the first trial runs, and with every trial after that.

    python benchmarks/overhead.py start            # the command's way to its first running trial
    python benchmarks/overhead.py trials           # warm trials of a fraction of a second
    python benchmarks/overhead.py trials --trials 1000 --write

`start` runs the command in a process of its own, with the teacher cached and not. `trials` searches with students that
train for six epochs, one at a time, so that the wall time beside their training is overhead. CPU is given for the
driver's main thread, which runs Tune's loop, by what it was spent on, and for the thread that sends to MLflow's
process.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import functools
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
from results import conditions, write_section

from search.cli.progress import TerminalListener
from search.cluster import let_threads_sleep
from search.records import SearchRecord, TrialRecord
from search.settings import Launch, SearchConfig, load_config
from trainables.teacher import TeacherProgress

MLFLOW = "the thread that sends to MLflow's process"
FAMILIES = 6
"""The number of families of the recipe."""
SHORT = (
    "replicates=1",
    "evaluations=3",
    "trace_points=5",
    "training.epochs=6",
    "teacher.training.epochs=4",
    "data.validation_size=300",
    "resources.max_concurrent=1",
)


@dataclasses.dataclass(frozen=True)
class End:
    """The driver's use up to the moment it heard of a trial's end: seconds, and bytes of memory now resident."""

    wall: float
    main: float
    """CPU of the main thread."""
    mlflow: float
    """CPU of the thread that writes to MLflow."""
    training: float
    """Training time of this trial, by its own clock."""
    resident: int


class Costs:
    """CPU seconds of threads by part: each function's own, without the metered functions that it calls."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()
        self._open = threading.local()

    def meter(self, owner: Any, name: str, part: str) -> None:
        """Count the CPU of a method under a part, from now on."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def metered(*args: Any, **named: Any) -> Any:
            within = getattr(self._open, "within", None)
            began, self._open.within = time.thread_time(), [0.0]
            try:
                return inner(*args, **named)
            finally:
                spent, of_others = time.thread_time() - began, self._open.within[0]
                self.seconds[part] += spent - of_others
                self._open.within = within
                if within is not None:
                    within[0] += spent

        setattr(owner, name, metered)


def meter_driver() -> Costs:
    """Meter what a search's driver does, for the rest of this process."""
    from ray.tune.execution.tune_controller import TuneController

    from search.plan import PlannedSearch
    from search.run import Watch
    from search.tracking import LiveProjection

    costs = Costs()
    costs.meter(TuneController, "checkpoint", "snapshots")
    costs.meter(Watch, "keep_snapshot", "snapshots")
    costs.meter(PlannedSearch, "suggest", "searcher")
    costs.meter(PlannedSearch, "on_trial_complete", "searcher")
    costs.meter(Watch, "_tell", "records of trials")
    costs.meter(Watch, "_note", "trials' own files")
    costs.meter(LiveProjection, "_write", MLFLOW)
    costs.meter(TerminalListener, "tick", "the live table")
    return costs


class Follower(TerminalListener):
    """Notes what has been used when each trial ends, and draws what a user would see, without a terminal."""

    def __init__(self, costs: Costs) -> None:
        from rich.console import Console

        super().__init__(Console(file=open(os.devnull, "w"), force_terminal=True))  # noqa: SIM115
        self.costs = costs
        self.ends: list[End] = []

    def trial(self, record: TrialRecord) -> None:
        super().trial(record)
        if record.status == "finished":
            self.ends.append(
                End(
                    wall=time.monotonic(),
                    main=time.thread_time(),
                    mlflow=self.costs.seconds[MLFLOW],
                    training=record.history.training_seconds,
                    resident=psutil.Process().memory_info().rss,
                )
            )


@dataclasses.dataclass(frozen=True)
class Span:
    """Means over the trials of a stretch of a search, in seconds; memory in bytes a trial."""

    trials: int
    overhead: float
    main: float
    mlflow: float
    resident: float


def span(ends: Sequence[End], first: int, last: int) -> Span:
    """Return the means over the trials after the `first` to end, up to the `last`, counted from 0."""
    count, begin, end = last - first, ends[first], ends[last]
    training = sum(e.training for e in ends[first + 1 : last + 1])
    return Span(
        trials=count,
        overhead=(end.wall - begin.wall - training) / count,
        main=(end.main - begin.main) / count,
        mlflow=(end.mlflow - begin.mlflow) / count,
        resident=(end.resident - begin.resident) / count,
    )


@contextlib.contextmanager
def places() -> Iterator[Launch]:
    """Yield a folder of results that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="kd-search-", ignore_cleanup_errors=True) as folder:
        yield Launch.on_this_machine(pathlib.Path(folder, "runs"), pathlib.Path(folder))


def short_search(trials: int) -> SearchConfig:
    """Return a search of so many trials, rounded down to whole rounds, each as short as a training can be."""
    return load_config("digits-quick", ["name=overhead", f"trials_per_family={trials // FAMILIES}", *SHORT])


def search(config: SearchConfig, launch: Launch) -> tuple[Follower, Costs]:
    """Run a search in this process, metered."""
    from search.run import run_search

    costs = meter_driver()
    follower = Follower(costs)
    run_search(config, launch, follower)
    return follower, costs


def trials_section(trials: int) -> str:
    """Run warm trials; return their section of the results."""
    with places() as launch:
        follower, costs = search(short_search(trials), launch)
    return "\n".join(
        [f"A search of {len(follower.ends)} trials, one at a time. {conditions()}.", "", *table(follower.ends, costs)]
    )


def table(ends: Sequence[End], costs: Costs) -> list[str]:
    """Return Markdown: means over all warm trials and over fifths of the search, and the main thread's CPU by part."""
    most = len(ends) - 1
    whole, fifth = span(ends, 1, most), max(1, most // 5)
    stretches = [span(ends, begin, begin + fifth) for begin in range(most % 5, most - fifth + 1, fifth)]
    parts = [(part, seconds / len(ends)) for part, seconds in costs.seconds.items() if part != MLFLOW]
    rest = whole.main - sum(seconds for _, seconds in parts)
    return [
        "| warm trials | overhead a trial, ms | CPU of the main thread | of MLflow's thread | memory a trial, kB |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {1e3 * s.overhead:.0f} | {1e3 * s.main:.1f} | {1e3 * s.mlflow:.1f} | {s.resident / 1e3:.0f} |"
            for name, s in [("all", whole), *((f"fifth {n}", s) for n, s in enumerate(stretches, start=1))]
        ),
        "",
        "CPU of the main thread a trial, by what it went on:",
        "",
        "| part | ms |",
        "| --- | --- |",
        *(f"| {part} | {1e3 * seconds:.1f} |" for part, seconds in sorted(parts, key=lambda item: -item[1])),
        f"| Tune's loop, Ray's messages | {1e3 * rest:.1f} |",
    ]


class Timeline:
    """Moments of events, in seconds since this process was started."""

    def __init__(self) -> None:
        self.marks: list[tuple[str, float]] = []
        self._born = psutil.Process().create_time()

    def mark(self, what: str) -> None:
        """Note that an event happens now."""
        self.marks.append((what, time.time() - self._born))

    def after(self, owner: Any, name: str, what: str) -> None:
        """Note an event whenever a function returns."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def marked(*args: Any, **named: Any) -> Any:
            result = inner(*args, **named)
            self.mark(what)
            return result

        setattr(owner, name, marked)


class FirstTrial(TerminalListener):
    """Ends the process as soon as a trial runs."""

    def __init__(self, timeline: Timeline) -> None:
        from rich.console import Console

        super().__init__(Console(file=sys.stderr))
        self.timeline = timeline

    def teacher(self, progress: TeacherProgress) -> None:
        super().teacher(progress)
        if progress.cached or progress.epoch >= progress.epochs:
            self.timeline.mark("teacher there")

    def search_begins(self, search: SearchRecord, config: SearchConfig) -> None:
        super().search_begins(search, config)
        self.timeline.mark("Tune begins")

    def trial(self, record: TrialRecord) -> None:  # noqa: ARG002
        if not any(what == "a trial runs" for what, _ in self.timeline.marks):
            self.timeline.mark("a trial runs")
            raise KeyboardInterrupt


def start_once(folder: pathlib.Path) -> None:
    """Start as `kd-search run digits-quick` does, until a trial runs; print a timeline. Needs its own process."""
    timeline = Timeline()
    timeline.mark("Python and this program are loaded")
    import ray

    from search.run import search as study

    timeline.mark("Ray is imported")
    timeline.after(ray, "init", "Ray is up")
    launch = Launch.on_this_machine(folder / "runs", folder)
    config = load_config("digits-quick", [f"name=start-{os.getpid()}"])
    with contextlib.suppress(KeyboardInterrupt):
        study.run_search(config, launch, FirstTrial(timeline))
    used = [sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    timeline.marks.append(("CPU of the driver", used[0]))
    for what, seconds in timeline.marks:
        print(f"{what}\t{seconds:.2f}")


def start_section(rounds: int) -> str:
    """Return the timelines' section: medians over the rounds, teacher trained in the first and cached after it."""
    found: dict[str, dict[str, list[float]]] = {"trained": {}, "cached": {}}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="kd-search-") as folder:
            for teacher in found:
                command = [sys.executable, __file__, "start", "--once", folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                for line in done.stdout.splitlines():
                    what, _, seconds = line.partition("\t")
                    found[teacher].setdefault(what, []).append(float(seconds))
    rows = [
        f"Seconds from the command on, medians of {rounds} runs with a new MLflow store. {conditions()}.",
        "",
        "| | teacher cached | teacher trained |",
        "| --- | --- | --- |",
        *(
            f"| {what} | {statistics.median(times):.1f} | {statistics.median(found['trained'][what]):.1f} |"
            for what, times in found["cached"].items()
        ),
    ]
    return "\n".join(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("start", "trials"))
    parser.add_argument("--trials", type=int, default=120, help="of the search with short trials")
    parser.add_argument("--rounds", type=int, default=5, help="starts with and without a cached teacher")
    parser.add_argument("--write", action="store_true", help="into RESULTS.md, too")
    parser.add_argument("--once", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once is not None:
        start_once(arguments.once)
        return
    let_threads_sleep()  # as the command line does; the processes started here inherit it
    sections: dict[str, tuple[str, Callable[[], str]]] = {
        "start": ("Until the first trial runs", lambda: start_section(arguments.rounds)),
        "trials": ("Overhead of a warm trial", lambda: trials_section(arguments.trials)),
    }
    title, measure = sections[arguments.part]
    text = measure()
    print(text)
    if arguments.write:
        write_section(title, text)


if __name__ == "__main__":
    main()
