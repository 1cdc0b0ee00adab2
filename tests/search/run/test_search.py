"""One real search on this machine, tested in many ways."""

import collections
import contextlib
import datetime
import json
import pathlib

import psutil
import pytest
import torch

from policies import LossBalancer, load_policy
from policies.errors import KDPolicySearchError
from search.cluster.connection import room_for
from search.run.search import resume_search, run_search
from search.store.folder import SearchStore, searches_in
from search.store.trials import read_search
from tests.search.tiny import QuietListener, tiny_config


@pytest.fixture(scope="module")
def left_behind(launch):
    """Leave a trial of the same search that was killed before its first snapshot."""
    folder = pathlib.Path(launch.storage, "tiny", "0001-norm_balance-0123abcd")
    folder.mkdir(parents=True)
    (folder / "trial.json").write_text("{")
    return folder


# All trials together take longer than the second worker may be late. Each one takes less than a worker's start.
SHORT = "training.epochs=99"


class Observer(QuietListener):
    """Also notes how many trials Ray has room for, and when the search began."""

    room, began = 0, None

    def search_begins(self, search, config):
        super().search_begins(search, config)
        self.room, self.began = room_for(config.resources), datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def done(launch, left_behind):
    listener = Observer()
    outcome = run_search(tiny_config(SHORT), launch, listener)
    return outcome, listener


def test_every_trial_finishes_with_a_score_and_a_history(done):
    search = done[0].search
    assert search.status == "finished"
    assert [t.number for t in search.trials] == list(range(1, 9))
    for trial in search.trials:
        assert trial.status == "finished"
        assert 0.1 < trial.score <= 1.0
        assert [e.epoch for e in trial.history.epochs] == [33, 66, 99]
        assert len(trial.history.trace) == 5
        assert trial.ended > trial.started


def test_a_trial_from_before_the_first_snapshot_is_forgotten(done, left_behind):
    assert not left_behind.exists()


@pytest.mark.slow  # it measures, and on a busy machine a second worker may start too late to be seen
def test_short_trials_run_side_by_side(done):
    outcome, listener = done
    if listener.room < 2:
        pytest.skip("Ray found one CPU")
    trials = outcome.search.trials
    workers_start = min(trial.started for trial in trials) - listener.began
    if max(trial.ended for trial in trials) - min(trial.started for trial in trials) < 2 * workers_start:
        pytest.skip("on this busy machine all trials end before a second worker can have started")
    beside = [a.number for a in trials for b in trials if a is not b and a.started < b.ended and b.started < a.ended]
    assert len(set(beside)) >= 3  # one worker gives 2 at most, while its successor starts


def test_constants_are_tried_beside_the_rules_and_begin_with_common_practice(done):
    trials = done[0].search.trials
    assert collections.Counter(t.family for t in trials) == {"fixed": 4, "norm_balance": 4}
    assert [t.parameters["weight"] for t in trials if t.baseline] == [0.9, 0.45, 0.0, 1.0]


def test_the_listener_hears_of_every_trial_from_start_to_end(done):
    _, listener = done
    states = collections.defaultdict(list)
    for record in listener.records:
        states[record.trial_id].append(record.status)
    assert len(states) == 8
    assert all(s[0] == "running" and s[-1] == "finished" for s in states.values())
    assert listener.begun.trials == ()
    assert listener.ended


def test_what_is_read_back_is_what_was_returned(done, launch):
    assert read_search(SearchStore(launch.storage, "tiny")) == done[0].search
    assert searches_in(launch.storage) == ["tiny"]


def test_nothing_of_the_test_set_is_in_a_trials_data(done, launch):
    from trainables.pictures.sets import TrialAssets

    assert not any("test" in name for name in TrialAssets.__dataclass_fields__)


def test_the_best_policy_runs_in_a_plain_loop(done):
    page = done[0].page
    best = done[0].search.finished[0]
    policy = load_policy(page.parent / "policy.json")
    assert (policy.family, policy.values()) == (best.family, best.parameters)
    LossBalancer.from_file(page.parent / "policy.json", torch.nn.Linear(2, 2), total_steps=3)


def test_a_trial_leaves_its_students(done, launch):
    folder = next(pathlib.Path(launch.storage, "tiny").glob("0005-fixed-*"))
    students = torch.load(next(folder.glob("checkpoint_*/student.pt")), weights_only=True)
    assert sorted(students) == ["0", "1"]
    assert students["0"].keys() == students["1"].keys()


def test_mlflow_shows_one_parent_and_every_trial(done, launch):
    runs = mlflow_runs(launch)
    parents = [r for r in runs if r.data.tags.get("kd.role") == "search"]
    assert len(parents) == 1
    assert len(runs) == 9
    assert {r.info.status for r in runs} == {"FINISHED"}
    scores = {t.trial_id: t.score for t in done[0].search.trials}
    for run in runs:
        if run is not parents[0]:
            assert run.data.metrics["score"] == pytest.approx(scores[run.data.tags["tune.trial_id"]], rel=1e-3)


def test_the_report_is_an_artifact_of_the_parent(done, launch):
    from mlflow.tracking import MlflowClient

    parent = next(r for r in mlflow_runs(launch) if r.data.tags.get("kd.role") == "search")
    names = {f.path for f in MlflowClient(launch.tracking_uri).list_artifacts(parent.info.run_id, "report")}
    assert {"report/report.html", "report/policy.json"} <= names


def test_a_name_is_used_once(done, launch):
    with pytest.raises(KDPolicySearchError, match="exists already.*kd-search resume tiny"):
        run_search(tiny_config(), launch, QuietListener())


def test_resuming_a_finished_search_runs_nothing(done, launch):
    listener = QuietListener()
    outcome = resume_search("tiny", launch, listener)
    assert outcome.search == done[0].search
    assert not [r for r in listener.records if r.status == "running"]
    assert listener.teacher_news[-1].cached
    assert len(mlflow_runs(launch)) == 9


def test_a_failing_trial_fails_alone(launch):
    """The process of a running trial is killed, as by the system when memory runs out."""

    class Killer(QuietListener):
        victim = None

        def tick(self):
            # Trials run one at a time, and this is a quarter of a second after the third began.
            last = self.records[-1] if self.records else None
            if self.victim is None and last and (last.number, last.status) == (3, "running"):
                # Ray names a process after what it is doing.
                for process in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.Error):  # those that end meanwhile
                        if ".train" in "".join(process.cmdline()[:1]):
                            process.kill()
                            self.victim = process.pid
                            return

    listener = Killer()
    config = tiny_config("name=wounded", "training.epochs=800", "resources.max_concurrent=1", "replicates=1")
    outcome = run_search(config, launch, listener)
    assert listener.victim is not None
    states = collections.Counter(t.status for t in outcome.search.trials)
    assert states == {"finished": 7, "failed": 1}
    failed = next(t for t in outcome.search.trials if t.status == "failed")
    assert failed.error
    assert outcome.search.status == "finished"
    numbers = json.loads((outcome.page.parent / "report.json").read_text())
    assert "failed" in json.dumps(numbers)
    statuses = collections.Counter(r.info.status for r in mlflow_runs(launch, "wounded"))
    assert statuses == {"FINISHED": 8, "FAILED": 1}


def mlflow_runs(launch, name="tiny"):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(launch.tracking_uri)
    experiment = client.get_experiment_by_name(launch.experiment)
    return client.search_runs([experiment.experiment_id], f"tags.`kd.search` = '{name}'", max_results=1000)


def test_a_search_runs_once_at_a_time(done, launch):
    store = SearchStore(launch.storage, "tiny")
    with store.locked(), pytest.raises(KDPolicySearchError, match="'tiny' is running already"):
        resume_search("tiny", launch, QuietListener())
    assert store.is_running() is False


def test_a_search_is_not_continued_on_other_data(done, launch, monkeypatch):
    """The data differ if the picture folder has changed or the teacher is lost."""
    from search.prepare import foundation

    monkeypatch.setattr(foundation, "dataset_fingerprint", lambda dataset: "other pictures")
    with pytest.raises(KDPolicySearchError, match="'tiny' began on other inputs than those found now .other data."):
        resume_search("tiny", launch, QuietListener())
