"""Tune without its statistics of which of Ray's own callbacks are used.

To count them it imports each of them, and with one of them MLflow: seconds of CPU before the first trial, for a number
that goes nowhere, since a search turns Ray's usage statistics off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ray.air._internal import usage


@contextlib.contextmanager
def uncounted_callbacks() -> Iterator[None]:
    """Within the block Tune counts no callbacks. Ray 2.60 has no setting for that."""
    count = getattr(usage, "tag_callbacks", None)
    if count is None:  # in another release; then its imports cost what they cost
        yield
        return
    usage.tag_callbacks = lambda callbacks: False  # noqa: ARG005 - named as Ray does
    try:
        yield
    finally:
        usage.tag_callbacks = count
