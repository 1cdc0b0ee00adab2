"""Shows a store in MLflow's web page."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from search.cluster import terminated_like_interrupted
from search.errors import TrackingError
from search.settings import is_server, sqlite_path, without_password
from search.tracking.problems import explain
from search.tracking.store import open_client, quiet
from search.tracking.wording import ROLE, SEARCH

_SECONDS_TO_START = 60.0
_LAST_PORT = 65_535


def ui_command(uri: str, host: str = "127.0.0.1", port: int = 5000) -> list[str]:
    """Return the command that serves the page of a store. Run it with `ui_environment`."""
    return [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--host", host, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning"),
    ]


def ui_environment() -> dict[str, str]:
    """Return this process's environment, with what MLflow's server needs to stay small and quiet."""
    return os.environ | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # else 13 processes and 2.4 GB instead of 2 and 0.5 GB
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",  # MLflow's server imports what its own libraries have deprecated
    }


def experiment_url(uri: str, experiment: str, base: str, search: str | None = None) -> str:
    """Return the address of the experiment's table of runs in the page at `base` (`http://host:port`).

    It shows the trials of `search`, or of the newest search if none is named: best first, with scores and rules.

    Raises:
        TrackingError: the store does not exist or cannot be read, or has no such experiment or search.
    """
    path = sqlite_path(uri)
    if path is not None and not path.exists():  # reading must not create one
        raise TrackingError(f"there is no MLflow store {str(path)!r}; a search or `kd-search sync NAME` creates one.")
    store, newest = f"the MLflow store {without_password(uri)!r}", []
    asked = "" if search is None else f" and tags.`{SEARCH}` = '{search}'"
    try:
        with quiet():
            client = open_client(uri)
            found = client.get_experiment_by_name(experiment)
            if found is not None:
                searches, newest_first = f"tags.`{ROLE}` = 'search'{asked}", ["attributes.start_time DESC"]
                newest = client.search_runs([found.experiment_id], searches, max_results=1, order_by=newest_first)
    except Exception as error:
        raise TrackingError(f"{store} cannot be read: {explain(uri, error)}") from error
    if found is None:
        raise TrackingError(f"{store} has no experiment {experiment!r}; `kd-search sync` writes one.")
    if search is not None and not newest:
        raise TrackingError(
            f"the experiment {experiment!r} of {store} has no search {search!r}; `kd-search sync` writes it."
        )
    query = {"workflowType": "machine_learning"}  # else the page shows what it has for language models
    if newest:
        query["viewStateShareKey"] = newest[0].data.tags[SEARCH]
    return f"{base.rstrip('/')}/#/experiments/{found.experiment_id}/runs?{urllib.parse.urlencode(query)}"


def serve_ui(
    uri: str,
    experiment: str,
    announce: Callable[[str], None],
    *,
    search: str | None = None,
    host: str = "127.0.0.1",
    port: int = 5000,
) -> None:
    """Serve MLflow's page of a store until interrupted, and announce its address (`experiment_url`) once it answers.

    A store that is a server has its page already, so only its address is announced.

    Raises:
        TrackingError: the store cannot be read, the port is not available, or the page does not start.
    """
    if is_server(uri):
        announce(experiment_url(uri, experiment, without_password(uri), search))
        return
    _check_free(host, port)
    base = f"http://{host}:{port}"
    address = experiment_url(uri, experiment, base, search)
    with terminated_like_interrupted(), subprocess.Popen(ui_command(uri, host, port), env=ui_environment()) as server:
        try:
            _await_answer(server, base)
            announce(address)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.terminate()


def _check_free(host: str, port: int) -> None:
    """Raise if the port is in use: its listener would answer in the server's place, from another store."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address, family=family).close()
    except socket.gaierror as error:
        raise TrackingError(f"`--host` {host!r} is not an address of this machine: {error.strerror}.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TrackingError(
                f"`--port` must be free, but {host}:{port} is already in use, perhaps by the page of another store;"
                f" name another port, e.g. --port {port + 1 if port < _LAST_PORT else port - 1}."
            ) from error
        reason = error.strerror or str(error)
        raise TrackingError(f"`--host` {host!r} and `--port` {port} cannot be used: {reason}.") from error


def _await_answer(server: subprocess.Popen[bytes], base: str) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(
                f"MLflow's server for {base} ended at once (exit status {server.returncode}); see its output above."
            )
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{base}/health", timeout=2).close()
            return
        time.sleep(0.2)
    raise TrackingError(f"MLflow's server did not answer at {base} within {_SECONDS_TO_START:.0f} s.")
