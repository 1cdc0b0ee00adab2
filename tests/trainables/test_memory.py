"""Freed memory is kept; each test has its own processes, since the setting stays."""

import platform
import subprocess
import sys

import pytest

from trainables import memory

PAGE_FAULTS = """
import resource, sys, torch
from trainables.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def step():
    # 40 MB each: from 32 MB on the C library gives every block back; below, it learns to keep some.
    parts = [torch.ones(10_000_000) for _ in range(3)]
    return sum(float(part[0]) for part in parts)
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(kind: str) -> int:
    done = subprocess.run([sys.executable, "-c", PAGE_FAULTS, kind], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not GNU's")
def test_memory_that_is_freed_is_used_again():
    """Two processes import torch, which takes seconds each on a busy machine."""
    # The ratio is tested, since a machine with transparent huge pages has far fewer faults of either kind.
    assert 10 * page_faults("kept") < page_faults("as it is")


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _name: object())
    assert not memory.keep_freed_memory()
