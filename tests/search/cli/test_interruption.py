"""Ctrl-C is answered by a thread while the main thread is busy; real processes get the signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

BUSY = """
import sys, time
from search.progress import Terminal
from search.cli.interruption import interruptible
with interruptible(Terminal(), lambda: "saving; all is kept.", lambda: "go on with: resume") as interruption:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("saving", flush=True)
        if sys.argv[1] == "slow":
            time.sleep(60)
        raise
"""


def start(kind):
    process = subprocess.Popen([sys.executable, "-c", BUSY, kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_is_answered_and_the_work_is_saved(number):
    with start("quick") as process:
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted: saving; all is kept. Press Ctrl-C again to end at once" in output
    assert output.splitlines()[-1] == "go on with: resume"


def test_a_second_request_ends_the_program_at_once():
    with start("slow") as process:
        os.kill(process.pid, signal.SIGINT)
        said = process.stdout.readline() + process.stdout.readline()
        assert "interrupted:" in said
        time.sleep(0.6)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert "ended at once; go on with: resume" in output


def test_two_signals_of_one_request_are_one():
    with start("quick") as process:
        os.kill(process.pid, signal.SIGTERM)
        os.kill(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert "ended at once" not in output
    assert output.count("interrupted:") == 1
