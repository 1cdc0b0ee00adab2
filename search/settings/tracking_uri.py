"""Reads tracking URIs as text: which store they mean and where its artifacts lie. Touches no store."""

from __future__ import annotations

import pathlib
import urllib.parse

_SQLITE = "sqlite:///"


def default_tracking_uri(output: pathlib.Path) -> str:
    """The store of searches whose results lie in `output`: one SQLite file in it."""
    # SQLAlchemy reads `%41` in a URI as `A`, and what follows a question mark as options.
    return _SQLITE + str(output.absolute() / "mlflow.db").replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> pathlib.Path | None:
    """The database file of a `sqlite:///…` URI, absolute; None for any other store."""
    if not uri.startswith(_SQLITE):
        return None
    return pathlib.Path(urllib.parse.unquote(uri.removeprefix(_SQLITE).partition("?")[0])).absolute()


def is_server(uri: str) -> bool:
    """Tell whether the URI is that of an MLflow server."""
    return urllib.parse.urlsplit(uri).scheme in ("http", "https")


def server_address(uri: str) -> str | None:
    """The address of a server's page, without a user's name and password; None for any other store."""
    if not is_server(uri):
        return None
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def artifact_location(uri: str) -> str | None:
    """The place of a new experiment's files: beside an SQLite file; None leaves the choice to the server."""
    path = sqlite_path(uri)
    return None if path is None else (path.parent / "mlartifacts").as_uri()


def without_password(uri: str) -> str:
    """The URI with its password masked, so that it may be shown."""
    parts = urllib.parse.urlsplit(uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()
