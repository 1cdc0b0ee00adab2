"""A search whose driver is killed or told to stop, through the command line as its user runs it."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from mlflow.tracking import MlflowClient

from search.store.folder import SearchStore
from search.store.trials import read_search
from tests.search.tiny import TINY

# Trials take some seconds, so that they can be interrupted halfway.
LONGER = [*TINY, "training.epochs=600", "evaluations=60"]


def command(*arguments, output, cache, settings=LONGER):
    sets = [part for setting in settings for part in ("--set", setting)] if arguments[0] == "run" else []
    return [
        *(sys.executable, "-m", "search", *arguments, *sets),
        *("--output", str(output), "--cache", str(cache), "--checkpoint-seconds", "0.5", "--report-seconds", "0.3"),
    ]


def start(*arguments, **places):
    return subprocess.Popen(
        command(*arguments, **places),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))},
    )


def finished_trials(output, name):
    """Return the trials that have finished by Tune's snapshot, with the time when each checkpoint was written."""
    store = SearchStore(str(output), name)
    if not store.exists():
        return {}
    search = read_search(store)
    return {t.trial_id: checkpoint_of(output, name, t) for t in search.trials if t.status == "finished"}


def checkpoint_of(output, name, trial):
    folder = next(pathlib.Path(output, name).glob(f"*-{trial.trial_id}"))
    return max(path.stat().st_mtime_ns for path in folder.glob("checkpoint_*/history.json"))


def wait_for_finished(process, output, name, count, seconds=180):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        if len(finished_trials(output, name)) >= count:
            return
        time.sleep(0.2)
    raise AssertionError(f"no {count} trials finished in {seconds} s")


def status_of(output):
    done = subprocess.run(
        [sys.executable, "-m", "search", "status", "tiny", "--json", "--output", str(output)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def assert_whole_and_once(output, name):
    search = read_search(SearchStore(str(output), name))
    assert search.status == "finished"
    assert [t.number for t in search.trials] == list(range(1, 9))
    assert [(t.number, t.status, t.error) for t in search.trials if t.status != "finished" or t.score is None] == []
    assert collections.Counter(t.family for t in search.trials) == {"fixed": 4, "norm_balance": 4}
    # No epoch is missing or doubled, not even in trials that were interrupted.
    for trial in search.trials:
        assert [e.epoch for e in trial.history.epochs] == [10 * i for i in range(1, 61)]
    client = MlflowClient(f"sqlite:///{output}/mlflow.db")
    runs = client.search_runs(["0", "1"], f"tags.`kd.search` = '{name}'")
    assert len(runs) == 9
    assert {r.info.status for r in runs} == {"FINISHED"}
    ids = collections.Counter(r.data.tags["tune.trial_id"] for r in runs if "tune.trial_id" in r.data.tags)
    assert ids == collections.Counter(t.trial_id for t in search.trials)
    for run in runs:
        if "tune.trial_id" in run.data.tags:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, "validation/accuracy")]
            assert len(steps) == len(set(steps)) > 0


def test_after_kill_9_resume_runs_nothing_again_that_had_finished(tmp_path, cache):
    process = start("run", "digits-quick", output=tmp_path, cache=cache)
    wait_for_finished(process, tmp_path, "tiny", 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(2)  # the workers notice that their driver has gone
    before = finished_trials(tmp_path, "tiny")
    assert 3 <= len(before) < 8
    assert status_of(tmp_path)["status"] == "interrupted"

    done = subprocess.run(
        command("resume", "tiny", output=tmp_path, cache=cache), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished_trials(tmp_path, "tiny")
    assert {k: after[k] for k in before} == before
    assert_whole_and_once(tmp_path, "tiny")


@pytest.mark.parametrize(
    ("signal_number", "send"),
    [
        pytest.param(signal.SIGTERM, os.kill, id="SIGTERM"),
        pytest.param(signal.SIGTERM, os.killpg, id="SIGTERM, as timeout and systemd send it"),
        pytest.param(signal.SIGINT, os.killpg, id="Ctrl-C"),
    ],
)
def test_a_stopped_search_saves_closes_its_runs_and_goes_on_later(signal_number, send, tmp_path, cache):
    process = start("run", "digits-quick", output=tmp_path, cache=cache)
    wait_for_finished(process, tmp_path, "tiny", 2)
    send(process.pid, signal_number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert f"kd-search resume tiny --output {tmp_path} --cache {cache}" in " ".join(output.split())
    assert "Traceback" not in output
    search = read_search(SearchStore(str(tmp_path), "tiny"))
    assert search.status == "stopped"
    before = finished_trials(tmp_path, "tiny")
    assert 2 <= len(before) < 8
    runs = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db").search_runs(["0", "1"])
    assert "RUNNING" not in {r.info.status for r in runs}

    done = subprocess.run(
        command("run", "digits-quick", "--resume", output=tmp_path, cache=cache),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished_trials(tmp_path, "tiny")
    assert {k: after[k] for k in before} == before
    assert_whole_and_once(tmp_path, "tiny")
    assert status_of(tmp_path)["finished"] == 8
