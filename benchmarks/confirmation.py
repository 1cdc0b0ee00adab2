"""Measures what a confirmation's trainings cost: a finalist's seeds together, against one seed a task.

    python benchmarks/confirmation.py --write
    python benchmarks/confirmation.py --pairs 3 --seeds 20

A short search of digits-quick chooses the finalists. Ray then trains them on fresh seeds, three ways in turn:

- together, as `kd-search confirm` does;
- one seed a task, in a stack of one;
- one seed a task, as a plain model (`device.replicates = "apart"`).

The first two must give the same scores and students, to the last bit. Wall time is from the first task to the last.
CPU time is that of this process and of all of Ray's. Loading data, starting Ray and its workers, and the report are
not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
from results import conditions, write_section

from search.cli.progress import TerminalListener
from search.cluster import ray_session
from search.confirm import Trained, Unit, plan_confirmation, single, units_of
from search.confirm import tasks as confirm_tasks
from search.prepare import Pictures, prepare_ground
from search.records import Finalist
from search.settings import ConfirmationSettings, Launch, SearchConfig, default_cache, load_config
from search.store import SearchStore, read_search
from trainables.config import DeviceSettings

WAYS = ("together", "one seed a task", "one seed a task, as a plain model")


@dataclasses.dataclass(frozen=True)
class Subject:
    """The trainings of a confirmation, and what they need."""

    units: tuple[Unit, ...]
    finalists: dict[str, Finalist]
    config: SearchConfig
    pictures: Pictures


@dataclasses.dataclass(frozen=True)
class Taken:
    """The time of a confirmation's trainings, in seconds."""

    wall: float
    cpu: float


def subject(folder: pathlib.Path, cache: pathlib.Path, seeds: int, settings: Sequence[str]) -> Subject:
    """Run a search and plan the confirmation of its finalists. Ray must not be up before, and is not up afterwards."""
    from rich.console import Console

    settings = ("name=confirmed", "trials_per_family=4", "replicates=1", *settings)
    sets = [part for setting in settings for part in ("--set", setting)]
    places = ["--output", str(folder), "--cache", str(cache)]
    command = [sys.executable, "-m", "search", "run", "digits-quick", *sets, *places]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    launch = Launch.on_this_machine(folder, cache)
    config = load_config("digits-quick", settings)
    record = plan_confirmation(
        read_search(SearchStore(str(folder), "confirmed")), config, ConfirmationSettings(seeds=seeds), None
    ).record
    ground = prepare_ground(config, launch, TerminalListener(Console(file=sys.stderr)))
    return Subject(units_of(record), {f.key: f for f in record.finalists}, config, ground.pictures)


def train(what: Subject, way: str) -> tuple[Taken, list[Trained]]:
    """Train all units in one of the `WAYS`."""
    config, trained = what.config, list[Trained]()
    if way == WAYS[2]:
        config = config.model_copy(update={"device": DeviceSettings(device="cpu", replicates="apart")})
    one_by_one = mock.patch.object(confirm_tasks, "grouped", lambda units, _: single(units))
    began, cpu = time.monotonic(), cpu_seconds()
    with one_by_one if way == WAYS[1] else mock.MagicMock():
        failed: dict[Unit, str] = {}
        confirm_tasks.run_units(
            what.units, what.finalists, config, what.pictures,
            retries=0, done=trained.append, tick=lambda: None, failed=failed,
        )  # fmt: skip
    assert not failed, failed
    return Taken(time.monotonic() - began, cpu_seconds() - cpu), trained


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and all its descendants; those that have ended are left out."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def same(ours: Sequence[Trained], theirs: Sequence[Trained]) -> bool:
    """Return True if scores and students are equal to the last bit, in any order."""

    def told(trained: Sequence[Trained]) -> list[tuple[str, bytes]]:
        results = [(t.result.model_dump(exclude={"seconds", "began"}), t.student) for t in trained]
        return sorted((repr(result), student) for result, student in results)

    return told(ours) == told(theirs)


def section(what: Subject, found: Sequence[Sequence[Taken]]) -> str:
    """Return a table with a row for each way; ratios are to training together, round by round."""
    rows = [
        f"{len(what.units)} trainings ({len(what.finalists)} finalists of digits-quick, an MLP 64-32-10),"
        f" {conditions()}; {len(found)} rounds in turn, after one that is not counted. Ratios are to the first row.",
        "",
        "| | CPU, s | ratio | wall, s | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    for way, name in enumerate(WAYS):
        cells = [name]
        for kind in ("cpu", "wall"):
            times = [(getattr(taken[way], kind), getattr(taken[0], kind)) for taken in found]
            low, middle, high = statistics.quantiles([time / first for time, first in times], n=4)
            cells.append(f"{statistics.median(time for time, _ in times):.1f}")
            cells.append(f"{middle:.2f} [{low:.2f}, {high:.2f}]" if way else "")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, print the table and write it to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="rounds of all ways [5]; 2 at least")
    parser.add_argument("--seeds", type=int, default=10, help="of every finalist [10]")
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe, as in kd-search run")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="teachers [%(default)s]")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    found: list[list[Taken]] = []
    with tempfile.TemporaryDirectory(prefix="kd-search-", ignore_cleanup_errors=True) as folder:
        what = subject(pathlib.Path(folder), arguments.cache, arguments.seeds, arguments.set)
        with ray_session(None):
            for number in range(arguments.pairs + 1):
                outcomes = [train(what, way) for way in WAYS]
                assert same(outcomes[0][1], outcomes[1][1])
                taken = [seconds for seconds, _ in outcomes]
                print(f"round {number}:", "; ".join(f"{t.cpu:.1f} s CPU, {t.wall:.1f} s" for t in taken), flush=True)
                found.append(taken)
    text = section(what, found[1:])
    print(text)
    if arguments.write:
        write_section("A confirmation's trainings", text)


if __name__ == "__main__":
    main()
