"""Writes a search into MLflow, any number of times: what is there already and still true is not written again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from search.errors import KDPolicySearchError
from search.evidence import Judgement, judge
from search.records import ENDED as ENDED_TRIALS
from search.records import SearchRecord, TransferRecord, TrialRecord, TrialStatus
from search.settings import server_address
from search.tracking import wording
from search.tracking.artifacts import search_files, trial_files
from search.tracking.confirmed import TrackedConfirmation, write_finalists
from search.tracking.confirmed_wording import FINALIST, confirmation_files, confirmation_note, confirmation_tags
from search.tracking.inputs import inputs_of
from search.tracking.registry import Registry
from search.tracking.runs import ENDED, Run, RunWriter, Tally
from search.tracking.series import (
    constant_points,
    last_moment,
    milliseconds,
    outcome_points,
    points_of,
    trial_points,
)
from search.tracking.store import open_client, open_experiment, quiet
from search.tracking.transferred import write_transfers
from search.tracking.view import page_address, view_tags
from trainables.records import DecisionEntry
from trainables.suggestion import OPTIONS

ReadDecisions: TypeAlias = Callable[[TrialRecord], Sequence[DecisionEntry]]
"""Fetches a trial's decision log, which is too long to be part of its record."""

_RUNS_A_PAGE = 500
_STATUS: dict[TrialStatus, str] = {
    "pending": "SCHEDULED",
    "running": "RUNNING",
    "finished": "FINISHED",
    "eliminated": "FINISHED",
    "failed": "FAILED",
}


class Projection:
    """One search in one MLflow experiment: a run for the search, and below it one for each trial.

    A finished confirmation adds a run for each finalist, and its champion a version in the model registry.

    Runs are found by their tags, so any number of processes may project the same search, one after the other. One
    projection may be used by one thread only. It can be pickled before it has written.

    Args:
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        read_decisions: for the file `decisions.csv` of each trial that has ended; without it there is none.
        confirmation: of the search; None if none has begun.
        transfers: of the search to scaled search files; None leaves what MLflow has of them as it is.

    Attributes:
        uri: of the MLflow store.
        tally: what was written.
    """

    _writer: RunWriter
    _search_run: Run | None
    _trial_runs: dict[str, Run]
    _finalist_runs: dict[str, Run]

    def __init__(
        self,
        uri: str,
        experiment: str,
        read_decisions: ReadDecisions | None = None,
        confirmation: TrackedConfirmation | None = None,
        transfers: Sequence[TransferRecord] | None = None,
    ) -> None:
        self.uri = uri
        self.tally = Tally()
        self._experiment = experiment
        self._read_decisions = read_decisions
        self._confirmation = confirmation
        self._transfers = transfers
        self._is_open = False

    def write(
        self, search: SearchRecord, files: Mapping[str, bytes] | None = None, changed: Collection[str] | None = None
    ) -> None:
        """Project everything, and end the runs of trials that no longer run.

        Args:
            search: what is known.
            files: path -> content, kept with the search's own run once it has ended: its report.
            changed: ids of trials; if given, only these and the search's own run are written, without its files.

        Raises:
            Exception: whatever MLflow raises if the store fails; write everything again later.
        """
        began = time.monotonic()
        self.tally.problem = None
        try:
            with quiet():
                self._write(search, files or {}, changed)
        except Exception:
            self._is_open = False  # a call that failed may or may not have been carried out
            raise
        finally:
            self.tally.seconds += time.monotonic() - began

    def _write(self, search: SearchRecord, files: Mapping[str, bytes], changed: Collection[str] | None) -> None:
        if not self._is_open:
            self._open(search)
            self._is_open = True
        told = self._confirmation
        judgement = judge(search, told.record if told else None)
        parent = self._write_search(search, judgement)
        fronts = wording.front_tags(search)
        racing = {(trial.student, trial.family) for trial in search.trials if trial.status not in ENDED_TRIALS}
        for trial in search.trials:
            if changed is None or trial.trial_id in changed:
                over = search.status != "running" and (trial.student, trial.family) not in racing
                self._write_trial(search, trial, parent, fronts.get(trial.number, {}), race_is_over=over)
        if changed is not None:
            return
        for trial_id in self._trial_runs.keys() - {trial.trial_id for trial in search.trials}:
            if (lost := self._trial_runs[trial_id]).status not in ENDED:
                self._writer.set_status(lost, "KILLED")
        if told is not None:
            write_finalists(self._writer, self._finalist_runs, search, told.record, judgement, parent)
        if self._transfers is not None:
            write_transfers(self._writer, self._finalist_runs, search, self._transfers, parent)
        self._end_search(search, judgement, parent, files)
        if told is not None:
            self._register(search, told, judgement)

    def _open(self, search: SearchRecord) -> None:
        """Open the store, and find the search's runs that are there."""
        client = open_client(self.uri)
        options = [f"{OPTIONS}{name}" for name in search.config.space.options]
        view = view_tags(
            search.name,
            settings=options,
            ascending=search.config.direction == "minimize",
            confirmed=self._confirmation is not None,
        )
        experiment = open_experiment(client, self.uri, self._experiment, view)
        if (base := server_address(self.uri)) is not None:
            self.tally.address = page_address(base, experiment, search.name)
        self._writer = RunWriter(client, experiment, self.tally)
        self._search_run, self._trial_runs, self._finalist_runs = None, {}, {}
        token = None
        while True:
            page = client.search_runs(
                [experiment],
                " and ".join(f"tags.`{name}` = '{value}'" for name, value in wording.identity_tags(search).items()),
                max_results=_RUNS_A_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for found in page:
                self._remember(Run.found(found))
            token = page.token
            if not token:
                return

    def _remember(self, run: Run) -> None:
        trial_id, finalist = run.tags.get(wording.TRIAL_ID), run.tags.get(FINALIST)
        if trial_id is not None and trial_id not in self._trial_runs:
            self._trial_runs[trial_id] = run
        elif finalist is not None and finalist not in self._finalist_runs:
            self._finalist_runs[finalist] = run
        elif trial_id is None and finalist is None and self._search_run is None:
            self._search_run = run
        else:
            # A call that timed out was carried out after all, or two processes projected at the same time.
            self._writer.delete(run)

    def _write_search(self, search: SearchRecord, judgement: Judgement) -> Run:
        tags = wording.search_tags(search, judgement)
        if self._confirmation is not None:
            record = self._confirmation.record
            note = confirmation_note(record, judgement)
            tags = wording.search_tags(search, judgement, note) | confirmation_tags(record, judgement)
        run = self._search_run
        if run is None:
            starts = (milliseconds(trial.started) for trial in search.trials if trial.started is not None)
            start = milliseconds(search.created) or min(starts, default=0)
            run = self._search_run = self._writer.create(search.name, start, tags)
        finished = sorted(search.finished, key=lambda trial: (milliseconds(trial.ended), trial.number))
        best = itertools.accumulate((trial.score for trial in finished if trial.score is not None), max)
        had, points = run.logged.get("trials", 0), []
        for count, (trial, score) in enumerate(zip(finished, best, strict=True), start=1):
            if count > had:
                points += points_of({"best_score": search.objective.value(score)}, count, milliseconds(trial.ended))
        if "teacher_accuracy" not in run.metrics:
            points += points_of({"teacher_accuracy": search.teacher_accuracy}, 0, milliseconds(search.created))
        # A parameter keeps its first value, so a search that has grown has its size as a tag.
        tags |= {"kd.size": search.config.size.in_words(), **run.logged_with(trials=max(len(finished), had))}
        self._writer.log(run, points, wording.search_parameters(search), tags)
        self._writer.log_inputs(run, inputs_of(search, tested=judgement.is_confirmed))
        return run

    def _end_search(self, search: SearchRecord, judgement: Judgement, run: Run, files: Mapping[str, bytes]) -> None:
        if search.status == "running":
            self._writer.set_status(run, "RUNNING")
            return
        end = max((last_moment(trial) for trial in search.trials), default=0)
        status = "FINISHED" if search.status == "finished" else "KILLED"
        self._writer.set_status(run, status, end or None)
        constant = [point for point in constant_points(judgement.curve, end) if not run.shows(point)]
        self._writer.log(run, constant, {}, {})
        told = self._confirmation
        confirmed = confirmation_files(told.record, judgement) if told else {}
        self._writer.store_files(run, {**search_files(search), **confirmed, **files})

    def _write_trial(
        self, search: SearchRecord, trial: TrialRecord, parent: Run, fronts: dict[str, str], *, race_is_over: bool
    ) -> None:
        run = self._trial_runs.get(trial.trial_id)
        if run is None and trial.status == "pending" and not trial.history.epochs:
            return
        tags = wording.trial_tags(search, trial, parent.run_id) | fronts
        if run is None:
            start = milliseconds(trial.started) or milliseconds(trial.ended)
            run = self._trial_runs[trial.trial_id] = self._writer.create(wording.run_name(trial), start, tags)
        config = search.config
        curves = trial_points(
            trial,
            search.objective,
            expected_epochs=min(config.evaluations, config.training.epochs),
            expected_steps=config.trace_points,
            after_epoch=run.logged.get("epochs", -1),
            after_step=run.logged.get("steps", -1),
        )
        # Points come in order of steps.
        tags |= run.logged_with(**{"steps" if p.name.startswith("step/") else "epochs": p.step for p in curves})
        outcome = outcome_points(trial, search.objective, race_is_over=race_is_over)
        points = [point for point in outcome if not run.shows(point)] + curves
        self._writer.untag(run, set(wording.PASSING) - tags.keys())
        self._writer.log(run, points, wording.run_parameters(search, trial), tags)
        self._writer.log_inputs(run, inputs_of(search, tested=False))
        status = _STATUS[trial.status]
        if status not in ENDED and search.status != "running":
            status = "KILLED"
        self._writer.set_status(run, status, last_moment(trial) or None)
        if status in ENDED:
            self._writer.store_files(run, trial_files(trial, self._decisions(trial)))

    def _register(self, search: SearchRecord, confirmation: TrackedConfirmation, judgement: Judgement) -> None:
        if judgement.lacks_champion:
            Registry(self._writer).withdraw(search)
        run = self._finalist_runs.get(confirmation.champion.finalist.key) if confirmation.champion else None
        if run is None:
            return
        try:
            Registry(self._writer).register(search, confirmation, run)
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
