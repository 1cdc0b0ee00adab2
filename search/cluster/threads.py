"""Sets how PyTorch's threads wait for each other."""

from __future__ import annotations

import os

_SPINS = "1000"
"""The spins before a thread sleeps, some tens of microseconds: the next operation can come, and no core is blocked."""


def let_threads_sleep() -> None:
    """Let waiting threads sleep soon. Call it before PyTorch is imported; later it has no effect.

    By default OpenMP's threads spin for some twenty milliseconds before they sleep. If other programs need the cores,
    as Ray's do while a search starts, the thread that the others wait for gets none. The teacher of `digits-quick` then
    took 17 to 71 s instead of 3. Sleeping at once costs a third where nothing else runs. A user's own OMP_WAIT_POLICY
    is kept, and so is GOMP_SPINCOUNT, which only GNU's OpenMP reads. Ray's processes inherit both.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
