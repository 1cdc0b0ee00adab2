"""Writes `benchmarks/RESULTS.md`: a section for each benchmark, each written by that benchmark alone."""

from __future__ import annotations

import os
import pathlib
import platform
import re
import time

RESULTS = pathlib.Path(__file__).parent / "RESULTS.md"
_HEAD = """# Results

A section by each program. `make bench` writes them anew, but for those of `precision.py --seeds 4 --write`,
`trial.py --rounds 1 --write` and `trial.py --augmented --epochs 5 --rounds 5 --write`, each a command of its own.
Ratios are of two things timed in turn; medians, with the middle half in brackets.
"""


def conditions() -> str:
    """Describe when, with what and on what something was measured, and how busy the machine was."""
    import torch

    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, torch {torch.__version__},"
        f" {_processor()}, {cores} cores, load {load:.1f} at the end"
    )


def write_section(title: str, text: str, path: pathlib.Path = RESULTS) -> None:
    """Put a section into the results, in place of the one with its title if there is one.

    Args:
        title: its heading.
        text: Markdown without headings of the first two levels.
        path: the results.
    """
    section = f"## {title}\n\n{text.strip()}\n"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    _, *sections = re.split(r"^(?=## )", old, flags=re.MULTILINE)
    named = {part.split("\n", 1)[0].removeprefix("## "): part.strip() + "\n" for part in sections}
    named[title] = section
    path.write_text("\n".join([_HEAD, *named.values()]), encoding="utf-8")


def _processor() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
