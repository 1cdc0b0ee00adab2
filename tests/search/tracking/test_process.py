"""MLflow's process may be killed, hang or lose its driver; the driver works without MLflow."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from search.errors import TrackingError
from search.tracking import LiveProjection, MLflowProcess, sync
from tests.search.ports import refusing_port
from tests.search.tracking.tracking_record import EXPERIMENT, files_of, make_search, make_trial, runs_of, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = pathlib.Path(__file__).parents[3]
DRIVER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without it
import pathlib, sys, time
from search.tracking import LiveProjection, MLflowProcess
from tests.search.tracking.tracking_record import EXPERIMENT, make_search, make_trial

uri, noted = sys.argv[1:]
with MLflowProcess() as process, LiveProjection(
    make_search("driven", status="running"), uri, EXPERIMENT, process=process, interval=0.05
) as live:
    live.update(make_trial(1, "running"))
    pathlib.Path(noted).write_text(str(process.pid))
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a store once, since that takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    sync(make_search("first"), uri, EXPERIMENT)
    return uri


@pytest.fixture
def silent() -> Iterator[str]:
    """Run a server that takes requests and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextlib.contextmanager
def driver(uri: str, folder: pathlib.Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """Run a program that projects a search; yield it and its MLflow process."""
    noted = folder / "pid"
    command = [sys.executable, "-c", DRIVER, uri, str(noted)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as process:
        try:
            wait_until(lambda: noted.exists() and noted.read_text() != "")
            yield process, psutil.Process(int(noted.read_text()))
        finally:
            process.kill()


def statuses(uri: str, search: str) -> dict[str, str]:
    """Return the status of each trial's run by trial id, and of the search's own run by its name."""
    return {run.data.tags.get("tune.trial_id", search): run.info.status for run in runs_of(uri, search)}


def mlflow_processes() -> list[psutil.Process]:
    """Return this process's MLflow processes; one that was killed and not yet waited for has no command line."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "search.tracking.child" in " ".join(child.cmdline()):
                found.append(child)
    return found


def gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended. In a container an orphan may stay a zombie, since nothing waits for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def test_a_process_that_is_killed_is_started_again(uri: str) -> None:
    with LiveProjection(make_search("killed", status="running"), uri, EXPERIMENT, interval=0.05) as live:
        live.update(make_trial(1, "running"))
        wait_until(lambda: statuses(uri, "killed").get("trial1") == "RUNNING")
        (first,) = mlflow_processes()
        first.kill()
        live.update(make_trial(2, "running"))
        wait_until(lambda: statuses(uri, "killed").get("trial2") == "RUNNING")
        assert first not in mlflow_processes()
        report = live.finish(make_search("killed", make_trial(1), make_trial(2)))
    assert report.complete
    assert "killed by signal 9" in (report.error or "")
    assert statuses(uri, "killed") == {"killed": "FINISHED", "trial1": "FINISHED", "trial2": "FINISHED"}


def test_a_search_that_loses_two_processes_goes_on_without_and_says_so(uri: str) -> None:
    final = make_search("lost", make_trial(1))
    killed: set[int] = set()
    with LiveProjection(make_search("lost", status="running"), uri, EXPERIMENT, interval=0.05) as live:
        live.update(make_trial(1, "running"))
        while len(killed) < 2:
            wait_until(lambda: any(process.pid not in killed for process in mlflow_processes()))
            for process in mlflow_processes():
                process.kill()
                killed.add(process.pid)
        live.update(make_trial(1))
        began = time.monotonic()
        report = live.finish(final)
    assert time.monotonic() - began < 10.0  # without half a minute of attempts
    assert not report.complete
    assert "MLflow is not up to date: MLflow's process was killed by signal 9" in str(report)
    assert mlflow_processes() == []
    assert sync(final, uri, EXPERIMENT).complete
    assert set(statuses(uri, "lost").values()) == {"FINISHED"}


@pytest.mark.parametrize("store", ["idle", "hanging"])
def test_no_process_outlives_a_driver_that_is_killed(store: str, uri: str, silent: str, tmp_path: pathlib.Path) -> None:
    with driver(uri if store == "idle" else silent, tmp_path) as (process, mlflow):
        if store == "idle":
            wait_until(lambda: statuses(uri, "driven").get("trial1") == "RUNNING")
        else:
            wait_until(lambda: any(c.status == psutil.CONN_ESTABLISHED for c in mlflow.net_connections("tcp")))
        process.kill()
        process.wait()
        wait_until(lambda: gone(mlflow))
    if store == "idle":  # and what it left can be completed
        assert sync(make_search("driven", make_trial(1)), uri, EXPERIMENT).complete
        assert statuses(uri, "driven") == {"driven": "FINISHED", "trial1": "FINISHED"}


def test_signals_that_stop_a_search_let_it_close_its_runs(uri: str, tmp_path: pathlib.Path) -> None:
    with driver(uri, tmp_path) as (process, mlflow):
        wait_until(lambda: statuses(uri, "driven").get("trial1") == "RUNNING")
        mlflow.send_signal(signal.SIGTERM)  # like a scheduler that signals every process
        os.killpg(process.pid, signal.SIGINT)  # like a terminal
        printed, _ = process.communicate(timeout=120)
    assert printed.splitlines()[-1] == "KeyboardInterrupt"
    assert statuses(uri, "driven") == {"driven": "KILLED", "trial1": "KILLED"}


def test_its_reader_of_decisions_may_be_of_any_module_that_the_driver_finds(
    uri: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = """
        import sys
        from trainables.records.trial import DecisionEntry

        def read(trial):
            print("not", "on", "the", "terminal")
            print("nor", "this", file=sys.stderr)
            return [DecisionEntry(0, 12, 1.5, 0.9, 1.0, 1, "as before")]
    """
    (tmp_path / "my_reader.py").write_text("\n".join(line[8:] for line in reader.splitlines()))
    monkeypatch.syspath_prepend(tmp_path)
    from my_reader import read  # type: ignore[import-not-found]

    with LiveProjection(make_search("read", status="running"), uri, EXPERIMENT, read_decisions=read) as live:
        report = live.finish(make_search("read", make_trial(1)))
    assert (report.complete, report.error) == (True, None)
    (run,) = runs_of(uri, "read", "trial")
    assert "decisions.csv" in files_of(uri, run)
    assert capfd.readouterr() == ("", "")


def test_a_server_that_is_not_there_is_told_by_the_check() -> None:
    with refusing_port() as port, MLflowProcess() as process:
        process.begin_check(f"http://127.0.0.1:{port}")
        with pytest.raises(TrackingError, match="nothing listens there"):
            process.end_check()


def test_a_process_that_cannot_work_says_why(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.tracking.process._PROGRAM", "import no_such_module")
    with MLflowProcess() as process:
        process.begin_check(uri)
        with pytest.raises(TrackingError, match="No module named 'no_such_module'"):
            process.end_check()


def test_an_unanswered_check_is_not_waited_for(silent: str) -> None:
    with MLflowProcess() as process:
        process.begin_check(silent)
        began = time.monotonic()
    assert time.monotonic() - began < 3.5  # the check itself waits for four
    assert not psutil.pid_exists(process.pid)


def test_a_driver_never_imports_mlflow(uri: str, cache: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """This runs a whole search of some ten seconds, so that imports by Tune or the report show as well."""
    program = """
import json, pathlib, sys
from search.settings.launch import Launch
from search.run.search import run_search
from tests.search.tiny import QuietListener, tiny_config

output, cache, uri = sys.argv[1:]
launch = Launch.on_this_machine(pathlib.Path(output), pathlib.Path(cache)).tracked_at(uri, "driver")
outcome = run_search(tiny_config("name=driver", 'families=["fixed"]'), launch, QuietListener())
print(json.dumps([outcome.search.status, [name for name in ("mlflow", "sqlalchemy") if name in sys.modules]]))
"""
    command = [sys.executable, "-c", program, str(tmp_path), str(cache), uri]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == '["finished", []]'
    runs = runs_of(uri, "driver", experiment="driver")
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"FINISHED"}
