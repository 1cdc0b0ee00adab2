"""The projection into MLflow: its content, and that it may be repeated, interrupted and resumed."""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
import json
import math
import pathlib
import socket
import time
from typing import Any

import psutil
import pytest

from search.errors import TrackingError
from search.evidence import judge
from search.records.pictures import PictureCounts
from search.records.search import TrialRecord, TrialStatus
from search.tracking import LiveProjection, MLflowProcess, TrackingReport, sync
from search.tracking.inputs import inputs_of
from search.tracking.series import MAX_POINTS, outcome_points, thin, trial_points
from search.tracking.store import open_client
from search.tracking.ui import search_pages
from search.tracking.view import view_tags
from search.tracking.wording import run_name, search_tags
from tests.search.ports import free_port
from tests.search.tracking.tracking_record import (
    EXPERIMENT,
    START,
    files_of,
    make_history,
    make_search,
    make_trial,
    points_of,
    runs_of,
    served,
    wait_until,
)
from trainables.records.objective import Objective
from trainables.records.trial import DecisionEntry, TrialHistory

# sqlalchemy 2.1 deprecates a loader that MLflow 3.17's models use; it warns once, when the SQL store is imported.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def creation(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Make a new store, which takes seconds; return its URI and what was printed meanwhile."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
        sync(make_search("first", make_trial(1)), uri, EXPERIMENT)
    return uri, printed.getvalue()


@pytest.fixture(scope="module")
def uri(creation: tuple[str, str]) -> str:
    return creation[0]


def parent_and_trials(uri: str, search: str, experiment: str = EXPERIMENT) -> tuple[Any, dict[str, Any]]:
    """Return the search's own run, and its trials' runs by trial id."""
    (parent,) = runs_of(uri, search, "search", experiment)
    trials = runs_of(uri, search, "trial", experiment)
    by_id = {run.data.tags["tune.trial_id"]: run for run in trials}
    assert len(by_id) == len(trials)
    return parent, by_id


def trials_of(uri: str, search: str) -> dict[str, Any]:
    return parent_and_trials(uri, search)[1]


def is_running(uri: str, search: str) -> bool:
    """Tell whether a trial of the search is shown as running."""
    return any(run.info.status == "RUNNING" for run in runs_of(uri, search, "trial"))


def steps_of(uri: str, run: Any, metric: str) -> list[int]:
    return [step for step, _ in points_of(uri, run, metric)]


def test_a_trial_is_a_run_below_its_search_with_all_that_one_compares(uri: str) -> None:
    sync(make_search("all", make_trial(1)), uri, EXPERIMENT)
    parent, trials = parent_and_trials(uri, "all")
    run = trials["trial1"]
    assert run.info.run_name == "001 cosine > .3: .9, else .5"
    assert run.info.status == parent.info.status == "FINISHED"
    assert run.info.start_time == 1000 * (START.timestamp() + 10)
    assert run.info.end_time == 1000 * (START.timestamp() + 19)
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["policy.rule"] == make_trial(1).rule
    wanted = {"family": "cosine_threshold", "policy.threshold": "0.3", "student": "mlp", "teacher": "cnn"}
    wanted |= {"learning_rate": "0.02", "temperature": "8.0", "dataset": "digits", "epochs": "6", "replicates": "2"}
    assert wanted.items() <= run.data.params.items()
    assert run.data.metrics["score"] == 0.9
    assert run.data.params["policy.complexity"] == "5"
    assert next(iter(run.data.metrics)) == min(run.data.metrics) == "score"
    assert steps_of(uri, run, "validation/accuracy") == [1, 2, 3, 4, 5, 6]
    assert steps_of(uri, run, "step/cosine") == list(range(0, 24, 2))


def test_numbers_have_four_digits_and_writing_again_changes_nothing(uri: str) -> None:
    parameters = {"threshold": 0.30000001192, "above": 1 / 3, "steps": 123456}
    trial = make_trial(1, parameters=parameters, shared={"learning_rate": 1.23456789e-05})
    history = trial.history.model_copy(update={"score": 0.1 + 0.2, "score_std": 1 / 3, "training_seconds": 12345.6})
    search = make_search("short", trial.model_copy(update={"history": history}))
    sync(search, uri, EXPERIMENT)
    (run,) = trials_of(uri, "short").values()
    wanted = {"policy.threshold": "0.3", "policy.above": "0.3333", "policy.steps": "123456"}
    assert (wanted | {"learning_rate": "1.235e-05"}).items() <= run.data.params.items()
    assert {"score": 0.3, "score_std": 0.3333, "training_seconds": 12346.0}.items() <= run.data.metrics.items()
    again = sync(search, uri, EXPERIMENT)
    assert again.points == again.runs == 0


def test_a_run_shows_its_data_and_its_teacher(uri: str) -> None:
    counts = PictureCounts(
        train=100, pool=800, validation=500, test=497, classes=10, shape=(8, 8, 1), largest_share=0.1
    )
    search = make_search("inputs", make_trial(1), foundation="2:data:teacher:float32", pictures=counts)
    sync(search, uri, EXPERIMENT)
    parent, trials = parent_and_trials(uri, "inputs")
    for run in (parent, trials["trial1"]):
        found = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
        assert found.keys() == {"training", "validation", "teacher"}  # the test set is closed
        assert (found["training"].name, found["teacher"].name) == ("digits", "cnn")
        assert json.loads(found["validation"].profile)["num_rows"] == 500
        assert len({each.digest for each in found.values()}) == 3
    other = make_search("others", make_trial(1), foundation="2:data:another:float32", pictures=counts)
    same = {each.context for each in inputs_of(other, tested=True)} - {"test"}
    changed = {
        a.context for a, b in zip(inputs_of(search, tested=True), inputs_of(other, tested=True), strict=True) if a != b
    }
    assert same == {"training", "validation", "teacher"}
    assert changed == {"teacher"}


def test_a_function_that_brings_its_data_is_one_input_for_training() -> None:
    contexts = [each.context for each in inputs_of(make_search("own", foundation="2:text:own:float32"), tested=False)]
    assert contexts == ["training", "teacher"]


@pytest.mark.parametrize("status", ["failed", "pending"])
def test_no_run_ends_before_it_begins(uri: str, status: TrialStatus) -> None:
    """A resumed trial notes its new start; its last result may be older."""
    began = START + datetime.timedelta(days=1)
    ended = START if status == "failed" else None
    search = make_search(f"late-{status}", make_trial(1, status, started=began, ended=ended), status="stopped")
    sync(search, uri, EXPERIMENT)
    for run in runs_of(uri, search.name):
        assert 0 <= run.info.end_time - run.info.start_time <= 2 * 86_400_000


def test_files_hold_the_policy_its_decisions_and_the_history(uri: str) -> None:
    trial = make_trial(1)
    entry = DecisionEntry(0, 12, 1.5, 0.9, 1.0, 1, "cosine 0.5 above 0.3, as before", cosine=0.5)
    sync(make_search("files", trial), uri, EXPERIMENT, read_decisions=lambda _: [entry])
    parent, trials = parent_and_trials(uri, "files")
    folder = pathlib.Path(open_client(uri).download_artifacts(trials["trial1"].info.run_id, ""))
    assert json.loads((folder / "policy.json").read_text(encoding="utf-8")) == trial.history.policy
    (row,) = csv.DictReader(io.StringIO((folder / "decisions.csv").read_text(encoding="utf-8")))
    assert (row["step"], row["lambda"], row["reason"]) == ("12", "0.9", "cosine 0.5 above 0.3, as before")
    assert (row["cosine"], row["agreement"]) == ("0.5", "")
    assert TrialHistory.from_json((folder / "history.json").read_text(encoding="utf-8")) == trial.history
    assert files_of(uri, parent) == {"search.json", "ranking.csv"}


def test_a_decision_log_that_cannot_be_read_costs_only_itself(uri: str) -> None:
    def fail(_: TrialRecord) -> list[DecisionEntry]:
        raise OSError("the storage is away")

    report = sync(make_search("unread", make_trial(1)), uri, EXPERIMENT, read_decisions=fail)
    assert not report.complete
    assert "trial 1" in (report.error or "")
    assert "the storage is away" in (report.error or "")
    assert files_of(uri, trials_of(uri, "unread")["trial1"]) == {"policy.json", "history.json"}


def test_a_second_projection_changes_nothing(uri: str) -> None:
    search = make_search("twice", make_trial(1), make_trial(2, "failed", error="ValueError: loss is not finite"))
    first = sync(search, uri, EXPERIMENT)
    second = sync(search, uri, EXPERIMENT)
    assert (first.runs, first.complete) == (3, True)
    assert (second.runs, second.points, second.complete) == (0, 0, True)
    assert str(second) == "MLflow was up to date already"
    assert trials_of(uri, "twice")["trial2"].data.tags["error"] == "ValueError: loss is not finite"


def test_an_ended_search_tells_which_trials_are_on_the_front(uri: str) -> None:
    simple = make_trial(1, complexity=1, history=make_history(score=0.8))
    best, beaten = make_trial(2, history=make_history(score=0.9)), make_trial(3, history=make_history(score=0.7))
    running = make_search("front", simple, status="running")
    sync(running, uri, EXPERIMENT)
    assert "kd.front" not in trials_of(uri, "front")["trial1"].data.tags
    sync(make_search("front", simple, best, beaten), uri, EXPERIMENT)
    parent, trials = parent_and_trials(uri, "front")
    assert {name: run.data.tags["kd.front"] for name, run in trials.items()} == {
        "trial1": "score and complexity",
        "trial2": "score and complexity",
        "trial3": "none",
    }
    table = pathlib.Path(open_client(uri).download_artifacts(parent.info.run_id, "ranking.csv"))
    rows = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))
    assert {row["trial"]: row["front"] for row in rows} == {"1": "complexity", "2": "complexity", "3": ""}


def test_a_stopped_search_goes_on_in_the_same_runs(uri: str) -> None:
    running = make_search("resumed", make_trial(1), make_trial(2, "running"), status="running")
    sync(running, uri, EXPERIMENT)
    parent, trials = parent_and_trials(uri, "resumed")
    assert (parent.info.status, trials["trial2"].info.status) == ("RUNNING", "RUNNING")
    sync(running.model_copy(update={"status": "stopped"}), uri, EXPERIMENT)
    parent, trials = parent_and_trials(uri, "resumed")
    assert (parent.info.status, trials["trial2"].info.status) == ("KILLED", "KILLED")
    sync(running, uri, EXPERIMENT)
    parent, again = parent_and_trials(uri, "resumed")
    assert (parent.info.status, again["trial2"].info.status) == ("RUNNING", "RUNNING")
    sync(make_search("resumed", make_trial(1), make_trial(2)), uri, EXPERIMENT)
    parent, last = parent_and_trials(uri, "resumed")
    assert (parent.info.status, last["trial2"].info.status) == ("FINISHED", "FINISHED")
    assert last["trial2"].info.run_id == trials["trial2"].info.run_id
    assert steps_of(uri, last["trial2"], "train/lambda") == [1, 2, 3, 4, 5, 6]
    assert steps_of(uri, last["trial2"], "step/lambda") == list(range(0, 24, 2))


def test_a_run_whose_trial_the_search_has_lost_is_ended(uri: str) -> None:
    sync(make_search("lost", make_trial(1, "running"), status="running"), uri, EXPERIMENT)
    sync(make_search("lost", status="running"), uri, EXPERIMENT)
    assert trials_of(uri, "lost")["trial1"].info.status == "KILLED"


def test_a_trial_that_has_not_begun_has_no_run(uri: str) -> None:
    pending = make_trial(1, "pending", started=None, history=TrialHistory())
    sync(make_search("pending", pending, status="running"), uri, EXPERIMENT)
    assert trials_of(uri, "pending") == {}


def test_a_new_search_of_an_old_name_gets_runs_of_its_own(uri: str) -> None:
    sync(make_search("renewed", make_trial(1)), uri, EXPERIMENT)
    later = START + datetime.timedelta(days=1)
    report = sync(make_search("renewed", make_trial(1), created=later), uri, EXPERIMENT)
    assert report.runs == 2


def test_a_doubled_run_is_removed(uri: str) -> None:
    search = make_search("doubled", make_trial(1))
    sync(search, uri, EXPERIMENT)
    _, trials = parent_and_trials(uri, "doubled")
    client = open_client(uri)
    tags = trials["trial1"].data.tags
    client.create_run(trials["trial1"].info.experiment_id, tags=tags, start_time=trials["trial1"].info.start_time + 1)
    sync(search, uri, EXPERIMENT)
    assert trials_of(uri, "doubled")["trial1"].info.run_id == trials["trial1"].info.run_id


def test_values_that_are_not_finite_become_gaps(uri: str) -> None:
    sync(make_search("diverged", make_trial(1, history=make_history(loss=math.inf))), uri, EXPERIMENT)
    assert math.isnan(trials_of(uri, "diverged")["trial1"].data.metrics["train/task_loss"])


def test_a_rule_longer_than_mlflow_allows_is_cut(uri: str) -> None:
    trial = make_trial(1, rule="λ" * 20_000, parameters={"threshold": 0.3})
    assert sync(make_search("long", trial), uri, EXPERIMENT).complete
    assert trials_of(uri, "long")["trial1"].data.tags["policy.rule"].endswith("λ…")


def test_a_deleted_experiment_is_told(uri: str) -> None:
    sync(make_search("deleted"), uri, "to-be-deleted")
    client = open_client(uri)
    client.delete_experiment(client.get_experiment_by_name("to-be-deleted").experiment_id)
    with pytest.raises(TrackingError, match="mlflow experiments restore"):
        sync(make_search("deleted"), uri, "to-be-deleted")


def test_the_addresses_open_trials_charts_and_answer_of_the_search(uri: str) -> None:
    sync(make_search("shown"), uri, EXPERIMENT)
    parent, _ = parent_and_trials(uri, "shown")
    experiment = open_client(uri).get_experiment_by_name(EXPERIMENT)
    pages = search_pages(uri, EXPERIMENT, "http://localhost:5000/", "shown")
    base = f"http://localhost:5000/#/experiments/{experiment.experiment_id}/runs"
    assert pages.trials == f"{base}?workflowType=machine_learning&viewStateShareKey=shown"
    assert pages.families.startswith(f"{base}?")
    assert "viewStateShareKey=shown-families" in pages.families
    assert pages.own == f"{base}/{parent.info.run_id}?workflowType=machine_learning"
    assert [line.rpartition(" ")[2] for line in pages.lines] == [pages.trials, pages.families, pages.own]
    sync(make_search("newest", created=START + datetime.timedelta(days=30)), uri, EXPERIMENT)
    assert search_pages(uri, EXPERIMENT, "http://localhost:5000").name == "newest"
    with pytest.raises(TrackingError, match=r"has no search 'unknown'; `kd-search sync` writes it"):
        search_pages(uri, EXPERIMENT, "http://localhost:5000", "unknown")
    with pytest.raises(TrackingError, match="no experiment 'other'"):
        search_pages(uri, "other", "http://localhost:5000")


@pytest.mark.parametrize(("direction", "ascending", "best"), [("maximize", False, "max"), ("minimize", True, "min")])
def test_every_search_has_the_same_views_with_the_best_first(direction: str, ascending: bool, best: str) -> None:
    views = {name.rpartition(".")[2]: json.loads(view) for name, view in view_tags("x", ascending=ascending).items()}
    assert list(views) == ["x", "x-families"], direction
    for view in views.values():
        assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`score`", ascending)
        assert view["selectedColumns"][0] == "metrics.`score`"
        assert view["compareRunSections"][0]["uuid"] == view["compareRunCharts"][0]["metricSectionId"]
    grouped = {"aggregateFunction": best, "groupByKeys": [{"mode": "param", "groupByData": "family"}]}
    assert views["x-families"]["groupBy"] == grouped
    assert "groupBy" not in views["x"]


def test_creating_and_writing_a_store_is_quiet(creation: tuple[str, str]) -> None:
    _, printed = creation
    assert printed == ""


def test_a_growing_series_only_gains_points() -> None:
    total = 1000
    whole = thin(range(total), total, complete=True)
    assert MAX_POINTS <= len(whole) <= MAX_POINTS + 1
    assert (whole[0], whole[-1]) == (0, total - 1)
    for length in (1, 7, 500, 999):
        part = thin(range(length), total, complete=False)
        assert part == whole[: len(part)]


def test_points_are_dated_by_the_trials_own_clock() -> None:
    points = {(point.name, point.step): point.timestamp for point in trial_points(make_trial(1), Objective())}
    begin = 1000 * (START.timestamp() + 10)
    assert points["train/lambda", 3] == begin + 6000
    assert points["step/lambda", 6] == begin + 3000  # the middle of the second epoch


def test_what_the_guard_did_is_counted_by_kind() -> None:
    guarded = {"λ would move too fast": 3, "a gradient is not finite": 2}
    history = make_history().model_copy(update={"interventions": guarded, "skipped_steps": 2})
    points = {point.name: point.value for point in outcome_points(make_trial(1, history=history), Objective())}
    told = {name: value for name, value in points.items() if name.startswith("train/guard_")}
    assert told == {
        "train/guard_interventions": 5,
        "train/guard_skipped_steps": 2,
        "train/guard_rate": 3,
        "train/guard_gradient": 2,
    }
    calm = {point.name: point.value for point in outcome_points(make_trial(1), Objective())}
    assert (calm["train/guard_interventions"], calm["train/guard_skipped_steps"]) == (0, 0)


def test_names_carry_number_rule_and_student() -> None:
    assert run_name(make_trial(7)) == "007 cosine > .3: .9, else .5"
    assert run_name(make_trial(8, short_rule="constant .9", student="small")) == "008 constant .9 (small)"
    assert run_name(make_trial(9, short_rule="")) == "009 cosine_threshold"
    assert len(run_name(make_trial(10, short_rule="x" * 200))) == len("010 ") + 60


def test_the_searchs_description_ranks_the_families() -> None:
    better = make_trial(
        2, family="fixed", parameters={"weight": 0.9}, history=make_history(score=0.95), short_rule="constant .9"
    )
    search = make_search("ranked", make_trial(1), better)
    note = search_tags(search, judge(search))["mlflow.note.content"]
    assert "Best: **002 constant .9**, 95.00 %" in note
    assert note.index("| fixed | 95.00 %") < note.index("| cosine_threshold | 90.00 %")


def test_why_nothing_could_be_written_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report gives the error of the lock that could never be made, not the time limit, and comes before it."""
    monkeypatch.setattr("search.tracking.live._SECONDS_OF_ATTEMPTS", 0.5)
    head = make_search("nowhere", status="running")
    with LiveProjection(head, "sqlite:////proc/mlflow.db", EXPERIMENT, interval=0.05) as live:
        live.update(make_trial(1, "running"))
        wait_until(lambda: live._error is not None)
        began = time.monotonic()
        report = live.finish(make_search("nowhere", make_trial(1)))
    assert time.monotonic() - began < 60.0  # without the two minutes allowed for writing
    assert not report.complete
    assert "No such file or directory: '/proc/" in str(report)


def test_a_live_search_shows_in_mlflow_before_it_ends(uri: str) -> None:
    head = make_search("live", status="running")
    with LiveProjection(head, uri, EXPERIMENT, interval=0.05) as live:
        live.update(make_trial(1, "running"))
        wait_until(lambda: is_running(uri, "live"))
        report = live.finish(make_search("live", make_trial(1), make_trial(2)))
    assert report.complete
    assert report.error is None
    assert {run.info.status for run in trials_of(uri, "live").values()} == {"FINISHED"}


def test_a_search_that_fails_leaves_no_run_running(uri: str) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        LiveProjection(make_search("broken", status="running"), uri, EXPERIMENT) as live,
    ):
        live.update(make_trial(1, "running"))
        wait_until(lambda: is_running(uri, "broken"))
        raise KeyboardInterrupt
    parent, trials = parent_and_trials(uri, "broken")
    assert (parent.info.status, trials["trial1"].info.status) == ("KILLED", "KILLED")


def test_a_store_that_hangs_costs_the_search_nothing() -> None:
    history = make_history(400)  # more than fits into a pipe at once
    records = [make_trial(number, "running", history=history) for number in range(100)]
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            MLflowProcess() as process,
            LiveProjection(make_search("hung", status="running"), uri, EXPERIMENT, process=process) as live,
        ):
            live.update(records[0])
            asked, _ = silent.accept()  # the server never answers
            began = time.monotonic()
            for record in records * 10:
                live.update(record)
            spent = time.monotonic() - began
            report = live.finish(make_search("hung", *records), timeout=0.2)
            ended = time.monotonic() - began
            asked.close()
    assert spent < 10.0  # a thousand updates
    assert ended < spent + 30.0
    assert not report.complete
    assert str(report) == "MLflow is not up to date: not everything was written in time"
    assert not psutil.pid_exists(process.pid)


def test_what_was_written_is_counted_in_words() -> None:
    report = TrackingReport(runs=1, points=1200, seconds=65.0, complete=True)
    assert str(report) == "MLflow is up to date: 1 run and 1,200 points written in 1 min 5 s"


def test_nothing_is_lost_or_doubled_when_the_server_fails(uri: str, tmp_path: pathlib.Path) -> None:
    port = free_port()
    server = f"http://127.0.0.1:{port}"
    final = make_search("outage", *(make_trial(number) for number in range(1, 5)))
    links: list[str] = []
    head = make_search("outage", status="running")
    with LiveProjection(head, server, "served", opened=links.append, interval=0.05) as live:
        live.update(make_trial(1, "running"))  # no server listens yet
        with served(uri, port, tmp_path):
            live.update(make_trial(2, "running"))
            report = live.finish(final)
    assert report.complete
    assert links == [report.address] == [search_pages(uri, "served", server, "outage").trials]  # said once
    _, trials = parent_and_trials(uri, "outage", "served")
    assert {run.info.status for run in trials.values()} == {"FINISHED"}
    assert len(trials) == 4
    for run in trials.values():
        assert steps_of(uri, run, "validation/accuracy") == [1, 2, 3, 4, 5, 6]
