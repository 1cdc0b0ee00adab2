"""Explains what went wrong with a store, in words that say what to do."""

from __future__ import annotations

import urllib.parse

from search.settings import is_server

REMEDY = "a store is given as `sqlite:///folder/mlflow.db` (a file) or `http://host:5000` (an MLflow server)"
_LONGEST = 300


def explain(uri: str, error: Exception) -> str:
    """Explain a failure in one line. MLflow passes on only texts, so causes are recognised by them."""
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        return f"its database driver is not installed ({text}). Install it, or use another store: {REMEDY}."
    if not is_server(uri):
        return text
    if "Connection refused" in str(error):
        return "nothing listens there. Start it with `mlflow server`, or correct the host and port."
    if "resolve" in str(error) or "Name or service not known" in str(error):
        return "there is no such host. Correct the address."
    if "Invalid Host header" in text:
        host = urllib.parse.urlsplit(uri).netloc.rpartition("@")[2]
        return f"the server does not accept the host name {host!r}; add it to its `mlflow server --allowed-hosts …`."
    if "error code 401" in text or "error code 403" in text:
        return "it refuses the user; give MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or _TOKEN."
    if "error code 404" in text or "error code 405" in text or "JSON" in text:
        return "something answers there, but it is not an MLflow server. Correct the address."
    return text
