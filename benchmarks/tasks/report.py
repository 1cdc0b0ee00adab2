"""Writes the tables of all tasks that have figures.

They go to `RESULTS.md` and into `docs/benchmark.md` for people, and to `results.csv` for programs.
"""

from __future__ import annotations

import csv
import json
import pathlib
from typing import Any

from benchmarks.tasks.catalogue import FOLDER, TASKS
from benchmarks.tasks.figure import draw

_PAGE = FOLDER.parents[1] / "docs" / "benchmark.md"
_MARK = "<!-- {} -->"

_HEAD = """# Results of the tasks

`python -m benchmarks.tasks` writes this file from `results/`. [The page](../../docs/benchmark.md) explains it.
Scores are those of the confirmation: means over fresh seeds on the test set, in % of accuracy; of bikes in hundredths
of the logarithm, where less is better. Gains are positive where the first is better. In parentheses: 95 % intervals for
new seeds and new samples. The best rule is the one with the best validation score under the fresh seeds. In the last
table bold means that the interval excludes 0, and `=` that the rule acted like a constant, which was confirmed.
"""
_VERDICTS = {"constant": "constant", "rule": "**rule**", "cannot_tell": "cannot tell", "incomplete": "incomplete"}


def read(results: pathlib.Path) -> list[dict[str, Any]]:
    """Return the figures of the measured tasks, in the catalogue's order."""
    places = [results / f"{name}.json" for name in TASKS]
    return [json.loads(place.read_text(encoding="utf-8")) for place in places if place.exists()]


def write_report(results: pathlib.Path) -> None:
    """Write `RESULTS.md` and `results.csv` beside the folder of figures; the project's own go into the page."""
    tasks = read(results)
    found = tables(tasks)
    parts = [f"## {title}\n\n{table}\n" for title, table in found.items()]
    (results.parent / "RESULTS.md").write_text("\n".join([_HEAD, *parts]), encoding="utf-8")
    if results.resolve() == FOLDER / "results":
        _PAGE.write_text(with_tables(_PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
        draw(tasks, _PAGE.parent / "images" / "benchmark.png")
    with (results.parent / "results.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [_flat(task) for task in tasks]
        columns = dict.fromkeys(column for row in rows for column in row)
        writer = csv.DictWriter(file, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def with_tables(page: str, tables: dict[str, str]) -> str:
    """Return a page with each table in place of what is between the marks `<!-- title -->` and `<!-- end -->`."""
    for title, table in tables.items():
        before, mark, rest = page.partition(_MARK.format(title))
        if mark:
            page = f"{before}{mark}\n\n{table}\n\n{_MARK.format('end')}{rest.split(_MARK.format('end'), 1)[1]}"
    return page


def tables(tasks: list[dict[str, Any]]) -> dict[str, str]:
    """Return the tables in Markdown, by their titles."""
    return {
        "The tasks": _table(
            ("task", "data", "labels", "teacher", "train / validation / test", "student", "CPU time", "wall time"),
            [
                (
                    task["name"],
                    task["data"],
                    task["labels"],
                    task["taught_by"],
                    f"{task['train']:,} / {task['validation']:,} / {task['test_samples']:,}",
                    f"{task['student_parameters']:,}",
                    _minutes(task["cpu_seconds"]),
                    _minutes(task["wall_seconds"]),
                )
                for task in tasks
            ],
        ),
        "The answers": _table(
            (
                *("task", "teacher", "labels alone", "best constant", "over the labels alone"),
                *("answer", "best rule", "over the constant"),
            ),
            [
                (
                    task["name"],
                    f"{task['teacher']:.1f}",
                    f"{task['labels_alone']:.1f}",
                    _constant(task),
                    _gain(task["constant"]["over_labels"]),
                    _VERDICTS[task["verdict"]],
                    task["best_rule"]["family"].replace("_", " "),
                    _gain(task["best_rule"]["over_constant"]),
                )
                for task in tasks
            ],
        ),
        "Published settings": _table(
            ("task", "settings", "over the labels alone", "over the best constant"),
            [
                (
                    task["name"],
                    f"λ = {one['weight']:g}" + (f", T = {one['temperature']:g}" if "temperature" in one else ""),
                    _gain(one["over_labels"]),
                    _gain(one["over_constant"]),
                )
                for task in tasks
                for one in task["published"]
            ],
        ),
        "Every rule over the best constant": _table(
            ("rule", *(task["name"] for task in tasks)),
            [(family.replace("_", " "), *(_cell(task, family) for task in tasks)) for family in _families(tasks)],
        ),
    }


def _families(tasks: list[dict[str, Any]]) -> list[str]:
    """Return all families of rules that were searched, in the search files' order."""
    return list(dict.fromkeys(family for task in tasks for family in task["families"]))


def _cell(task: dict[str, Any], family: str) -> str:
    if family not in task["families"]:
        return "–"
    gain = next((one["over_constant"] for one in task["finalists"] if one["key"] == family), None)
    if gain is None:
        return "="
    return f"**{_signed(gain['mean'])}**" if gain["low"] > 0 or gain["high"] < 0 else _signed(gain["mean"])


def _constant(task: dict[str, Any]) -> str:
    constant = task["constant"]
    temperature = f", T = {constant['temperature']:g}" if "temperature" in constant and constant["weight"] else ""
    mark = "" if task["bracketed"] else " (not bracketed)"
    return f"{constant['score']:.1f} at λ = {constant['weight']:.3g}{temperature}{mark}"


def _gain(gain: dict[str, float] | None) -> str:
    """Return a gain with its interval; None is that of a finalist over itself."""
    if gain is None:
        return "the same"
    ends = "" if gain["low"] is None else f" ({_signed(gain['low'])} to {_signed(gain['high'])})"
    return f"{_signed(gain['mean'])}{ends}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def _flat(task: dict[str, Any]) -> dict[str, Any]:
    """Return a task's figures as one row of numbers and texts; lists are left to the JSON file."""
    row: dict[str, Any] = {}
    for key, value in task.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                ends = inner.items() if isinstance(inner, dict) else [("", inner)]
                row |= {"_".join(filter(None, (key, name, end))): number for end, number in ends}
        elif not isinstance(value, list):
            row[key] = value
    return row
