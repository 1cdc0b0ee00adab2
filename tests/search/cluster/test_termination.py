"""SIGTERM saves the work, whatever handles SIGINT."""

import os
import signal
import threading
import time

import pytest

from search.cluster.termination import SAME_REQUEST, interruption_sets, terminated_like_interrupted


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["interruptible", "SIGINT ignored"])
def sigint(request):
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def test_sigterm_interrupts_and_both_signals_are_put_back(sigint):
    terminated = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) == sigint
    assert signal.getsignal(signal.SIGTERM) == terminated


def test_what_runs_is_told_before_anything_is_interrupted(sigint):
    running = threading.Event()
    with terminated_like_interrupted(), interruption_sets(running):
        os.kill(os.getpid(), signal.SIGTERM)
        assert running.is_set()
        os.kill(os.getpid(), signal.SIGTERM)  # of the same request
        time.sleep(SAME_REQUEST + 0.1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) == sigint


def test_only_the_first_request_interrupts_where_something_else_takes_the_others(sigint):
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(KeyboardInterrupt), terminated_like_interrupted(once=True), terminated_like_interrupted():
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SAME_REQUEST + 0.1)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, terminated)


def test_sigint_that_is_ignored_stays_so_and_another_is_taken(sigint):
    with terminated_like_interrupted():
        assert (signal.getsignal(signal.SIGINT) == sigint) == (sigint == signal.SIG_IGN)
