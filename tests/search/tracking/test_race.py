"""A race over seeds in MLflow: the run of a policy that left, and of one that came back."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from search.records.search import TrialRecord
from search.tracking import sync
from search.tracking.series import milliseconds
from tests.search.tracking.tracking_record import EXPERIMENT, START, make_history, make_search, make_trial, runs_of
from trainables.records.trial import ReplicateResult

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def raced(number: int, status: Any, seeds: int, score: float, **changes: Any) -> TrialRecord:
    """Return a policy whose seeds took 10 s each, with two interventions of the guard under each."""
    results = [
        ReplicateResult(seed=seed, validation_accuracy=score, validation_loss=0.4, agreement=0.8)
        for seed in range(seeds)
    ]
    history = make_history(score=score).model_copy(
        update={
            "replicates": tuple(results),
            "training_seconds": 10.0 * seeds,
            "interventions": {"λ would move too fast": 2 * seeds},
        }
    )
    ended = START + datetime.timedelta(seconds=100 * seeds + number)
    ended_or_not = None if status in ("pending", "running") else ended
    values = {"history": history, "opening": make_history(score=0.8), "ended": ended_or_not}
    return make_trial(number, status, **(values | changes))


def race(name: str, *trials: TrialRecord, status: str = "running") -> Any:
    search = make_search(name, *trials, status=status)
    return search.model_copy(update={"config": search.config.model_copy(update={"replicates": 3})})


def run_of(uri: str, search: str, trial: str) -> Any:
    (run,) = (run for run in runs_of(uri, search, "trial") if run.data.tags["tune.trial_id"] == trial)
    return run


FAILED = raced(1, "failed", 1, 0.9, error="CUDA out of memory")
LEFT = raced(2, "eliminated", 1, 0.8), raced(3, "eliminated", 1, 0.7)
CAME_BACK = raced(2, "finished", 3, 0.81)


@pytest.mark.parametrize("seen", ["all the time", "at both ends"])
def test_a_policy_that_comes_back_shows_what_it_has_come_to(uri: str, seen: str) -> None:
    name = seen.replace(" ", "-")
    sync(race(name, raced(1, "running", 1, 0.9), *LEFT), uri, EXPERIMENT)
    left = run_of(uri, name, "trial2")
    assert left.data.tags["kd.race"] == "left the race after 1 of 3 seeds"
    assert (left.data.metrics["seeds"], left.data.metrics["train/guard_rate"]) == (1, 2)
    assert left.info.status == "FINISHED"
    if seen == "all the time":
        sync(race(name, FAILED, raced(2, "pending", 1, 0.8), LEFT[1]), uri, EXPERIMENT)
        again = run_of(uri, name, "trial2")
        assert "kd.race" not in again.data.tags
        assert again.info.status == "SCHEDULED"
    ended = race(name, FAILED, CAME_BACK, LEFT[1], status="finished")
    sync(ended, uri, EXPERIMENT)
    run = run_of(uri, name, "trial2")
    wanted = {"seeds": 3, "training_seconds": 30, "score": 0.81, "train/guard_rate": 6, "train/guard_interventions": 6}
    assert {metric: run.data.metrics[metric] for metric in wanted} == wanted
    assert "partial_score" not in run.data.metrics
    assert "kd.race" not in run.data.tags
    assert "left the race" not in run.data.tags["mlflow.note.content"]
    assert run.info.run_id == left.info.run_id
    assert run.info.end_time == milliseconds(CAME_BACK.ended)
    other = run_of(uri, name, "trial3")
    assert (other.data.metrics["partial_score"], other.data.metrics["seeds"]) == (0.7, 1)
    assert other.data.tags["kd.race"] == "left the race after 1 of 3 seeds"
    second = sync(ended, uri, EXPERIMENT)
    assert (second.runs, second.points) == (0, 0)


def test_only_a_race_that_is_over_has_partial_scores(uri: str) -> None:
    """A stopped search may be resumed. Policies that left then return in an open race, but not in one that is over."""
    over = [
        trial.model_copy(update={"trial_id": f"other{number}", "number": number, "family": "norm_balance"})
        for number, trial in enumerate((CAME_BACK, LEFT[1]), start=4)
    ]
    trials = raced(1, "running", 1, 0.9), *LEFT, *over
    sync(race("over", *trials), uri, EXPERIMENT)
    assert "partial_score" not in run_of(uri, "over", "other5").data.metrics
    sync(race("over", *trials, status="stopped"), uri, EXPERIMENT)
    assert "partial_score" not in run_of(uri, "over", "trial2").data.metrics
    assert run_of(uri, "over", "other5").data.metrics["partial_score"] == 0.7


def test_a_trial_that_is_trained_once_more_has_failed_no_longer(uri: str) -> None:
    sync(race("again", FAILED), uri, EXPERIMENT)
    assert run_of(uri, "again", "trial1").data.tags["error"] == "CUDA out of memory"
    sync(race("again", raced(1, "finished", 3, 0.9), status="finished"), uri, EXPERIMENT)
    assert "error" not in run_of(uri, "again", "trial1").data.tags
