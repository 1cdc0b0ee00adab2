"""Measures what a search costs beside its trainings: until the first trial runs, and with every trial after that.

    python benchmarks/overhead.py start --write    # the command's way to its first running trial
    python benchmarks/overhead.py trials --write   # 1,000 warm trials of a fraction of a second
    python benchmarks/overhead.py nodes --write    # whether a trial costs more on several nodes than on one

`start` runs the command in a process of its own, with the teacher cached and not. `trials` searches with students that
train for six epochs, one at a time, so that the wall time beside their training is overhead. Every trial passes through
all that a search has (Tune, checkpoints, snapshots, records, MLflow, the live table). By fifths of the search it shows
whether a trial's price, or the driver's memory, grows with the trials before it.

`nodes` searches on a Ray cluster of 1, 2 and 4 nodes (`ray.cluster_utils.Cluster`) that share this machine and its
cores. Four trials run at a time, so that only the number of nodes differs. Each search is a process of its own, and the
numbers of nodes take turns. A trial's price is the wall time from the end of the first quarter of the trials to the
last one's, divided by the trials.
"""

from __future__ import annotations

import argparse
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
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psutil
from scaffold import conditions, parser, publish, spread, table

from search.cluster import let_threads_sleep
from search.progress import TerminalListener
from search.records import SearchRecord, TrialRecord
from search.settings import Launch, SearchConfig, load_config
from trainables.teacher import TeacherProgress

SHORT = (
    "replicates=1",
    "evaluations=3",
    "trace_points=5",
    "training.epochs=6",
    "teacher.training.epochs=4",
    "data.validation_size=300",
    "resources.max_concurrent=1",
)
NODES = (1, 2, 4)
SLOTS = 4
"""Trials at a time, over all nodes."""


class End(NamedTuple):
    """The driver's use up to the moment it heard of a trial's end: seconds, and bytes of memory now resident."""

    wall: float
    main: float
    """CPU of the main thread."""
    training: float
    """Training time of this trial, by its own clock."""
    resident: int


class Follower(TerminalListener):
    """Notes what has been used when each trial ends, and draws what a user would see, without a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(file=open(os.devnull, "w"), force_terminal=True))  # noqa: SIM115
        self.ends: list[End] = []

    def trial(self, record: TrialRecord) -> None:
        super().trial(record)
        if record.status == "finished":
            training, resident = record.history.training_seconds, psutil.Process().memory_info().rss
            self.ends.append(End(time.monotonic(), time.thread_time(), training, resident))


@contextlib.contextmanager
def places() -> Iterator[Launch]:
    """Yield a folder of results that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="kd-search-", ignore_cleanup_errors=True) as folder:
        yield Launch.on_this_machine(pathlib.Path(folder, "runs"), pathlib.Path(folder))


def search_of(trials: int, *changes: str) -> SearchConfig:
    """Return a search of at most so many trials, as many of each of the recipe's six families, constants included."""
    return load_config(
        "digits-quick", [f"trials_per_family={trials // 6}", f"constant.most_trials={trials // 6}", *changes]
    )


# Trials


def row(name: str, ends: Sequence[End]) -> list[str]:
    """Return a row of the table: means over the trials after the first to end, up to the last."""
    count, begin, end = len(ends) - 1, ends[0], ends[-1]
    overhead = end.wall - begin.wall - sum(e.training for e in ends[1:])
    main, resident = end.main - begin.main, end.resident - begin.resident
    return [name, f"{1e3 * overhead / count:.0f}", f"{1e3 * main / count:.1f}", f"{resident / count / 1e3:.0f}"]


def trials_section(trials: int) -> list[str]:
    """Run a search of so many trials, fewer if constants end sooner; then read it back and report it."""
    from search.run import publish_report, run_search
    from search.store import SearchStore, read_search

    config = search_of(trials, "name=overhead", *SHORT)
    follower = Follower()
    with places() as launch:
        run_search(config, launch, follower)
        began = time.process_time()
        record = read_search(SearchStore(launch.storage, config.name))
        read = time.process_time()
        publish_report(record, launch)
        reported = time.process_time()
    warm = follower.ends[1:]
    fifth = (len(warm) - 1) // 5
    rows = [row("all", warm), *(row(f"fifth {n + 1}", warm[n * fifth : (n + 1) * fifth + 1]) for n in range(5))]
    return [
        f"A search of {len(follower.ends)} trials, one at a time. {conditions()}.",
        "",
        *table(["warm trials", "overhead a trial, ms", "CPU of the main thread", "memory a trial, kB"], rows),
        "",
        f"Reading the search back took {read - began:.1f} s of CPU, its report {reported - read:.1f} s.",
    ]


# The start


class FirstTrial(TerminalListener):
    """Notes moments in seconds since this process was started; ends the process as soon as a trial runs."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(file=sys.stderr))
        self.moments: dict[str, float] = {}
        self._born = psutil.Process().create_time()

    def mark(self, what: str) -> None:
        """Note that an event happens now."""
        self.moments[what] = time.time() - self._born

    def teacher(self, progress: TeacherProgress) -> None:
        super().teacher(progress)
        if progress.cached or progress.epoch >= progress.epochs:
            self.mark("teacher there")

    def search_begins(self, search: SearchRecord, config: SearchConfig) -> None:
        super().search_begins(search, config)
        self.mark("Tune begins")

    def trial(self, record: TrialRecord) -> None:  # noqa: ARG002
        if "a trial runs" not in self.moments:
            self.mark("a trial runs")
            raise KeyboardInterrupt


def start_once(folder: pathlib.Path) -> None:
    """Start as `kd-search run digits-quick` does, until a trial runs; print a timeline. Needs its own process."""
    listener = FirstTrial()
    listener.mark("Python and this program are loaded")
    import ray

    from search.run import run_search

    listener.mark("Ray is imported")
    init = ray.init

    @functools.wraps(init)
    def marked(*args: Any, **named: Any) -> Any:
        found = init(*args, **named)
        listener.mark("Ray is up")
        return found

    ray.init = marked
    with contextlib.suppress(KeyboardInterrupt):
        config = load_config("digits-quick", [f"name=start-{os.getpid()}"])
        run_search(config, Launch.on_this_machine(folder / "runs", folder), listener)
    listener.moments["CPU of the driver"] = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for what, seconds in listener.moments.items():
        print(f"{what}\t{seconds:.2f}")


def start_section(rounds: int) -> list[str]:
    """Return the timelines' medians over the rounds; the teacher is trained in a round's first start, then cached."""
    found: dict[str, dict[str, list[float]]] = {"trained": {}, "cached": {}}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="kd-search-") as folder:
            for moments in found.values():
                for line in output_of("start", "--once", folder).splitlines():
                    what, _, seconds = line.partition("\t")
                    moments.setdefault(what, []).append(float(seconds))
    rows = [
        [what, *(f"{statistics.median(found[teacher][what]):.1f}" for teacher in ("cached", "trained"))]
        for what in found["cached"]
    ]
    return [
        f"Seconds from the command on, medians of {rounds} runs with a new MLflow store. {conditions()}.",
        "",
        *table(["", "teacher cached", "teacher trained"], rows),
    ]


def output_of(*arguments: str) -> str:
    """Run this program in a process of its own; return what it prints."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


# Nodes


def nodes_once(nodes: int, trials: int) -> None:
    """Search on so many nodes, started and ended here; print the seconds a trial. Needs its own process."""
    import ray
    from ray.cluster_utils import Cluster

    from search.cluster import alive_nodes
    from search.run import run_search

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": SLOTS // nodes})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=SLOTS // nodes)
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    follower = Follower()
    try:
        found = [int(node["Resources"].get("CPU", 0)) for node in alive_nodes()]
        assert found == [SLOTS // nodes] * nodes, found
        config = search_of(trials, f"name=nodes-{nodes}")
        with places() as launch:
            done = run_search(config, dataclasses.replace(launch, address=cluster.address), follower)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(done.search.finished) == len(done.search.trials)
    counted = follower.ends[len(follower.ends) // 4 :]
    print((counted[-1].wall - counted[0].wall) / (len(counted) - 1))


def nodes_section(rounds: int, trials: int) -> list[str]:
    """Return the table: seconds a trial, and the ratios to one node of the same round."""
    found: dict[int, list[float]] = {nodes: [] for nodes in NODES}
    for number in range(rounds):
        for nodes in NODES if number % 2 == 0 else reversed(NODES):
            printed = output_of("nodes", "--once", str(nodes), "--trials", str(trials))
            found[nodes].append(float(printed.split()[-1]))
    rows = []
    for nodes, seconds in found.items():
        ratio = spread([many / one for many, one in zip(seconds, found[1], strict=True)]) if nodes > 1 else "1"
        rows.append([str(nodes), str(SLOTS // nodes), f"{1e3 * statistics.median(seconds):.0f}", ratio])
    return [
        f"digits-quick, up to {trials} trials of three seeds, four at a time over all nodes, which share this machine;"
        f" {rounds} rounds in turn. {conditions()}.",
        "",
        *table(["nodes", "trials at a time on each", "wall time a trial, ms", "to one node"], rows),
    ]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__, cache=False)
    options.add_argument("part", choices=("start", "trials", "nodes"))
    options.add_argument("--trials", type=int, help="of a search [1000; 72 on several nodes]")
    options.add_argument("--rounds", type=int, help="of starts, or of searches on several nodes [5; 3]")
    options.add_argument("--once", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    let_threads_sleep()  # as the command line does; the processes started here inherit it
    if arguments.part == "trials":
        publish("A search of many trials", trials_section(arguments.trials or 1000), write=arguments.write)
    elif arguments.part == "start":
        if arguments.once is not None:
            start_once(pathlib.Path(arguments.once))
            return
        publish("Until the first trial runs", start_section(arguments.rounds or 5), write=arguments.write)
    else:
        if arguments.once is not None:
            nodes_once(int(arguments.once), arguments.trials)
            return
        lines = nodes_section(arguments.rounds or 3, arguments.trials or 72)
        publish("One node and several", lines, write=arguments.write)


if __name__ == "__main__":
    main()
