"""Tracking URIs: their meaning, and how soon a wrong one is reported."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from search.errors import TrackingError
from search.settings.tracking_uri import artifact_location, default_tracking_uri, sqlite_path, without_password
from search.tracking import check_quickly, check_tracking
from search.tracking.ui import ui_command, ui_environment
from tests.search.ports import refusing_port


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("", "is empty"),
        ("mlruns", "sqlite:///mlruns/mlflow.db"),
        ("file:///data/mlruns", "sqlite:////data/mlruns/mlflow.db"),
        ("sqlite://mlflow.db", "three slashes"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:////dev/null/mlflow.db", "'/dev/null' is a file"),
        ("sqlite:////proc/mlflow.db", "'/proc' is not writable"),  # not even by root
        ("sqlite:////proc/folder/mlflow.db", "'/proc' is not writable"),
        ("htp://localhost:5000", "Did you mean 'http'?"),
        ("http://user:secret@127.0.0.1:9", "nothing listens there"),
    ],
)
def test_a_uri_that_names_no_store_is_told_without_importing_mlflow(uri: str, told: str) -> None:
    with pytest.raises(TrackingError) as caught:
        check_quickly(uri)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("code", "told"), [(socket.EAI_NONAME, True), (socket.EAI_AGAIN, False)])
def test_a_host_that_nobody_knows_is_told_at_once(code: int, told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(TrackingError, match="there is no such host") if told else contextlib.nullcontext():
        check_quickly("http://nobody:5000")


@contextlib.contextmanager
def answering(code: int, body: bytes) -> Iterator[int]:
    """Run a server that gives one answer to every request; yield its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def test_a_server_that_asks_for_a_password_is_left_to_mlflow() -> None:
    with answering(401, b"who are you?") as port:
        check_quickly(f"http://user:secret@127.0.0.1:{port}")


def test_a_file_that_is_no_database_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, not a database.", encoding="utf-8")
    with pytest.raises(TrackingError, match="not an SQLite database"):
        check_tracking(f"sqlite:///{path}")


def test_a_new_file_is_accepted_but_not_created(tmp_path: pathlib.Path) -> None:
    uri = default_tracking_uri(tmp_path / "results")
    check_tracking(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_told_fast() -> None:
    began = time.monotonic()
    with refusing_port() as port, pytest.raises(TrackingError, match="nothing listens there"):
        check_tracking(f"http://127.0.0.1:{port}")
    assert time.monotonic() - began < 20  # MLflow's own import included; its default retries take minutes


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.tracking.check._SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(TrackingError, match="did not answer"):
            check_tracking(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b"Invalid Host header - possible DNS rebinding attack detected",
            "does not accept the host name '127.0.0.1:.*allowed-hos",
        ),
        (b"Permission denied", "MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_refused_name_is_told_apart_from_a_refused_user(
    body: bytes, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.tracking.check._SECONDS", 60.0)  # the time that a busy machine's thread may need to ask
    with answering(403, body) as port, pytest.raises(TrackingError, match=told):
        check_tracking(f"http://127.0.0.1:{port}")


def test_the_default_store_keeps_its_files_beside_it(tmp_path: pathlib.Path) -> None:
    assert artifact_location(default_tracking_uri(tmp_path)) == (tmp_path / "mlartifacts").as_uri()
    assert artifact_location("http://localhost:5000") is None


def test_a_password_is_not_shown() -> None:
    assert without_password("postgresql://kd:secret@host/db") == "postgresql://kd:***@host/db"
    assert without_password("http://localhost:5000") == "http://localhost:5000"


def test_the_page_is_served_from_the_store_without_job_workers() -> None:
    command = ui_command("sqlite:///mlflow.db", "127.0.0.1", 5050)
    assert command[command.index("--backend-store-uri") + 1] == "sqlite:///mlflow.db"
    assert command[command.index("--port") + 1] == "5050"
    assert ui_environment()["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_importing_the_package_imports_no_mlflow() -> None:
    code = "import sys, search.tracking; sys.exit('mlflow' in sys.modules or 'sqlalchemy' in sys.modules)"
    root = pathlib.Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize("folder", ["plain", "with blanks", "é", "100 %", "a%41", "why?", "c#+&="])
def test_the_default_store_lies_in_a_folder_of_any_name(folder, tmp_path):
    from sqlalchemy.engine import make_url

    path = tmp_path / folder / "mlflow.db"
    uri = default_tracking_uri(tmp_path / folder)
    assert make_url(uri).database == str(path)
    assert sqlite_path(uri) == path
