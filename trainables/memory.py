"""How a training's process asks the system for memory. Imports no torch."""

from __future__ import annotations

import ctypes

# From malloc.h of the GNU C library.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCKS = 2**30, 2**25  # the second is the most that older releases take


def keep_freed_memory() -> bool:
    """Let this process keep memory that PyTorch frees on the CPU, for the next step to use again.

    By default the GNU C library gives blocks of some hundred kilobytes and more back to the system at once, so each
    step gets its activations as new pages that the system clears first: 700 to 1,100 page faults a step for a small
    network on a batch of 64. The process then stays as large as its largest step.

    Returns:
        Whether the C library is one that can be told; nothing happens with another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = any(mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_BLOCKS)
    return kept and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
