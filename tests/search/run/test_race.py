"""A real search that races, tested in many ways, and one that is killed in the middle of its race."""

import collections
import io
import signal
import subprocess
import time

import pytest
import torch
from mlflow.tracking import MlflowClient
from rich.console import Console

from search.confirm.finalists import choose_finalists
from search.evidence import judge
from search.report.terminal.report import render_table
from search.run.search import resume_search, run_search
from search.run.status import search_status
from search.settings.confirmation import ConfirmationSettings
from search.store.decisions import stored_decisions
from search.store.folder import SearchStore
from search.store.trial_files import trial_states
from search.store.trials import read_search
from tests.search.run.test_interruption import command, finished_trials, start, status_of
from tests.search.tiny import TINY, QuietListener, tiny_config

RACE = ("name=race", "replicates=3", "racing=true", "constant.promoted=1")
ENDS = {
    ("norm_balance", "eliminated", (0,)): 2,
    ("norm_balance", "eliminated", (0, 1)): 1,
    ("norm_balance", "finished", (0, 1, 2)): 1,
    ("fixed", "eliminated", (0, 1)): 3,
    ("fixed", "finished", (0, 1, 2)): 1,
}
"""4 rules, 2 of them, 1 of them; constants begin with two seeds, and one of them runs the third."""


@pytest.fixture(scope="module")
def done(launch):
    listener = QuietListener()
    return run_search(tiny_config(*RACE), launch, listener), listener


def by_status(search):
    return collections.Counter((trial.family, trial.status, trial.seeds) for trial in search.trials)


def test_every_family_runs_the_same_race(done):
    search = done[0].search
    assert search.status == "finished"
    assert [trial.number for trial in search.trials] == list(range(1, 9))
    assert by_status(search) == ENDS


def test_those_who_go_on_were_the_best_of_their_family_on_the_same_seeds(done):
    trials = [trial for trial in done[0].search.trials if trial.family == "norm_balance"]
    for seeds in (1, 2):
        ran = [t for t in trials if len(t.seeds) >= seeds]

        def score(trial, seeds=seeds):
            return sum(replicate.validation_accuracy for replicate in trial.history.replicates[:seeds])

        on = [score(t) for t in ran if len(t.seeds) > seeds]
        assert min(on) >= max(score(t) for t in ran if len(t.seeds) == seeds)


def test_a_score_over_fewer_seeds_is_no_score(done):
    for trial in done[0].search.trials:
        assert (trial.score is None) == (len(trial.seeds) < 3)
        assert (trial.partial_score is None) == (len(trial.seeds) == 3)
    assert {len(trial.seeds) for trial in done[0].search.finished} == {3}


def test_what_is_read_back_is_what_was_returned(done, launch):
    store = SearchStore(launch.storage, "race")
    assert read_search(store) == done[0].search
    for trial in done[0].search.trials:
        assert stored_decisions(store, trial).context.seeds == trial.seeds


def test_a_trials_students_lie_with_its_heats(done, launch):
    for trial in done[0].search.trials:
        files = [next((launch.output / "race" / folder).glob("checkpoint_*/student.pt")) for folder in trial.folders]
        seeds = [seed for file in files for seed in torch.load(file, weights_only=True)]
        assert seeds == [str(seed) for seed in trial.seeds]


def test_the_listener_hears_that_a_trial_left(done):
    last = {record.trial_id: record for record in done[1].records}
    assert collections.Counter(record.status for record in last.values()) == {"eliminated": 6, "finished": 2}
    assert {record.trial_id: record.seeds for record in last.values()} == {
        trial.trial_id: trial.seeds for trial in done[0].search.trials
    }


def test_status_and_report_tell_who_left(done, launch):
    status = search_status("race", launch, None)
    assert (status["finished"], status["left_the_race"], status["failed"], status["pending"]) == (2, 6, 0, 0)
    console = Console(file=io.StringIO(), width=120)
    console.print(render_table(done[0].search, judge(done[0].search)))
    assert "left the race" in console.file.getvalue()


def test_mlflow_tells_a_partial_score_from_a_score(done, launch):
    client = MlflowClient(launch.tracking_uri)
    experiment = client.get_experiment_by_name(launch.experiment)
    runs = client.search_runs([experiment.experiment_id], "tags.`kd.search` = 'race' and tags.`kd.role` = 'trial'")
    assert {run.info.status for run in runs} == {"FINISHED"}
    trials = {trial.trial_id: trial for trial in done[0].search.trials}
    assert len(runs) == len(trials)
    for run in runs:
        trial = trials[run.data.tags["tune.trial_id"]]
        metrics = run.data.metrics
        assert metrics["seeds"] == len(trial.seeds)
        shown = {name: metrics.get(name) for name in ("score", "partial_score")}  # to four digits
        expected = trial.partial_score if trial.score is None else trial.score
        assert shown["score" if trial.score is not None else "partial_score"] == pytest.approx(expected, rel=1e-3)
        assert None in shown.values()
        left = None if trial.score is not None else f"left the race after {len(trial.seeds)} of 3 seeds"
        assert run.data.tags.get("kd.race") == left
        # All curves are those of the seed that all trials have in common.
        curve = client.get_metric_history(run.info.run_id, "validation/accuracy")
        opening = trial.opening or trial.history
        assert [point.value for point in sorted(curve, key=lambda p: p.step)] == pytest.approx(
            [record.validation_accuracy for record in opening.epochs], rel=1e-3
        )


def test_finalists_are_those_with_all_seeds_and_weights_that_left_are_worth_retrying(done):
    search = done[0].search
    chosen = choose_finalists(search, tiny_config(*RACE), ConfirmationSettings())
    finished = {trial.family: trial.number for trial in search.finished}
    assert [f.trial for f in chosen.finalists if f.role == "rule"] == [finished["norm_balance"]]
    assert chosen.left_out == {}
    weights = {f.parameters["weight"] for f in chosen.finalists if f.family == "fixed"}
    tried = [t for t in search.raced if t.family == "fixed"]  # the one with all seeds, then those that left
    assert {tried[0].parameters["weight"], tried[1].parameters["weight"], 0.0, 1.0} <= weights


def test_resuming_a_finished_race_runs_nothing(done, launch):
    listener = QuietListener()
    assert resume_search("race", launch, listener).search == done[0].search
    assert listener.records == []


KILLED = [*TINY, "replicates=3", "racing=true", "constant.promoted=1", "training.epochs=300", "evaluations=10"]


def test_after_kill_9_in_the_middle_of_a_race_nothing_that_had_ended_is_run_again(tmp_path, cache):
    process = start("run", "digits-quick", output=tmp_path, cache=cache, settings=KILLED)
    wait_for_a_further_heat(process, tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(2)  # the workers notice that their driver has gone
    before = heats_ended(tmp_path)
    search = read_search(SearchStore(str(tmp_path), "tiny"))
    assert "finished" not in {trial.status for trial in search.trials} or len(search.finished) < 2
    assert status_of(tmp_path)["status"] == "interrupted"

    resumed = command("resume", "tiny", output=tmp_path, cache=cache)
    done = subprocess.run(resumed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    after = heats_ended(tmp_path)
    assert {name: after[name] for name in before} == before
    search = read_search(SearchStore(str(tmp_path), "tiny"))
    assert search.status == "finished"
    assert by_status(search) == ENDS
    assert len(after) == (4 + 2 + 1) + (4 + 1)


def wait_for_a_further_heat(process, output, seconds=300):
    """Wait until a trial has ended a second heat, but none a third one."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        store = SearchStore(str(output), "tiny")
        if finished_trials(output, "tiny") or (
            store.exists()
            and any(len(trial.seeds) == 2 and trial.family != "fixed" for trial in read_search(store).trials)
        ):
            return
        time.sleep(0.2)
    raise AssertionError(f"no second heat ended in {seconds} s")


def heats_ended(output):
    """Return the heats that the search knows to have ended, and when their students were written.

    A worker writes the student before its driver hears of the end. If the driver is killed in between, the heat is run
    again.
    """
    store = SearchStore(str(output), "tiny")
    ended = {state.trial_id for state in trial_states(store) if state.ended}
    return {
        path.parent.parent.name: path.stat().st_mtime_ns
        for path in (output / "tiny").glob("*/*/student.pt")
        if path.parent.parent.name.rpartition("-")[2] in ended
    }
