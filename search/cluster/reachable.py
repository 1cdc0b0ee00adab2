"""Checks whether a cluster can be joined before anything is started, within seconds and without Ray's own messages."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

from search.errors import ClusterError

_SECONDS_TO_CONNECT = 3.0
_SECONDS_TO_JOIN = 60.0  # mostly for importing Ray, which is slow where all cores are busy
_JOIN = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"
# By default Ray waits a minute in each of several steps; these variables shorten two of them.
_HASTE = {"RAY_NUM_REDIS_GET_RETRIES": "2", "RAY_gcs_server_request_timeout_seconds": "6"}


def in_ray_job() -> bool:
    """Tell whether this process is the entry point of a Ray job, which has its cluster, token and code already."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def check_cluster(address: str) -> None:
    """Join the cluster once, in a separate process, because some failures of Ray hang or abort the process.

    Args:
        address: `auto` or `host:port`.

    Raises:
        ClusterError: nothing answers there, the token is missing or wrong, or this machine is no node of the cluster.
    """
    if "://" in address:
        raise ClusterError(
            f"`--address` must be `auto` or the `host:port` of a Ray head (6379 by default), but got {address!r}. A"
            " dashboard's address (http://…) is for `kd-search submit`."
        )
    if address != "auto":
        _check_port(address)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            env=os.environ | _HASTE,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_JOIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(
            f"`--address` {address!r} answers, but not like a Ray head within {_SECONDS_TO_JOIN:.0f} s;"
            " give the head's own port (6379 by default), not the dashboard's."
        ) from error
    if done.returncode != 0:
        raise ClusterError(f"no Ray cluster could be joined at `--address` {address!r}: {explain_refusal(done.stderr)}")


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ClusterError(f"`--address` must be `auto` or `host:port`, but got {address!r}.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise ClusterError(
            f"nothing answers at `--address` {address!r} ({error.strerror or error}). Start a head there with"
            f" `ray start --head --port={port}`, or leave `--address` out to run on this machine."
        ) from error


def explain_refusal(output: str) -> str:
    """Explain Ray's output: a known reason with its remedy, or else the last line."""
    if re.search(r"AuthenticationError|InvalidAuthToken|couldn't find an authentication token", output):
        return (
            "it requires another token. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to what"
            " the head was started with."
        )
    if "Could not find any running Ray instance" in output:
        return "no Ray runs on this machine. Start one with `ray start --head`, or give the head's host:port."
    if "No node info found" in output:
        return (
            "this machine is not a node of it. Add it with `ray start --address=…`, or send the search from here with"
            " `kd-search submit`."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "Ray gave no reason."
