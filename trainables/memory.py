"""Sets how a training's process asks the system for memory. Imports no torch."""

from __future__ import annotations

import ctypes

# From malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCKS = 2**30, 2**25  # the second is the largest that older releases accept


def keep_freed_memory() -> bool:
    """Let this process keep memory that PyTorch frees on the CPU, so that the next step uses it again.

    By default the GNU C library returns blocks of some hundred kilobytes and more to the system at once. Each step
    then gets its activations as new pages, which the system clears first. For a small network on a batch of 64 these
    are 700 to 1,100 page faults a step. A process that keeps freed memory stays as large as its largest step.

    Returns:
        True if the C library accepts these settings; nothing happens with a library that has none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS)
    return kept and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
