"""Requests to stop reach whoever holds the search's lock, and nobody else."""

import os

from search.store.folder import SearchStore
from search.store.stopping import StopRequests


def test_a_request_is_taken_once_by_the_process_that_runs_the_search(tmp_path):
    requests = StopRequests(tmp_path)
    with requests.answered("resume"):
        assert requests.runner()[::2] == ("resume", os.getpid())
        assert not requests.taken()
        StopRequests(tmp_path).ask()
        assert requests.is_waiting()
        assert requests.taken()
        assert not requests.is_waiting()
        assert not requests.taken()
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_nobody_answered_does_not_stop_the_next_run(tmp_path):
    StopRequests(tmp_path).ask()
    with StopRequests(tmp_path).answered("resume"):
        assert not StopRequests(tmp_path).taken()


def test_what_a_killed_process_left_is_no_search(tmp_path):
    store = SearchStore(str(tmp_path), "mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".runner.json").write_text('{"command": "resume", "host": "gone", "pid": 1}')
    StopRequests(tmp_path / "mine").ask()
    assert store.is_running() is False
    assert not (tmp_path / "mine").exists()


def test_a_damaged_note_of_the_process_is_no_error(tmp_path):
    (tmp_path / ".runner.json").write_text("{")
    assert StopRequests(tmp_path).runner() is None
