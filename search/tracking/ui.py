"""Shows a store in MLflow's web page."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from search.cluster import terminated_like_interrupted
from search.errors import TrackingError
from search.settings import server_address, sqlite_path, without_password
from search.tracking.check import check_quickly
from search.tracking.problems import explain
from search.tracking.store import open_client, quiet
from search.tracking.view import FAMILIES, page_address
from search.tracking.wording import ROLE, SEARCH

_SECONDS_BETWEEN_WORDS = 10.0
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


@dataclasses.dataclass(frozen=True)
class SearchPages:
    """The addresses of a search's pages in MLflow; `lines` lists them with what they show."""

    name: str | None
    """The search; None where the experiment has none, and so only its table."""
    trials: str
    """Its trials, best first, with scores and rules."""
    families: str
    """The same as charts, grouped by family."""
    own: str
    """The run of the search itself: its answer, its ranking and, among its artifacts, its report."""

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each page."""
        if self.name is None:
            return (self.trials,)
        return (
            f"{self.name}: trials, best first: {self.trials}",
            f"{self.name}: charts by family: {self.families}",
            f"{self.name}: answer and report: {self.own}",
        )


def search_pages(uri: str, experiment: str, base: str, search: str | None = None) -> SearchPages:
    """Return the addresses of a search's pages at `base` (`http://host:port`); by default of the newest search.

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
    address = functools.partial(page_address, base, found.experiment_id)
    if not newest:
        return SearchPages(None, address(), address(charts=True), address())
    run, name = newest[0].info.run_id, newest[0].data.tags[SEARCH]
    return SearchPages(
        name=name,
        trials=address(name),
        families=address(f"{name}{FAMILIES}", charts=True),
        own=address().replace("/runs?", f"/runs/{run}?"),
    )


def address_on_server(uri: str, experiment: str, search: str) -> str | None:
    """Return the address of a search's trials on an MLflow server; None for any other store, or if it does not answer.

    It takes seconds where the server is slow.
    """
    base = server_address(uri)
    if base is None:
        return None
    try:
        check_quickly(base)
        return search_pages(uri, experiment, base, search).trials
    except TrackingError:
        return None


def serve_ui(
    uri: str,
    experiment: str,
    announce: Callable[[str], None],
    *,
    wait: Callable[[str], None],
    search: str | None = None,
    host: str = "127.0.0.1",
    port: int = 5000,
) -> None:
    """Serve MLflow's page of a store until interrupted, and announce its addresses once it answers.

    A store that is a server has its page already, so only its addresses are announced.

    Args:
        uri: of the store.
        experiment: of MLflow, by name.
        announce: takes the lines that name the pages of the search.
        wait: takes a line while the page is not there yet.
        search: the search to show; by default the newest.
        host: address to serve the page at.
        port: to serve the page at.

    Raises:
        TrackingError: the store cannot be read, the port is not available, or the page does not start.
    """
    if (address := server_address(uri)) is not None:
        _announce(search_pages(uri, experiment, address, search), announce)
        return
    _check_free(host, port)
    base = f"http://{host}:{port}"
    wait("MLflow is starting; Ctrl-C ends it")
    pages = search_pages(uri, experiment, base, search)
    with terminated_like_interrupted(), subprocess.Popen(ui_command(uri, host, port), env=ui_environment()) as server:
        try:
            _await_answer(server, base, wait)
            _announce(pages, announce)
            server.wait()
        except KeyboardInterrupt:
            pass
        finally:
            server.terminate()


def _announce(pages: SearchPages, announce: Callable[[str], None]) -> None:
    for line in pages.lines:
        announce(line)


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


def _await_answer(server: subprocess.Popen[bytes], base: str, wait: Callable[[str], None]) -> None:
    """Wait until the server answers, however long that takes, and say so now and then."""
    began = time.monotonic()
    says_at = began + _SECONDS_BETWEEN_WORDS
    while server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(f"{base}/health", timeout=2).close()
            return
        if (now := time.monotonic()) >= says_at:
            wait(f"MLflow has not answered at {base} for {now - began:.0f} s; a busy machine may need minutes")
            says_at = now + _SECONDS_BETWEEN_WORDS
        time.sleep(0.2)
    raise TrackingError(
        f"MLflow's server for {base} ended at once (exit status {server.returncode}); see its output above."
    )
