"""Writes a search into MLflow, any number of times: what is there already and still true is not written again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from search.errors import KDPolicySearchError
from search.evidence import Judgement, judge
from search.records import ENDED as ENDED_TRIALS
from search.records import SearchRecord, TrialRecord
from search.tracking import wording
from search.tracking.artifacts import search_files, trial_files
from search.tracking.confirmed import FinalistRuns, TrackedConfirmation
from search.tracking.confirmed_wording import FINALIST, confirmation_files, confirmation_note, confirmation_tags
from search.tracking.registry import Registry
from search.tracking.runs import ENDED, Run, RunWriter, Tally
from search.tracking.series import Point, constant_points, milliseconds, outcome_points, trial_points
from search.tracking.store import open_client, open_experiment, quiet
from search.tracking.view import view_tags
from trainables.records import DecisionEntry

ReadDecisions: TypeAlias = Callable[[TrialRecord], Sequence[DecisionEntry]]
"""Fetches a trial's decision log, which is too long to be part of its record."""

_RUNS_A_PAGE = 500


class Projection:
    """One search in one MLflow experiment: a run for the search, and below it one for each trial.

    A finished confirmation adds a run for each finalist, and its champion a version in the model registry.

    Runs are found by their tags, so any number of processes may project the same search, one after the other. One
    projection may be used by one thread only.

    Args:
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        read_decisions: for the file `decisions.csv` of each trial that has ended; without it there is none.
        confirmation: of the search; None if none has begun.

    Attributes:
        tally: what was written.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        read_decisions: ReadDecisions | None = None,
        confirmation: TrackedConfirmation | None = None,
    ) -> None:
        self._uri = uri
        self._experiment = experiment
        self._read_decisions = read_decisions
        self._confirmation = confirmation
        self._writer: RunWriter | None = None
        self._search_run: Run | None = None
        self._trial_runs: dict[str, Run] = {}
        self._finalist_runs: dict[str, Run] = {}
        self.tally = Tally()

    def write(self, search: SearchRecord, files: Mapping[str, bytes] | None = None) -> None:
        """Project everything, and end the runs of trials that no longer run.

        Args:
            search: what is known.
            files: path -> content, kept with the search's own run once it has ended: its report.

        Raises:
            Exception: whatever MLflow raises if the store fails. Call `forget`, and write again later.
        """
        with quiet():
            writer = self._open(search)
            judgement = self._judge(search)
            parent = self._write_search(writer, search, judgement)
            self._write_trials(writer, search, search.trials, parent)
            known = {trial.trial_id for trial in search.trials}
            for trial_id, run in self._trial_runs.items():
                if trial_id not in known and run.status not in ENDED:
                    writer.end(run, "KILLED", None)
            if self._confirmation is not None:
                FinalistRuns(writer, self._finalist_runs).write(search, self._confirmation.record, judgement, parent)
            self._end_search(writer, search, judgement, parent, files or {})
            self._register(writer, search)

    def write_trials(self, search: SearchRecord, changed: set[str]) -> None:
        """Project the search's own run and the trials in `changed` (their ids); after a first `write`.

        Raises:
            Exception: as `write`.
        """
        with quiet():
            writer = self._open(search)
            parent = self._write_search(writer, search, self._judge(search))
            self._write_trials(writer, search, [t for t in search.trials if t.trial_id in changed], parent)

    def forget(self) -> None:
        """Drop what is known of the store, because a call failed and may or may not have been carried out."""
        self._writer = None
        self._search_run = None
        self._trial_runs = {}
        self._finalist_runs = {}

    def _open(self, search: SearchRecord) -> RunWriter:
        if self._writer is not None:
            return self._writer
        client = open_client(self._uri)
        view = dict(view_tags(search.name, confirmed=self._confirmation is not None))
        writer = RunWriter(client, open_experiment(client, self._uri, self._experiment, view), self.tally)
        identity = wording.identity_tags(search)
        token = None
        while True:
            page = client.search_runs(
                [writer.experiment_id],
                f"tags.`{wording.SEARCH}` = '{search.name}'",
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for found in page:
                if all(found.data.tags.get(name) == value for name, value in identity.items()):
                    self._remember(writer, Run.found(found))
            token = page.token
            if not token:
                break
        self._writer = writer
        return writer

    def _remember(self, writer: RunWriter, run: Run) -> None:
        trial_id, finalist = run.tags.get(wording.TRIAL_ID), run.tags.get(FINALIST)
        if trial_id is not None and trial_id not in self._trial_runs:
            self._trial_runs[trial_id] = run
        elif finalist is not None and finalist not in self._finalist_runs:
            self._finalist_runs[finalist] = run
        elif trial_id is None and finalist is None and self._search_run is None:
            self._search_run = run
        else:
            # A call that timed out was carried out after all, or two processes projected at the same time.
            writer.delete(run)

    def _judge(self, search: SearchRecord) -> Judgement:
        return judge(search, None if self._confirmation is None else self._confirmation.record)

    def _write_search(self, writer: RunWriter, search: SearchRecord, judgement: Judgement) -> Run:
        tags = self._search_tags(search, judgement)
        run = self._search_run
        if run is None:
            start = milliseconds(search.created) or _first_start(search)
            run = self._search_run = writer.create(search.name, start, tags)
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
        writer.log(run, points, wording.search_parameters(search), tags)
        return run

    def _search_tags(self, search: SearchRecord, judgement: Judgement) -> dict[str, str]:
        if self._confirmation is None:
            return wording.search_tags(search, judgement)
        record = self._confirmation.record
        note = confirmation_note(record, judgement)
        return wording.search_tags(search, judgement, note) | confirmation_tags(record, judgement)

    def _end_search(
        self, writer: RunWriter, search: SearchRecord, judgement: Judgement, run: Run, files: Mapping[str, bytes]
    ) -> None:
        status = {"running": "RUNNING", "finished": "FINISHED", "stopped": "KILLED"}[search.status]
        if status == "RUNNING":
            writer.restart(run)
            return
        ends = [milliseconds(trial.ended) for trial in search.trials if trial.ended is not None]
        writer.end(run, status, max(ends, default=None))
        constant = [point for point in constant_points(judgement.curve, max(ends, default=0)) if not run.shows(point)]
        writer.log(run, constant, {}, {})
        told = self._confirmation
        confirmed = {} if told is None else confirmation_files(told.record, judgement)
        writer.store_files(run, {**search_files(search), **confirmed, **files})

    def _write_trials(
        self, writer: RunWriter, search: SearchRecord, trials: Iterable[TrialRecord], parent: Run
    ) -> None:
        fronts = wording.front_tags(search)
        racing = {(trial.student, trial.family) for trial in search.trials if trial.status not in ENDED_TRIALS}
        for trial in trials:
            over = search.status != "running" and (trial.student, trial.family) not in racing
            self._write_trial(writer, search, trial, parent, fronts.get(trial.number, {}), race_is_over=over)

    def _write_trial(
        self,
        writer: RunWriter,
        search: SearchRecord,
        trial: TrialRecord,
        parent: Run,
        fronts: dict[str, str],
        *,
        race_is_over: bool,
    ) -> None:
        run = self._trial_runs.get(trial.trial_id)
        status = _run_status(search, trial)
        if run is None and trial.status == "pending" and not trial.history.epochs:
            return
        tags = wording.trial_tags(search, trial, parent.run_id) | fronts
        if run is None:
            start = milliseconds(trial.started)
            run = self._trial_runs[trial.trial_id] = writer.create(wording.run_name(trial), start, tags)
        config = search.config
        points = trial_points(
            trial,
            expected_epochs=min(config.evaluations, config.training.epochs),
            expected_steps=config.trace_points,
            after_epoch=run.logged.get("epoch", -1),
            after_step=run.logged.get("step", -1),
        )
        last = {point.name.partition("/")[0]: point.step for point in points}  # points come in order of steps
        tags |= run.logged_with(**last)
        outcome = outcome_points(trial, search.objective, race_is_over=race_is_over)
        points += [point for point in outcome if not run.shows(point)]
        writer.untag(run, set(wording.PASSING) - tags.keys())
        writer.log(run, points, wording.run_parameters(search, trial), tags)
        if status in ENDED:
            writer.end(run, status, milliseconds(trial.ended) or None)
            writer.store_files(run, trial_files(trial, self._decisions(trial)))
        else:
            writer.restart(run, status)

    def _register(self, writer: RunWriter, search: SearchRecord) -> None:
        confirmation = self._confirmation
        if confirmation is None or confirmation.champion is None:
            return
        run = self._finalist_runs.get(confirmation.champion.finalist.key)
        if run is None:
            return
        try:
            Registry(writer).register(search, confirmation, run)
        except KDPolicySearchError as error:
            self.tally.problem = str(error)

    def _decisions(self, trial: TrialRecord) -> Sequence[DecisionEntry]:
        if self._read_decisions is None or not trial.history.decisions:
            return ()
        try:
            return self._read_decisions(trial)
        except (OSError, KDPolicySearchError) as error:
            self.tally.problem = f"the decision log of trial {trial.number} could not be read: {error}"
            return ()


def _run_status(search: SearchRecord, trial: TrialRecord) -> str:
    if trial.status in ("finished", "eliminated"):
        return "FINISHED"
    if trial.status == "failed":
        return "FAILED"
    if search.status != "running":
        return "KILLED"
    return "RUNNING" if trial.status == "running" else "SCHEDULED"


def _first_start(search: SearchRecord) -> int:
    return min((milliseconds(trial.started) for trial in search.trials if trial.started is not None), default=0)
