"""Holds one search as plain data: the contents of Tune's storage, in the form that MLflow and the report read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.metrics import metric_of_objective
from search.records.pictures import PictureCounts
from search.settings import COSTS, Cost, SearchConfig, stored_config
from trainables.records import Objective, TrialHistory
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT

TrialStatus = Literal["pending", "running", "finished", "eliminated", "failed"]
"""`eliminated`: the trial left the race over seeds before its last seed, so it has no score. See `search.plan.race`."""
ENDED: tuple[TrialStatus, ...] = ("finished", "eliminated", "failed")
"""Statuses of trials that need no more work."""


class TrialRecord(Settings):
    """One trial of a search."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    trial_id: str
    number: int
    """The trial's place in the search, from 1: rules round by round, then constants. See `search.plan`."""
    status: TrialStatus
    family: str
    parameters: dict[str, Value]
    """All parameters of the policy, also those not searched, without its family's prefix."""
    shared: dict[str, float | int]
    """Settings that are searched alike for every family: `learning_rate`, `temperature`."""
    student: str = BASE_STUDENT
    """The student's name in the search."""
    rule: str
    """The policy's rule in words."""
    short_rule: str = ""
    """The policy's rule as a label."""
    complexity: int
    baseline: bool = False
    """True if this is a constant λ."""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    error: str | None = None
    """The last line of a failed trial's traceback."""
    history: TrialHistory = TrialHistory()
    """The history of all seeds that have been trained to their end; until there are any, of the first heat's seeds."""
    opening: TrialHistory | None = None
    """The history of the first heat's seeds alone, which all trials have in common; None if it equals `history`."""
    folders: tuple[str, ...] = ()
    """The folders of its checkpoints, inside the search's folder: one for each heat."""

    @property
    def score(self) -> float | None:
        """The mean over the replicates of the objective, as a score: higher is better. None unless finished."""
        return self.history.score if self.status == "finished" else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that were trained to their end."""
        return tuple(replicate.seed for replicate in self.history.replicates)

    @property
    def partial_score(self) -> float | None:
        """The mean over the seeds so far of a trial without a score; comparable only under the same seeds."""
        return None if self.status == "finished" else self.history.score


class StudentSize(Settings):
    """The size and cost of one of several students."""

    name: str
    parameters: int
    """Trainable parameters."""
    flops: int
    """FLOPs for one picture; see `trainables.records.figures.ModelFigures`."""


class BudgetEnd(Settings):
    """The end of a search by its budget, after whole rounds."""

    budget: str
    rounds: int
    """The rounds that were run, which is the number of rules of each family."""
    planned: int
    """The rounds that the settings allowed."""
    seconds: float
    """Seconds that the search had taken when no further round was begun."""
    more_seconds: float
    """An estimate of the seconds that the other rounds would take."""


class SearchRecord(Settings):
    """One search: its settings, its data and teacher, and its trials."""

    name: str
    config: SearchConfig
    """The resolved search file. The plain values of a stored search are accepted, too; `stored_config` reads them."""
    teacher_accuracy: float | None = None
    """The teacher's accuracy on the validation pictures."""
    teacher_parameters: int | None = None
    student_sizes: tuple[StudentSize, ...] = ()
    """The sizes of all students, in the order of the search file, if several are searched."""
    pictures: PictureCounts | None = None
    """The sizes of the data set's parts; None in older searches."""
    own_losses: bool = False
    """True if a training function gives its balancer two losses, and not logits."""
    foundation: str = ""
    """A text that changes with the data and the teacher."""
    created: datetime.datetime | None = None
    status: Literal["running", "finished", "stopped"] = "running"
    budget_end: BudgetEnd | None = None
    """The end by the budget; None if it did not end the search. `config` then has the rounds that were run."""
    trials: tuple[TrialRecord, ...] = ()
    left_out: int = 0
    """The number of ended trials that are not among `trials`; see `of_student`."""

    @pydantic.field_validator("config", mode="before")
    @classmethod
    def _stored_by_an_earlier_release(cls, config: Any) -> Any:
        return stored_config(config) if isinstance(config, Mapping) else config

    @property
    def planned(self) -> int:
        """The most trials that the whole search can have; constants end sooner if the best one is bracketed sooner."""
        return self.config.total_trials

    @property
    def remaining(self) -> int:
        """The most trials of the whole search that have still to end, whether or not they have begun."""
        ended = sum(trial.status in ENDED for trial in self.trials) + self.left_out
        return 0 if self.status == "finished" else max(0, self.planned - ended)

    @property
    def objective(self) -> Objective:
        """The objective of the search."""
        return Objective(name=self.config.objective, direction=self.config.direction)

    @property
    def students(self) -> tuple[str, ...]:
        """Names of the students that have trials, in the order in which they were first tried."""
        return tuple(dict.fromkeys(trial.student for trial in self.trials))

    def of_student(self, name: str | None = None) -> SearchRecord:
        """The search with the trials of one student alone; by default, the student of the best trial.

        A rule is compared with constants under the same student, so every ranking of rules reads one student's trials.
        The search's progress remains that of all students.
        """
        if name is None:
            if len(self.students) < 2:
                return self
            name = (*self.finished, *self.trials)[0].student
        others = sum(trial.student != name and trial.status in ENDED for trial in self.trials)
        trials = tuple(trial for trial in self.trials if trial.student == name)
        return self.model_copy(update={"trials": trials, "left_out": self.left_out + others})

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The costs that the search file weighs against the score, in the order of `COSTS`."""
        return tuple(cost for cost in COSTS if cost in self.config.costs)

    @property
    def validation_size(self) -> int | None:
        """The number of validation pictures as counted, else as the settings have it; None if neither is known."""
        return self.config.data.validation_size if self.pictures is None else self.pictures.validation

    @property
    def unit(self) -> str:
        """The plural of what one sample is: "pictures", or as the task calls its rows."""
        if self.pictures is not None:
            return self.pictures.unit
        return "pictures" if self.config.function is None else "samples"

    @property
    def all_failed(self) -> bool:
        """True if the search has trials, and each of them failed."""
        return bool(self.trials) and all(trial.status == "failed" for trial in self.trials)

    @property
    def resolution(self) -> float:
        """The accuracy of one validation picture; 0 if their number is not known, or if the objective is another.

        Accuracies move in steps of one picture, so a few seeds can differ by exactly the same amount by chance. A
        deviation below one picture must not be taken for certainty.
        """
        return metric_of_objective(self.config.objective).resolution(self.validation_size)

    @property
    def finished(self) -> tuple[TrialRecord, ...]:
        """Finished trials with a score, best first; ties go to the simpler rule, then to the earlier trial."""
        done = [t for t in self.trials if t.score is not None]
        return tuple(sorted(done, key=lambda t: (-(t.score or 0.0), t.complexity, t.number)))

    @property
    def raced(self) -> tuple[TrialRecord, ...]:
        """The `finished` trials, then those that left the race over seeds: by number of seeds, then by score."""
        left = [t for t in self.trials if t.status == "eliminated"]
        left.sort(key=lambda t: (-len(t.seeds), -(t.partial_score or 0.0), t.complexity, t.number))
        return (*self.finished, *left)
