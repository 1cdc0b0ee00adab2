"""Holds a confirmation as plain data: the scores of a search's finalists on seeds that the search never used.

Only a confirmation opens the test set, once for each finalist and seed.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.records.facts import ConstantFacts
from search.settings import SearchConfig, Size, smallest_difference
from trainables.pictures import PictureFormat
from trainables.records import ACCURACY, Conduct, ModelFigures, Objective, SampleValues, TracePoint
from trainables.records import SetScore as SetScore
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT

TITLE = "title"
"""The key in a record's settings for the words of its progress, where it is no confirmation."""
Role = Literal["rule", "constant", "labels_alone", "teacher_alone"]
"""A family's best rule; a constant λ that may be the baseline; λ = 0; λ = 1."""


class Finalist(Settings):
    """One policy with its training settings, to be trained again."""

    key: str
    """Its key, unique in a confirmation and usable as a file name: `norm_balance`, `fixed-0.9`, …"""
    role: Role
    family: str
    parameters: dict[str, Value]
    """All parameters of the policy, without its family's prefix."""
    shared: dict[str, float | int]
    """`learning_rate` and `temperature`, where they were searched."""
    student: str = BASE_STUDENT
    """The student's name in the search."""
    rule: str
    short_rule: str = ""
    """The rule as a label; empty in older confirmations."""
    complexity: int
    trial: int | None
    """The number of the trial that it comes from; None if the search did not try it."""
    search_score: float | None
    """The score of that trial; None without one."""

    @property
    def suggestion(self) -> dict[str, Any]:
        """The finalist as a suggestion; see `trainables.suggestion`."""
        own = {f"{self.family}.{name}": value for name, value in self.parameters.items()}
        return {"family": self.family, "student": self.student, **own, **self.shared}


class SeedResult(Settings):
    """One finalist under one fresh seed."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    finalist: str
    seed: int
    validation: SetScore
    test: SetScore
    seconds: float
    """Seconds of training. Seeds that train as one stacked model each get an equal part of its time."""
    began: float | None = None
    """The start of this time, in seconds since 1970 (UTC). The times of seeds that train as one stacked model follow
    one another, so together they cover that training."""
    own_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs, by name, on the test pictures."""
    validation_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The same on the validation pictures."""
    samples: dict[str, SampleValues] = pydantic.Field(default_factory=dict)
    """This student's value on each test picture, by metric: `accuracy`, and the user's KPIs that give one. Empty in
    older confirmations."""
    student_kept: bool = True
    """True if the trained student was stored; False if a training function did not keep it."""
    test_ids: str = ""
    """A digest of the test samples' ids, as a training function gives them; empty otherwise."""
    trace: tuple[TracePoint, ...] = ()
    """The rule's trace along this training, at the steps at which a trial is probed."""
    interventions: dict[str, int] = pydantic.Field(default_factory=dict)
    """The number of the guard's interventions, by kind."""
    skipped_steps: int = 0
    """Steps that the guard did not let the optimiser take."""
    conduct: Conduct | None = None
    """The rule's conduct over all steps of this training; None in older confirmations."""


class ConfirmationRecord(Settings):
    """One confirmation, finished or not."""

    search: str
    seeds: tuple[int, ...]
    """Fresh seeds: the search used none of them."""
    finalists: tuple[Finalist, ...]
    results: tuple[SeedResult, ...] = ()
    teacher: SetScore | None = None
    """The teacher's scores on the test pictures."""
    teacher_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs of the teacher, by name, on the test pictures."""
    objective: Objective = Objective()
    """The objective of the search, which the confirmation uses, too."""
    teacher_figures: ModelFigures | None = None
    student_figures: ModelFigures | None = None
    """The figures of the student, which is the same for all finalists."""
    test_size: int | None = None
    """The number of test pictures: accuracies move in steps of 1/`test_size`."""
    pictures: PictureFormat | None = None
    """The format of the pictures that students read, so that a stored student can be used without the data. None in
    older confirmations."""
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Further settings of the run, such as the number of seeds."""
    smallest_gain: float | None = None
    """The `smallest_gain` of `ConfirmationSettings` when the confirmation began."""
    gates: dict[str, str] = pydantic.Field(default_factory=dict)
    """The KPI gates that a champion must keep, as a search file writes them."""
    gates_changed: bool = False
    """True if the gates changed when results were known."""
    constant: ConstantFacts | None = None
    """Facts on how the search tuned the constant; None in older confirmations, whose constants were not bracketed."""
    identity: str = ""
    """An identifier that differs from those of other confirmations of the same search; empty in older ones."""
    test_uses: int | None = None
    """The number of confirmations in this storage that have opened this test set, with this one; None if unknown."""
    searched: Size | None = None
    """The size of the search whose finalists these are; None in older confirmations."""
    complete: bool = False
    """True if every finalist has a result for every seed."""

    def size_of(self, config: SearchConfig) -> Size:
        """Return the size of the search that was confirmed; `config` has the search's settings of today."""
        return self.searched or config.sizes[0]  # a search with an older confirmation can only have grown since

    @property
    def margin(self) -> float | None:
        """`smallest_gain` as a difference of scores; None for a KPI without that setting."""
        return smallest_difference(self.objective.name, self.smallest_gain)

    def scores(self, key: str) -> dict[int, float]:
        """A finalist's score by seed on the test pictures; higher is better.

        The score is the accuracy, or the user's KPI that is the objective, negated if less of it is better.
        """
        return {result.seed: self.score(result) for result in self.results if result.finalist == key}

    def score(self, result: SeedResult, on: Literal["test", "validation"] = "test") -> float:
        """One seed's score on one of the sets; higher is better."""
        if self.objective.name == ACCURACY:
            accuracy = (result.test if on == "test" else result.validation).accuracy
            return math.nan if accuracy is None else accuracy
        own_kpis = result.own_kpis if on == "test" else result.validation_kpis
        return self.objective.score(own_kpis[self.objective.name])
