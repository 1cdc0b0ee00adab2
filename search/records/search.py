"""One search as plain data: what Tune's storage says, in the form that MLflow and the report are made from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.metrics import metric_named
from search.records.pictures import PictureCounts
from search.settings import COSTS, Cost, SearchConfig, stored_config
from trainables.records import Objective, TrialHistory
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT

TrialStatus = Literal["pending", "running", "finished", "eliminated", "failed"]
"""`eliminated`: it left the race over seeds before its last one, so it has no score. `search.plan.race` says why."""
ENDED: tuple[TrialStatus, ...] = ("finished", "eliminated", "failed")
"""Of trials that need no more work."""


class TrialRecord(Settings):
    """One trial of a search."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    trial_id: str
    number: int
    """From 1, in the order in which they were suggested."""
    status: TrialStatus
    family: str
    parameters: dict[str, Value]
    """The policy's parameters, without its family's prefix; all of them, also those not searched."""
    shared: dict[str, float | int]
    """What is searched alike for every family: `learning_rate`, `temperature`."""
    student: str = BASE_STUDENT
    """By its name in the search."""
    rule: str
    """The policy's rule in words."""
    complexity: int
    baseline: bool = False
    """Whether this is one of the known constants that are always tried."""
    started: datetime.datetime | None = None
    ended: datetime.datetime | None = None
    error: str | None = None
    """The last line of what went wrong, for a failed trial."""
    history: TrialHistory = TrialHistory()
    """Of all its seeds that have been trained to their end, or of its first ones while these are trained."""
    opening: TrialHistory | None = None
    """Of the first heat's seeds alone, which all trials have in common; None where that is `history`."""
    folders: tuple[str, ...] = ()
    """Of its checkpoints, inside the search's folder: one a heat."""

    @property
    def score(self) -> float | None:
        """Mean over the replicates of what is searched for, higher being better; None unless finished."""
        return self.history.score if self.status == "finished" else None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that were trained to their end."""
        return tuple(replicate.seed for replicate in self.history.replicates)

    @property
    def partial_score(self) -> float | None:
        """Mean over its seeds so far, of a trial without a score. Not to be compared where seeds are not the same."""
        return None if self.status == "finished" else self.history.score


class StudentSize(Settings):
    """What one of several students costs."""

    name: str
    parameters: int
    """Trainable ones."""
    flops: int
    """Of one picture; see `trainables.records.figures.ModelFigures`."""


class SearchRecord(Settings):
    """One search: its settings, what it stands on, and its trials."""

    name: str
    config: SearchConfig
    """The resolved search file; plain values, such as a stored search has, are read as this release reads them."""
    teacher_accuracy: float | None = None
    """On the validation pictures."""
    teacher_parameters: int | None = None
    student_sizes: tuple[StudentSize, ...] = ()
    """Of all students, where several are searched; in the order of the search file."""
    pictures: PictureCounts | None = None
    """None in older searches."""
    foundation: str = ""
    """Changes with the data and the teacher."""
    created: datetime.datetime | None = None
    status: Literal["running", "finished", "stopped"] = "running"
    trials: tuple[TrialRecord, ...] = ()
    left_out: int = 0
    """Trials that need no more work and are not among `trials`; see `of_student`."""

    @pydantic.field_validator("config", mode="before")
    @classmethod
    def _stored_by_an_earlier_release(cls, config: Any) -> Any:
        return stored_config(config) if isinstance(config, Mapping) else config

    @property
    def planned(self) -> int:
        """Trials of the whole search at most: constants end sooner where the best one is bracketed sooner."""
        return self.config.total_trials

    @property
    def remaining(self) -> int:
        """Trials of the whole search, at most, that have not ended, whether or not they have begun."""
        ended = sum(trial.status in ENDED for trial in self.trials) + self.left_out
        return 0 if self.status == "finished" else max(0, self.planned - ended)

    @property
    def objective(self) -> Objective:
        """The score that is searched for."""
        return Objective(name=self.config.objective, direction=self.config.direction)

    @property
    def students(self) -> tuple[str, ...]:
        """Names of the students that have trials, in the order in which they were first tried."""
        return tuple(dict.fromkeys(trial.student for trial in self.trials))

    def of_student(self, name: str | None = None) -> SearchRecord:
        """The search as if it had had this student alone; that of the best trial when not named.

        A rule is compared with constants under the same student, so whatever ranks rules looks at one student's trials.
        How far the search is stays that of all students.
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
        """What a better score may cost, as the search file has it."""
        return tuple(cost for cost in COSTS if cost in self.config.costs)

    @property
    def validation_size(self) -> int | None:
        """The number of validation pictures; the settings' where nobody counted them; None if neither is known."""
        return self.config.data.validation_size if self.pictures is None else self.pictures.validation

    @property
    def resolution(self) -> float:
        """One validation picture in accuracy; 0 if their number is not known, or something else is searched for.

        Accuracies move in steps of one picture, so a few seeds can differ by exactly the same amount by chance; a
        deviation below one picture must not be taken for certainty.
        """
        return metric_named(self.config.objective).resolution(self.validation_size)

    @property
    def finished(self) -> tuple[TrialRecord, ...]:
        """Finished trials with a score, best first; ties go to the simpler rule, then to the earlier trial."""
        done = [t for t in self.trials if t.score is not None]
        return tuple(sorted(done, key=lambda t: (-(t.score or 0.0), t.complexity, t.number)))

    @property
    def raced(self) -> tuple[TrialRecord, ...]:
        """As `finished`, followed by those that left the race over seeds: who got further first, then by score."""
        left = [t for t in self.trials if t.status == "eliminated"]
        left.sort(key=lambda t: (-len(t.seeds), -(t.partial_score or 0.0), t.complexity, t.number))
        return (*self.finished, *left)
