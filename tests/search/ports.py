"""Ports for servers that tests start, and one on which nothing answers."""

import contextlib
import secrets
import socket
from collections.abc import Iterator

_PORTS = range(20_000, 32_000)
"""Ports above Ray's own workers (10,002 to 19,999) and below those that the system gives to outgoing connections."""


def free_port() -> int:
    """Return a free port that no program gets by chance before its server listens."""
    while True:
        port = secrets.choice(_PORTS)  # `random` may have been seeded alike in tests that run side by side
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port that refuses connections within the block: a socket that does not listen holds it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
