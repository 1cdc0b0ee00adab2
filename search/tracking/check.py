"""Rejects a wrong or unreachable tracking URI before anything is run."""

from __future__ import annotations

import pathlib
import socket
import threading
import urllib.parse

from search.errors import TrackingError, nearest
from search.settings import is_server, sqlite_path, without_password
from search.store import check_creatable
from search.tracking.problems import REMEDY, explain
from search.tracking.store import open_client, quiet

_SECONDS = 4.0
_SECONDS_FOR_A_FILE = 60.0  # it does not hang as a network does, but a busy machine may be slow to open it
_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")
_SQLITE_HEADER = b"SQLite format 3\x00"


def check_tracking(uri: str) -> None:
    """Make sure that a search can write to this store; takes at most about 5 s, longer for a file on a busy machine.

    A new SQLite file is not created here, but later, beside the search.

    Args:
        uri: of the store.

    Raises:
        TrackingError: the URI names no kind of store, or the store cannot be reached or written.
    """
    check_quickly(uri)
    path = sqlite_path(uri)
    if path is None or (path.exists() and path.stat().st_size > 0):
        _connect(uri)


def check_quickly(uri: str) -> None:
    """Check what `check_tracking` can check at once and without MLflow, whose import alone takes a second or two.

    Raises:
        TrackingError: the URI names no kind of store, a file that cannot be written or is no database, or a server
            where nothing listens.
    """
    if not uri.strip():
        raise TrackingError(f"the tracking URI is empty; {REMEDY}.")
    scheme = urllib.parse.urlsplit(uri).scheme
    if scheme in ("", "file"):
        raise TrackingError(
            f"tracking URI {uri!r} is a folder, which MLflow no longer supports as a store; name an SQLite file"
            f" instead: 'sqlite:///{uri.removeprefix('file://').rstrip('/') or 'mlruns'}/mlflow.db'."
        )
    path = sqlite_path(uri)
    if path is not None:
        _check_file(uri, path)
    elif scheme == "sqlite":
        raise TrackingError(f"tracking URI {uri!r} needs three slashes before the file: 'sqlite:///folder/mlflow.db'.")
    elif scheme.partition("+")[0] not in _SCHEMES and not _is_plugin(scheme):
        raise TrackingError(
            f"tracking URI {uri!r} begins with {scheme!r}, which MLflow does not support as a store;"
            f" {REMEDY}.{nearest(scheme, _SCHEMES)}"
        )
    elif is_server(uri):
        _knock(uri)


def _check_file(uri: str, path: pathlib.Path) -> None:
    if path.name in ("", ":memory:") or path.is_dir():
        raise TrackingError(f"tracking URI {uri!r} must name a file, such as 'sqlite:///folder/mlflow.db'.")
    nearest_folder = next(parent for parent in path.parents if parent.exists())
    if not nearest_folder.is_dir():
        raise TrackingError(f"tracking URI {uri!r}: {str(nearest_folder)!r} is a file, not a folder; choose another.")
    place, header = nearest_folder, b""
    try:
        check_creatable(path.parent)  # also beside a file that is there: SQLite keeps its journal there
        if path.exists():
            place = path
            with path.open("r+b") as stream:  # open for writing, but nothing is written
                header = stream.read(len(_SQLITE_HEADER))
    except OSError as error:
        raise TrackingError(
            f"tracking URI {uri!r}: {str(place)!r} is not writable ({error.strerror or error}); choose another place."
        ) from error
    if header not in (b"", _SQLITE_HEADER):
        raise TrackingError(f"tracking URI {uri!r}: {str(path)!r} is not an SQLite database; choose another file.")


def _knock(uri: str) -> None:
    """Raise if clearly nothing listens there. Proxies and certificates are left to MLflow."""
    import http.client
    import urllib.error
    import urllib.request

    parts = urllib.parse.urlsplit(uri)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        urllib.request.urlopen(address, timeout=_SECONDS).close()
    except urllib.error.URLError as error:
        reason = error.reason
        unknown = isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME
        if unknown or isinstance(reason, ConnectionRefusedError):
            raise _unusable(uri, error) from error
    except (OSError, ValueError, http.client.HTTPException):
        pass  # something answers, or not in time: MLflow's own request will show


def _is_plugin(scheme: str) -> bool:
    import importlib.metadata

    return any(entry.name == scheme for entry in importlib.metadata.entry_points(group="mlflow.tracking_store"))


def _connect(uri: str) -> None:
    """Query the store, in a thread of its own because a name server or driver may hang for minutes."""
    with quiet():
        import mlflow  # noqa: F401 - a slow import must not count as a slow store
    problems: list[Exception] = []
    limit = _SECONDS if sqlite_path(uri) is None else _SECONDS_FOR_A_FILE

    def ask() -> None:
        with quiet():
            try:
                open_client(uri).search_experiments(max_results=1)
            except Exception as error:  # from MLflow, a database driver, requests …
                problems.append(error)

    thread = threading.Thread(target=ask, name="mlflow-check", daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        raise TrackingError(
            f"the MLflow store {without_password(uri)!r} did not answer within {limit:.0f} s; {REMEDY}."
        )
    if problems:
        raise _unusable(uri, problems[0]) from problems[0]


def _unusable(uri: str, error: Exception) -> TrackingError:
    return TrackingError(f"the MLflow store {without_password(uri)!r} cannot be used: {explain(uri, error)}")
