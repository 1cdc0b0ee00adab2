"""Searches and confirms real tasks, and writes a table of the answers.

    python -m benchmarks.tasks                        # all tasks that have not been measured
    python -m benchmarks.tasks bikes stress --jobs 1  # some, with one training at a time
    python -m benchmarks.tasks --table                # only writes the table again

Every task is searched and confirmed by `kd-search run NAME.toml --confirm`. Its figures go to `results/NAME.json`, and
a task with figures is not repeated. A run that was interrupted is resumed. A task whose data are absent is skipped,
with the command that installs them. `RESULTS.md` and `results.csv` are written from all figures after each task.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import platform
import sys
from typing import Any

import torch

import search
from benchmarks.tasks.catalogue import ABSENT, FOLDER, TASKS, digest, how_to_get, load, search_file
from benchmarks.tasks.measured import figures
from benchmarks.tasks.process_tree import run
from benchmarks.tasks.report import write_report


def measure(name: str, output: pathlib.Path, jobs: int, settings: list[str]) -> dict[str, Any]:
    """Search and confirm a task, and return its figures.

    Raises:
        SystemExit: the search or the confirmation failed.
    """
    task = load(name)
    sets = task.sets()
    options = [f"--set={setting}" for setting in (f"resources.max_concurrent={jobs}", *settings)]
    command = [sys.executable, "-m", "search", "run", str(search_file(name)), "--confirm", "--resume"]
    paths = os.pathsep.join([str(FOLDER.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    used = run([*command, f"--output={output}", *options], {**os.environ, "PYTHONPATH": paths})
    if used.code:
        raise SystemExit(f"{name}: the search ended with code {used.code}")
    return {
        "name": name,
        **TASKS[name]._asdict(),
        "unit": task.unit,
        "train": _rows(sets.train),
        "validation": _rows(sets.validation),
        "student_parameters": sum(weights.numel() for weights in task.student().parameters()),
        **figures(search.open(output / name)),
        "wall_seconds": round(used.wall),
        "cpu_seconds": round(used.cpu),
        "jobs": jobs,
        "settings": settings,
        "files": digest(name),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, PyTorch {torch.__version__}",
    }


def _rows(part: Any) -> int:
    return len(part[1])


def main() -> None:
    """Read the options and measure the tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"tasks, of {', '.join(TASKS)} [all]")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time [%(default)s]")
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path("runs/tasks"), help="searches [%(default)s]"
    )
    parser.add_argument("--results", type=pathlib.Path, default=FOLDER / "results", help="figures [%(default)s]")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another setting, to try it out"
    )
    parser.add_argument("--table", action="store_true", help="write the table only")
    given = parser.parse_args()
    if unknown := set(given.names) - set(TASKS):
        parser.error(f"tasks must be among {', '.join(TASKS)}, but got {', '.join(sorted(unknown))}")
    given.results.mkdir(parents=True, exist_ok=True)
    for name in [] if given.table else given.names or TASKS:
        place = given.results / f"{name}.json"
        if place.exists():
            known = json.loads(place.read_text(encoding="utf-8"))["files"] == digest(name)
            print(f"{name}: measured already{'' if known else f', with other files; to repeat it, remove {place}'}")
            continue
        try:
            found = measure(name, given.output, given.jobs, given.set)
        except ABSENT as error:
            print(f"{name}: skipped, its data are absent ({error}). To get them: {how_to_get(name)}")
            continue
        place.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_report(given.results)
    write_report(given.results)


if __name__ == "__main__":
    main()
