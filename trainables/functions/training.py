"""Trains one trial by calling a user's function, once per seed, one seed after another."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from policies.registry import create_policy
from trainables.config import TrialSettings
from trainables.errors import ConfigError
from trainables.functions.assets import FunctionPlace
from trainables.functions.begin import Call, begin_call
from trainables.functions.call import new_notes
from trainables.functions.notes import Kept, Notes, Report
from trainables.functions.session import Session
from trainables.functions.snapshots import newest_snapshot
from trainables.records import ACCURACY, EpochRecord, ReplicateResult, TracePoint, join_conducts
from trainables.training import MOST_ENTRIES, DecisionLog, Training, TrainingFacts, mean_of, trace_point

_LOSS = "loss"
_OURS = (ACCURACY, _LOSS)
_SNAPSHOT = "snapshot"


class FunctionTraining(Training):
    """One trial of a user's function: the same policy under each of the settings' seeds.

    Args:
        settings: the trial.
        place: the function and its device.
        watch: called with each seed and its own points of the trace, when the seed has ended.
        confirming: True if the function may open the test set.
        most_steps: each seed is stopped after so many steps, as a rehearsal wants it; None for no limit, as below.
        most_seconds: each seed is stopped so long after its first step.
        snapshot: a snapshot that the first seed continues from.
    """

    def __init__(
        self,
        settings: TrialSettings,
        place: FunctionPlace,
        watch: Callable[[int, TracePoint], None] | None = None,
        *,
        confirming: bool = False,
        most_steps: int | None = None,
        most_seconds: float | None = None,
        snapshot: pathlib.Path | None = None,
    ) -> None:
        self.settings = settings
        self.place = place
        self.epochs = settings.training.epochs
        self.records_so_far: list[EpochRecord] = []
        self.trace: list[TracePoint] = []
        self.results: list[ReplicateResult] = []
        self.ended: list[Notes] = []
        """The notes on the seeds that are trained to their end."""
        self.current: Notes | None = None
        """The notes on the seed that is being trained."""
        self._watch = watch
        self._confirming = confirming
        self._most_steps, self._most_seconds = most_steps, most_seconds
        self._snapshot = snapshot
        """The snapshot that the next seed continues from; None for its beginning."""
        self._scratch = pathlib.Path(tempfile.mkdtemp(prefix="kd-function-"))
        self._call: Call | None = None
        self.stopped = True
        """False if the function went on when it was told to stop."""

    @property
    def notes(self) -> list[Notes]:
        """The notes on all seeds that have begun."""
        return self.ended if self.current is None else [*self.ended, self.current]

    @property
    def logs(self) -> list[DecisionLog]:  # type: ignore[override]
        """The decision logs of the seeds that have begun."""
        return [notes.log for notes in self.notes]

    @property
    def epoch(self) -> int:
        """The number of epochs that are over, as a mean over the seeds."""
        reports = [notes.reports[-1].epoch for notes in self.notes if notes.reports]
        return sum(reports) // len(self.settings.seeds)

    @property
    def done(self) -> bool:
        """True if every seed is trained to its end."""
        return len(self.ended) == len(self.settings.seeds)

    @property
    def facts(self) -> TrainingFacts:
        """The facts for the history."""
        interventions: Counter[str] = Counter()
        for notes in self.notes:
            interventions.update(notes.interventions)
        first = self.notes[0] if self.notes else None
        policy = self.settings.policy
        return TrainingFacts(
            policy=create_policy(policy.family, dict(policy.parameters)),
            parameters=0 if first is None else first.parameters,
            device=self.place.compute.describe(),
            interventions=dict(interventions),
            skipped_steps=sum(notes.skipped for notes in self.notes),
            conduct=join_conducts([None if n.conduct is None else n.conduct.conduct() for n in self.notes]),
            options=self._options,
            training={
                "learning_rate": self.settings.training.learning_rate,
                **({"epochs": self.epochs} if first is not None and first.epoch else {}),
                "function": self.place.assets.function.origin,
            },
            steps=0 if first is None else first.steps,
            total_steps=0 if first is None else first.total_steps,
        )

    @property
    def broken_seeds(self) -> tuple[int, ...]:
        """The seeds of students with a parameter that is not finite at the end."""
        return tuple(notes.seed for notes in self.ended if not notes.finite)

    def records(self) -> Iterator[EpochRecord | None]:
        """Continue the training, yielding at each report of the function."""
        while not self.done:
            folder = self._scratch / str(len(self.ended))
            folder.mkdir(exist_ok=True)
            session = self._session(self.settings.seeds[len(self.ended)], folder)
            self._call = begin_call(self.place.assets.function, session)
            self._snapshot = None
            while not self._call.advance():
                self.current = self._call.notes
                yield self._merge()
            notes, self._call, self.current = self._call.notes, None, None
            self._check(notes)
            self.ended.append(notes)
            self._merge()
            if self._watch is not None:
                for step, probed in sorted(notes.probed.items()):
                    self._watch(notes.seed, trace_point(step, step / notes.steps_per_epoch, [probed]))
            if self.done:
                self.results = [_result(notes, self.settings.objective.name) for notes in self.ended]
            shutil.rmtree(folder, ignore_errors=True)
            yield self.records_so_far[-1] if self.records_so_far else None

    def students(self) -> dict[int, dict[str, Tensor]]:
        """Return the `state_dict` of the students that the function kept, by seed."""
        return {notes.seed: notes.student.state for notes in self.ended if notes.student is not None}

    def save_state(self, folder: pathlib.Path) -> dict[str, Any]:
        """Return the state in tensors and plain values; copy the user's newest snapshot into a folder beside it."""
        newest = newest_snapshot(self._scratch / str(len(self.ended)))
        if newest is not None:
            shutil.copytree(newest, folder / _SNAPSHOT)
        return {
            "ended": [
                {"seed": notes.seed, "notes": notes.state_dict(), "student": notes.student and notes.student.state}
                for notes in self.ended
            ]
        }

    def load_state(self, folder: pathlib.Path, state: dict[str, Any]) -> None:
        """Continue from what `save_state` returned and wrote."""
        self.ended = []
        for stored in state["ended"]:
            notes = new_notes(self._session(stored["seed"], self._scratch))
            notes.load_state_dict(stored["notes"])
            notes.student = stored["student"] and Kept(state=stored["student"], module=None)
            self.ended.append(notes)
        if (folder / _SNAPSHOT).is_dir():
            self._snapshot = self._scratch / _SNAPSHOT
            shutil.copytree(folder / _SNAPSHOT, self._snapshot, dirs_exist_ok=True)
        self._merge()

    def stop(self) -> None:
        """End the function if it is running."""
        if self._call is not None:
            self._call.stop()
            self.stopped = self._call.ended
            if self.current is not None:
                self.current = self._call.notes
            self._call = None

    def close(self) -> None:
        """End the function if it is running, and delete its files."""
        self.stop()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _session(self, seed: int, scratch: pathlib.Path) -> Session:
        settings = self.settings
        return Session(
            seed=seed,
            policy=settings.policy,
            learning_rate=settings.training.learning_rate,
            temperature=settings.temperature,
            options=self._options,
            epochs=settings.training.epochs,
            objective=settings.objective.name,
            confirming=self._confirming,
            own_policies=settings.own_policies,
            device=self.place.device,
            threads=settings.device.threads or 1,
            folder=self.place.folder,
            scratch=scratch,
            points=settings.trace_points,
            kept=MOST_ENTRIES // len(settings.seeds),
            save_seconds=self.place.save_seconds,
            snapshot=self._snapshot,
            most_steps=self._most_steps,
            most_seconds=self._most_seconds,
        )

    @property
    def _options(self) -> dict[str, Any]:
        return {**self.place.assets.function.options, **self.settings.student.options, **self.settings.options}

    def _check(self, notes: Notes) -> None:
        """Check that a seed's training was one.

        Raises:
            ConfigError: the function made no step, reported nothing, or tested nothing in a confirmation.
        """
        origin, objective = self.place.assets.function.origin, self.settings.objective.name
        if not notes.steps:
            raise ConfigError(
                f"the function {origin} must train with the balancer of `run.balancer(student, total_steps=…)`, but"
                " ended without a step of it."
            )
        if not notes.returned:
            return  # a rehearsal stopped it
        if not notes.reports:
            raise ConfigError(
                f"the function {origin} must report the search's `objective`, {objective!r}, but ended without; call"
                f" `run.report({objective}=…)` after the validation."
            )
        if objective not in notes.reports[-1].metrics:
            raise ConfigError(
                f"the last report of {origin} must hold the search's `objective`, {objective!r}, since that is the"
                f" result, but it holds {', '.join(notes.reports[-1].metrics)}; report it again at the end."
            )
        if self._confirming and notes.tested is None:
            raise ConfigError(
                f"the function {origin} must judge its student on the test set in a confirmation, but did not; add"
                f" `if run.confirming: run.report_test({objective}=…)` at its end."
            )

    def _merge(self) -> EpochRecord | None:
        """Average the reports and the probed steps over the seeds that have them; return the newest record."""
        known = self.notes
        if known:
            self.epochs = known[0].epochs
        by_turn = [
            [notes.reports[turn] for notes in known if turn < len(notes.reports)] for turn in range(_most(known))
        ]
        self.records_so_far = [_record(reports, self.settings.objective.name) for reports in by_turn]
        steps = sorted({step for notes in known for step in notes.probed})
        whole = [step for step in steps if all(step in notes.probed for notes in self.ended)] if self.ended else steps
        per_epoch = known[0].steps_per_epoch if known else 1.0
        self.trace = [
            trace_point(step, step / per_epoch, [notes.probed[step] for notes in known if step in notes.probed])
            for step in whole
        ]
        return self.records_so_far[-1] if self.records_so_far else None


def _most(known: list[Notes]) -> int:
    return max((len(notes.reports) for notes in known), default=0)


def own_metrics(metrics: Mapping[str, float], objective: str) -> dict[str, float]:
    """Return the metrics that are the user's own; the loss is one of them only if it is the objective."""
    return {name: value for name, value in metrics.items() if name == objective != ACCURACY or name not in _OURS}


def _record(reports: list[Report], objective: str) -> EpochRecord:
    def mean(name: str) -> float | None:
        return mean_of(report.metrics.get(name) for report in reports)

    own = {name: mean(name) for name in own_metrics(reports[0].metrics, objective)}
    return EpochRecord(
        epoch=reports[0].epoch,
        train_task_loss=sum(report.task_loss for report in reports) / len(reports),
        train_distill_loss=sum(report.distill_loss for report in reports) / len(reports),
        validation_loss=mean(_LOSS),
        validation_accuracy=mean(ACCURACY),
        agreement=None,
        own_kpis={name: value for name, value in own.items() if value is not None},
        weight=sum(report.weight for report in reports) / len(reports),
        seconds=sum(report.seconds for report in reports),
    )


def _result(notes: Notes, objective: str) -> ReplicateResult:
    last = notes.last_metrics
    return ReplicateResult(
        seed=notes.seed,
        validation_accuracy=last.get(ACCURACY),
        validation_loss=last.get(_LOSS),
        agreement=None,
        own_kpis=own_metrics(last, objective),
        conduct=None if notes.conduct is None else notes.conduct.conduct(),
    )
