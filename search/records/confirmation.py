"""A confirmation as plain data: what a few finalists of a search score on seeds that the search never used.

The test set is opened here and nowhere else, once for each finalist and seed.
"""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.records.facts import ConstantFacts
from search.settings import SMALLEST_POINTS
from trainables.pictures import PictureFormat
from trainables.records import ACCURACY, Conduct, ModelFigures, Objective, SampleValues, SetScore, TracePoint
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT

__all__ = [
    "ConfirmationRecord",
    "Finalist",
    "ModelFigures",
    "Role",
    "SeedResult",
    "SetScore",
]

Role = Literal["rule", "constant", "labels_alone", "teacher_alone"]
"""A family's best rule; a constant λ that may be the baseline; λ = 0; λ = 1."""


class Finalist(Settings):
    """One policy with its training settings, to be trained again."""

    key: str
    """Unique in a confirmation, and a file name: `norm_balance`, `fixed-0.9`, …"""
    role: Role
    family: str
    parameters: dict[str, Value]
    """The policy's, without its family's prefix; all of them."""
    shared: dict[str, float | int]
    """`learning_rate` and `temperature`, where they were searched."""
    student: str = BASE_STUDENT
    """By its name in the search."""
    rule: str
    complexity: int
    trial: int | None
    """The number of the trial that it comes from; None for one that the search did not try."""
    search_score: float | None
    """That trial's score."""

    @property
    def suggestion(self) -> dict[str, Any]:
        """As `trainables.suggestion` describes it."""
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
    """Of training. Seeds that train as one stacked model are each given an equal part of what it took."""
    began: float | None = None
    """When it began, in seconds since 1970 (UTC). The parts of seeds that train as one follow one another, so that
    together they cover the time that was taken."""
    own_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs, by name, on the test pictures."""
    validation_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The same on the validation pictures."""
    samples: dict[str, SampleValues] = pydantic.Field(default_factory=dict)
    """By metric, this student's value on each test picture: `accuracy`, and the user's KPIs that give one. Empty in
    older confirmations."""
    trace: tuple[TracePoint, ...] = ()
    """What the rule did along this training, at the steps that a trial is probed at."""
    interventions: dict[str, int] = pydantic.Field(default_factory=dict)
    """What the guard did: how often by kind."""
    skipped_steps: int = 0
    """Steps that the guard did not let the optimiser take."""
    conduct: Conduct | None = None
    """What the rule did at all steps of this training; None in older confirmations."""


class ConfirmationRecord(Settings):
    """One confirmation, finished or not."""

    search: str
    seeds: tuple[int, ...]
    """Fresh ones: the search used none of them."""
    finalists: tuple[Finalist, ...]
    results: tuple[SeedResult, ...] = ()
    teacher: SetScore | None = None
    """On the test pictures."""
    teacher_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs of the teacher, by name, on the test pictures."""
    objective: Objective = Objective()
    """What the search looked for; it decides here, too."""
    teacher_figures: ModelFigures | None = None
    student_figures: ModelFigures | None = None
    """All finalists have the same student, so one speaks for all."""
    test_size: int | None = None
    """Pictures in the test set: accuracies move in steps of 1/`test_size`."""
    pictures: PictureFormat | None = None
    """What students read, so that a stored one can be used where the data are not; None in older confirmations."""
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Whatever else the run was told, such as the number of seeds."""
    smallest_gain: float | None = None
    """As `ConfirmationSettings` has it, when the confirmation began."""
    constant: ConstantFacts | None = None
    """How the search tuned the constant; None in older confirmations, whose constants were not bracketed."""
    identity: str = ""
    """Tells this confirmation from others of the same search; empty in older ones."""
    test_uses: int | None = None
    """Confirmations of this storage that have opened this test set, with this one; None where nobody counted."""
    complete: bool = False
    """Whether every finalist has every seed."""

    @property
    def margin(self) -> float | None:
        """`smallest_gain` as a difference of scores; None for a KPI without that setting."""
        if self.objective.name == ACCURACY:
            return (SMALLEST_POINTS if self.smallest_gain is None else self.smallest_gain) / 100.0
        return self.smallest_gain

    def scores(self, key: str) -> dict[int, float]:
        """A finalist's score by seed on the test pictures; higher is better.

        It is the accuracy, or the user's KPI that the search looked for, negated where less of it is better.
        """
        return {result.seed: self.score(result) for result in self.results if result.finalist == key}

    def score(self, result: SeedResult, on: Literal["test", "validation"] = "test") -> float:
        """One seed's score on one of the sets; higher is better."""
        if self.objective.name == ACCURACY:
            return (result.test if on == "test" else result.validation).accuracy
        own_kpis = result.own_kpis if on == "test" else result.validation_kpis
        return self.objective.score(own_kpis[self.objective.name])
