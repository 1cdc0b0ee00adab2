"""Turns off Tune's statistics of which of Ray's own callbacks are used.

To count callbacks, Tune imports each of them, and with one of them MLflow. That takes seconds of CPU before the first
trial. The number is never sent, since a search turns Ray's usage statistics off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ray.air._internal import usage


@contextlib.contextmanager
def uncounted_callbacks() -> Iterator[None]:
    """Keep Tune from counting callbacks within the block. Ray 2.60 has no setting for that."""
    count = getattr(usage, "tag_callbacks", None)
    if count is None:  # another release, whose imports are accepted
        yield
        return
    usage.tag_callbacks = lambda callbacks: False  # noqa: ARG005 - named as Ray does
    try:
        yield
    finally:
        usage.tag_callbacks = count
