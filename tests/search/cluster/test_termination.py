"""SIGTERM saves the work, whatever handles SIGINT."""

import os
import signal

import pytest

from search.cluster.termination import terminated_like_interrupted


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


def test_a_handler_of_sigint_is_asked_first(sigint):
    asked = []
    with terminated_like_interrupted():
        signal.signal(signal.SIGINT, lambda *_: asked.append(True))  # as Tune does
        os.kill(os.getpid(), signal.SIGTERM)
    assert asked == [True]
    assert signal.getsignal(signal.SIGINT) == sigint
