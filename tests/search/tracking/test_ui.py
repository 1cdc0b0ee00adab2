"""`kd-search ui`: it waits for MLflow's server as long as that lives, and prints links to a server that others run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from search.errors import TrackingError
from search.settings import server_address
from search.tracking import ui
from tests.search.ports import free_port

SLOW = """
import http.server, sys, time
time.sleep(1.5)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def test_a_slow_start_is_waited_for_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "_SECONDS_BETWEEN_WORDS", 0.3)
    port, said = free_port(), []
    with subprocess.Popen([sys.executable, "-c", SLOW, str(port)]) as server:
        try:
            ui._await_answer(server, f"http://127.0.0.1:{port}", said.append)
        finally:
            server.terminate()
    assert said
    assert all("a busy machine may need minutes" in line for line in said)


def test_a_server_that_ends_is_not_waited_for() -> None:
    said: list[str] = []
    with (
        subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as server,
        pytest.raises(TrackingError, match="exit status 3"),
    ):
        ui._await_answer(server, f"http://127.0.0.1:{free_port()}", said.append)


def test_only_a_server_has_an_address_of_its_own_and_it_shows_no_password() -> None:
    assert server_address("sqlite:////tmp/mlflow.db") is None
    assert server_address("https://me:secret@host:5000/path") == "https://host:5000/path"
    assert ui.address_on_server("sqlite:////tmp/mlflow.db", "experiment", "search") is None
    assert ui.address_on_server(f"http://127.0.0.1:{free_port()}", "experiment", "search") is None
