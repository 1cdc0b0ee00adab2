"""Writes a search into MLflow, as often as one likes: what is there already is left alone."""

from __future__ import annotations

import dataclasses
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from search.errors import KDPolicySearchError
from search.records import SearchRecord, TrialRecord
from search.tracking import wording
from search.tracking.artifacts import search_files, trial_files
from search.tracking.series import Point, milliseconds, outcome_points, trial_points
from search.tracking.store import open_client, open_experiment, quiet
from search.tracking.view import view_tag
from trainables.records import DecisionEntry

ReadDecisions: TypeAlias = Callable[[TrialRecord], Sequence[DecisionEntry]]
"""Fetches a trial's decision log, which is too long to be carried about with its record."""

_METRICS_A_CALL = 900  # MLflow takes 1000 metrics, parameters and tags together; larger calls cost less a point
_RUNS_A_PAGE = 500
_ENDED = ("FINISHED", "FAILED", "KILLED")
_LOGGED = "kd.logged"
_CREATOR = {"mlflow.user": "kd-search", "mlflow.source.name": "kd-search", "mlflow.source.type": "LOCAL"}


@dataclasses.dataclass
class _Run:
    """What a run in MLflow is known to hold."""

    run_id: str
    status: str
    tags: dict[str, str]
    parameters: set[str]
    metrics: set[str]

    @property
    def logged(self) -> dict[str, int]:
        """How far the run's points go (last epoch, step, trial), and its files' checksum."""
        counts: dict[str, int] = json.loads(self.tags.get(_LOGGED, "{}"))
        return counts

    def logged_with(self, **counts: int) -> dict[str, str]:
        """The tag that says so after more was written."""
        return {_LOGGED: json.dumps(self.logged | counts, sort_keys=True)}


class Projection:
    """One search in one MLflow experiment: a run for the search, and below it one for each trial.

    Runs are found by their tags, so any number of processes may project the same search, one after the other. Not for
    several threads.

    Args:
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        read_decisions: for the file `decisions.csv` of each trial that has ended; without it there is none.

    Attributes:
        runs: the ids of runs that were created or changed.
        points: metric points sent.
        file_problem: why files could not be stored, which is not fatal; None if they could.
    """

    def __init__(self, uri: str, experiment: str, read_decisions: ReadDecisions | None = None) -> None:
        self._uri = uri
        self._experiment = experiment
        self._read_decisions = read_decisions
        self._client: Any = None
        self._experiment_id = ""
        self._search_run: _Run | None = None
        self._trial_runs: dict[str, _Run] = {}
        self.runs: set[str] = set()
        self.points = 0
        self.file_problem: str | None = None

    def write(self, search: SearchRecord, files: Mapping[str, str] | None = None) -> None:
        """Project everything, and end the runs of trials that no longer run.

        Args:
            search: what is known.
            files: path -> text, kept with the search's own run once it has ended: its report.

        Raises:
            Exception: whatever MLflow raises if the store fails. Call `forget`, and write again later.
        """
        with quiet():
            self._open(search)
            parent = self._write_search(search)
            fronts = wording.front_tags(search)
            for trial in search.trials:
                self._write_trial(search, trial, parent, fronts.get(trial.number, {}))
            known = {trial.trial_id for trial in search.trials}
            for trial_id, run in self._trial_runs.items():
                if trial_id not in known and run.status not in _ENDED:
                    self._end(run, "KILLED", None)
            self._end_search(search, parent, files or {})

    def write_trials(self, search: SearchRecord, changed: set[str]) -> None:
        """Project the search's own run and the trials in `changed` (their ids); after a first `write`.

        Raises:
            Exception: as `write`.
        """
        with quiet():
            self._open(search)
            parent = self._write_search(search)
            for trial in search.trials:
                if trial.trial_id in changed:
                    self._write_trial(search, trial, parent, {})

    def forget(self) -> None:
        """Drop what is known of the store, because a call failed and may or may not have been carried out."""
        self._client = None
        self._search_run = None
        self._trial_runs = {}

    def _open(self, search: SearchRecord) -> None:
        if self._client is not None:
            return
        client = open_client(self._uri)
        view = dict([view_tag(search.name)])
        self._experiment_id = open_experiment(client, self._uri, self._experiment, view)
        identity = wording.identity_tags(search)
        token = None
        while True:
            page = client.search_runs(
                [self._experiment_id],
                f"tags.`{wording.SEARCH}` = '{search.name}'",
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for found in page:
                if all(found.data.tags.get(name) == value for name, value in identity.items()):
                    self._remember(client, found)
            token = page.token
            if not token:
                break
        self._client = client

    def _remember(self, client: Any, found: Any) -> None:
        run = _Run(
            run_id=found.info.run_id,
            status=found.info.status,
            tags=dict(found.data.tags),
            parameters=set(found.data.params),
            metrics=set(found.data.metrics),
        )
        trial_id = run.tags.get(wording.TRIAL_ID)
        if trial_id is None and self._search_run is None:
            self._search_run = run
        elif trial_id is not None and trial_id not in self._trial_runs:
            self._trial_runs[trial_id] = run
        else:
            # A call that timed out was carried out after all, or two processes projected at once.
            client.delete_run(run.run_id)

    def _write_search(self, search: SearchRecord) -> _Run:
        tags = wording.search_tags(search)
        run = self._search_run
        if run is None:
            start = milliseconds(search.created) or _first_start(search) or _now()
            run = self._search_run = self._create(search.name, start, tags)
        finished = sorted(search.finished, key=lambda trial: (milliseconds(trial.ended), trial.number))
        points = []
        best = -math.inf
        for count, trial in enumerate(finished, start=1):
            best = best if trial.score is None else max(best, trial.score)
            if count > run.logged.get("trials", 0):
                value, moment = search.objective.value(best), milliseconds(trial.ended)
                points.append(Point(name="best_score", value=value, step=count, timestamp=moment))
        if search.teacher_accuracy is not None and "teacher_accuracy" not in run.metrics:
            moment = milliseconds(search.created)
            points.append(Point(name="teacher_accuracy", value=search.teacher_accuracy, step=0, timestamp=moment))
        tags |= run.logged_with(trials=max(len(finished), run.logged.get("trials", 0)))
        self._log(run, points, wording.search_parameters(search), tags)
        return run

    def _end_search(self, search: SearchRecord, run: _Run, files: Mapping[str, str]) -> None:
        status = {"running": "RUNNING", "finished": "FINISHED", "stopped": "KILLED"}[search.status]
        if status == "RUNNING":
            self._restart(run)
            return
        ends = [milliseconds(trial.ended) for trial in search.trials if trial.ended is not None]
        self._end(run, status, max(ends, default=None))
        self._store_files(run, {**search_files(search), **files})

    def _write_trial(self, search: SearchRecord, trial: TrialRecord, parent: _Run, fronts: dict[str, str]) -> None:
        run = self._trial_runs.get(trial.trial_id)
        status = _run_status(search, trial)
        if run is None and trial.status == "pending" and not trial.history.epochs:
            return
        tags = wording.trial_tags(search, trial, parent.run_id) | fronts
        if run is None:
            start = milliseconds(trial.started) or _now()
            run = self._trial_runs[trial.trial_id] = self._create(wording.run_name(trial), start, tags)
        epochs = int(wording.setting(search, "training.epochs") or 0)
        evaluations = int(wording.setting(search, "evaluations") or epochs)
        points = trial_points(
            trial,
            expected_epochs=min(evaluations, epochs),
            expected_steps=int(wording.setting(search, "trace_points") or 0),
            after_epoch=run.logged.get("epoch", -1),
            after_step=run.logged.get("step", -1),
        )
        last = {point.name.partition("/")[0]: point.step for point in points}  # points come in order of steps
        tags |= run.logged_with(**last)
        points += [point for point in outcome_points(trial, search.objective) if point.name not in run.metrics]
        self._log(run, points, wording.trial_parameters(search, trial), tags)
        if status in _ENDED:
            self._end(run, status, milliseconds(trial.ended) or None)
            self._store_files(run, trial_files(trial, self._decisions(trial)))
        else:
            self._restart(run, status)

    def _create(self, name: str, start: int, tags: dict[str, str]) -> _Run:
        created = self._client.create_run(self._experiment_id, start_time=start, run_name=name, tags=_CREATOR | tags)
        self.runs.add(created.info.run_id)
        return _Run(
            run_id=created.info.run_id, status="RUNNING", tags=dict(created.data.tags), parameters=set(), metrics=set()
        )

    def _log(self, run: _Run, points: list[Point], parameters: dict[str, str], tags: dict[str, str]) -> None:
        """Send what the run lacks. Tags go last: they say what the run holds by then."""
        from mlflow.entities import Metric, Param, RunTag

        new_parameters = [Param(name, value) for name, value in parameters.items() if name not in run.parameters]
        new_tags = [RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value]
        if not (points or new_parameters or new_tags):
            return
        metrics = [Metric(point.name, point.value, point.timestamp, point.step) for point in points]
        while len(metrics) > _METRICS_A_CALL:
            self._client.log_batch(run.run_id, metrics=metrics[:_METRICS_A_CALL])
            del metrics[:_METRICS_A_CALL]
        self._client.log_batch(run.run_id, metrics=metrics, params=new_parameters, tags=new_tags)
        self.runs.add(run.run_id)
        self.points += len(points)
        run.parameters.update(parameters)
        run.metrics.update(point.name for point in points)
        run.tags.update(tags)

    def _restart(self, run: _Run, status: str = "RUNNING") -> None:
        if run.status != status:
            self._client.update_run(run.run_id, status=status)
            run.status = status
            self.runs.add(run.run_id)

    def _end(self, run: _Run, status: str, moment: int | None) -> None:
        if run.status != status:
            self._client.set_terminated(run.run_id, status, moment)
            run.status = status
            self.runs.add(run.run_id)

    def _decisions(self, trial: TrialRecord) -> Sequence[DecisionEntry]:
        if self._read_decisions is None or not trial.history.decisions:
            return ()
        try:
            return self._read_decisions(trial)
        except (OSError, KDPolicySearchError) as error:
            self.file_problem = f"the decision log of trial {trial.number} could not be read: {error}"
            return ()

    def _store_files(self, run: _Run, files: dict[str, str]) -> None:
        """Upload text files, unless the run has just these. A store of files may fail where the runs' own does not."""
        checksum = zlib.crc32(json.dumps(files, sort_keys=True).encode())
        if not files or run.logged.get("files") == checksum:
            return
        try:
            for name, text in files.items():
                self._client.log_text(run.run_id, text, name)
        except Exception as error:  # of whatever library speaks to the store: S3, a server's proxy, a folder …
            self.file_problem = f"files of run {run.run_id} could not be stored: {' '.join(str(error).split())[:300]}"
            return
        self._log(run, [], {}, run.logged_with(files=checksum))


def _run_status(search: SearchRecord, trial: TrialRecord) -> str:
    if trial.status in ("finished", "failed"):
        return trial.status.upper()
    if search.status != "running":
        return "KILLED"
    return "RUNNING" if trial.status == "running" else "SCHEDULED"


def _first_start(search: SearchRecord) -> int:
    return min((milliseconds(trial.started) for trial in search.trials if trial.started is not None), default=0)


def _now() -> int:
    return round(time.time() * 1000)
