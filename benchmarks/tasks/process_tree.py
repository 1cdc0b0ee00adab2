"""Runs a command and measures the CPU time of all processes that it started."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psutil

_EVERY = 0.5
"""Seconds between two looks. What a process used after the last look at it is not counted."""


class Used(NamedTuple):
    """The exit code of a command, and the seconds that it took."""

    code: int
    wall: float
    cpu: float


def run(command: Sequence[str], environment: Mapping[str, str]) -> Used:
    """Run a command to its end; its output goes where this program's goes."""
    began, seconds = time.monotonic(), dict[tuple[int, float], float]()
    with subprocess.Popen(command, env=dict(environment)) as process:
        root = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in [root, *root.children(recursive=True)]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        used = one.cpu_times()
                        seconds[one.pid, one.create_time()] = used.user + used.system
            time.sleep(_EVERY)
    return Used(process.returncode, time.monotonic() - began, sum(seconds.values()))
