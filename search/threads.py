"""How PyTorch's threads wait for each other."""

from __future__ import annotations

import os


def let_threads_sleep() -> None:
    """Let threads that wait sleep; call it before PyTorch is imported, after that it has no effect.

    By default OpenMP's threads spin for some twenty milliseconds before they sleep. Where other programs want the
    cores, as Ray's do while a search starts, the thread that is waited for does not get one: the teacher of
    `digits-quick` took 17 to 71 s in place of 3. A user's own OMP_WAIT_POLICY stands. Ray's processes inherit it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
