"""Shares what benchmarks have in common: options, timings in pairs, tables, data and teacher, and `RESULTS.md`."""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.settings import SearchConfig
    from trainables.pictures import Dataset, TrialAssets
    from trainables.teacher import Teacher

RESULTS = pathlib.Path(__file__).parent / "RESULTS.md"
_HEAD = """# Results

A section by each program. `make bench` writes them anew, but for that of `trial.py --write`, a command of its own.
Ratios are of two things timed in turn; medians, with the middle half in brackets.
"""


def parser(description: str | None, *, cache: bool = True, write: bool = True) -> argparse.ArgumentParser:
    """Return a parser that shows a module's text as it stands, with the options `--cache` and `--write`."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if cache:
        from search.settings import default_cache

        found.add_argument(
            "--cache", type=pathlib.Path, default=default_cache(), help="data and teachers [%(default)s]"
        )
    if write:
        found.add_argument("--write", action="store_true", help="write the section of RESULTS.md, too")
    return found


def publish(title: str, lines: Iterable[str], *, write: bool) -> None:
    """Print a section of the results; if asked, put it into the file in place of the one with its title."""
    text = "\n".join(lines).strip()
    print(text)
    if not write:
        return
    _, *sections = re.split(r"^(?=## )", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {part.split("\n", 1)[0].removeprefix("## "): part.strip() + "\n" for part in sections}
    named[title] = f"## {title}\n\n{text}\n"
    RESULTS.write_text("\n".join([_HEAD, *named.values()]), encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def spread(values: Sequence[float]) -> str:
    """Return the median and the middle half as text; the value itself if there is only one."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def pairs(
    base: Callable[[], object],
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[tuple[float, float]]]:
    """Time each work in pairs with a base (A B A C …), after one round that is not counted.

    Args:
        base: what the works are compared with.
        works: by name.
        rounds: pairs of each work.
        clock: gives seconds.

    Returns:
        The seconds of (base, work) of each pair, by the work's name.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            began = clock()
            base()
            between = clock()
            work()
            found[name].append((between - began, clock() - between))
    return {name: each[1:] for name, each in found.items()}


def prepare(config: SearchConfig, cache: pathlib.Path) -> tuple[Dataset, Teacher, TrialAssets]:
    """Prepare a search's data and its teacher, and both as trials read them."""
    from trainables.datasets import load_dataset
    from trainables.device import select_compute
    from trainables.teacher import compute_assets, prepare_teacher

    compute = select_compute(config.device)
    dataset = load_dataset(config.data, default_root=cache / "data", progress=print)
    teacher = prepare_teacher(config.teacher, dataset, cache=cache / "teachers", compute=compute)
    return dataset, teacher, compute_assets(dataset, teacher, config.augmentation, compute.device)


def conditions() -> str:
    """Describe when, with what and on what something was measured, and how busy the machine was."""
    import torch

    models = re.findall(
        r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE
    )
    return (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, torch {torch.__version__},"
        f" {models[0] if models else platform.machine()}, {os.cpu_count()} cores,"
        f" load {os.getloadavg()[0]:.1f} at the end"
    )
