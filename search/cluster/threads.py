"""How PyTorch's threads wait for each other."""

from __future__ import annotations

import os

_SPINS = "1000"
"""Some tens of microseconds: enough for the next operation to come, too short to keep a core from others."""


def let_threads_sleep() -> None:
    """Let threads that wait soon sleep; call it before PyTorch is imported, after that it has no effect.

    By default OpenMP's threads spin for some twenty milliseconds before they sleep. Where other programs want the
    cores, as Ray's do while a search starts, the thread that is waited for does not get one: the teacher of
    `digits-quick` took 17 to 71 s in place of 3. Sleeping at once costs a third where nothing else runs. A user's own
    OMP_WAIT_POLICY stands, and so does GOMP_SPINCOUNT, which GNU's OpenMP alone knows. Ray's processes inherit them.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
