"""Holds a diagnosis as plain data. Readable without torch."""

from __future__ import annotations

import json
import pathlib
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.errors import SearchError
from trainables.errors import ConfigError
from trainables.records import Objective
from trainables.settings import Settings

DIAGNOSIS_FILE = "diagnosis.json"

AnswerKind = Literal[
    "tune_a_constant", "try_per_sample_rules", "try_gradient_rules", "distillation_will_not_help", "cannot_tell"
]
ArmKind = Literal["constant", "samples", "gradients"]


class Estimate(Settings):
    """An expected value with its central 95 % interval, both posterior, in the unit of the quantity."""

    mean: float
    low: float
    high: float


class Arm(Settings):
    """One way to train that was tried under every seed."""

    kind: ArmKind
    title: str
    family: str
    parameters: dict[str, Value]
    learning_rate: float
    temperature: float
    scores: dict[int, float]
    """The final validation score by seed, higher is better; empty if the rule cannot be used here."""
    level: Estimate | None = None
    """The expected score under these settings; None if there are no scores."""
    over_labels: Estimate | None = None
    """The expected gain over the labels alone; None for these, and without scores."""
    problem: str = ""
    """The reason why the rule cannot be used here, or why its student did not stay finite."""

    @property
    def weight(self) -> float:
        """The λ of a constant."""
        return float(self.parameters["weight"])


class Rate(Settings):
    """The agreement of the teacher's class and the label in one group of samples."""

    group: str
    """A class's name, or a range of confidence."""
    samples: float
    agreement: float
    """Share in [0, 1]; 0 where there are no samples."""


class Agreement(Settings):
    """The agreement of the teacher's class and the label on one set of samples."""

    samples: float
    agreement: float
    by_class: tuple[Rate, ...]
    """Rates for each class of the label."""
    by_confidence: tuple[Rate, ...]
    """Rates for each confidence of the teacher, in ten bins of equal width; bins without samples are left out."""
    p_class: float | None
    """Probability of classes that differ so much by chance (χ²); None with fewer than two of them."""


class Reliability(Settings):
    """The reliability of teacher and labels."""

    train: Agreement
    """The agreement on the training samples as the training has them: broken ones are broken here."""
    validation: Agreement
    """The agreement on the validation samples, which is the teacher's accuracy."""
    calibration_error: float | None
    """The teacher's on the validation samples; see `trainables.records.SetScore`."""


class Places(Settings):
    """The geometry of the two gradients along the trainings of one constant, averaged over the seeds."""

    weight: float
    steps: tuple[int, ...]
    cosine: tuple[float, ...]
    norm_ratio: tuple[float, ...]


class LocalSteps(Settings):
    """The gain of choosing λ anew, at each place or at each batch, over the best single λ, for one step.

    A λ is chosen on one half of the held-out samples and judged on the other, so a choice by noise gains nothing. Gains
    are shares of the mean difference between the best and the worst λ for a batch of the place.
    """

    weights: tuple[float, ...]
    places: int
    batches: int
    """Batches tried at each place."""
    held_out: int
    by_place: Estimate
    by_batch: Estimate
    best: tuple[float, ...]
    """The best λ at each place, all batches together."""


class DiagnosisCost(Settings):
    """The cost of a diagnosis beside that of the search."""

    trainings: int
    steps: int
    """The steps of one training."""
    search_trainings: int
    """The most trainings that the search of the same file would take, its confirmation apart."""
    seconds: float
    """The seconds of the trainings, and of the steps tried along one of them."""
    cpu_seconds: float
    """The same as CPU time of this process; processes of a function are not counted."""

    @property
    def share(self) -> float:
        """The share of the search's trainings."""
        return self.trainings / self.search_trainings


class Diagnosis(Settings):
    """The answer, its expected size, and all that it rests on. Scores and gains are in the objective's unit."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    format: Literal[1] = 1
    name: str
    objective: Objective
    answer: AnswerKind
    leaning: AnswerKind
    """The likeliest answer; `answer`, unless that is that it cannot tell."""
    chances: dict[AnswerKind, float]
    """The probability of each answer but the last; they add up to 1."""
    size: Estimate
    """The expected gain that `leaning` names: of a constant over the labels alone, of a rule over the constant."""
    constant_gain: Estimate
    """Best constant λ > 0 over the labels alone."""
    sample_gain: Estimate | None
    """Best rule by sample over the best constant, which may be λ = 0; None if none can be used."""
    gradient_gain: Estimate | None
    """Best rule that watches gradients, likewise."""
    smallest_gain: float | None
    """The gain from which something counts; None if the search file does not set one for its own metric."""
    seeds: tuple[int, ...]
    best_constant: float
    """The λ that rules are compared with."""
    seed_spread: float
    """Standard deviation of one training's score, without what seeds do to all arms alike."""
    arms: tuple[Arm, ...]
    """The constants by λ, then the rules."""
    screened: tuple[tuple[float, float, float], ...]
    """(λ, learning rate, score) of the trainings that chose the learning rates."""
    reliability: Reliability | None
    places: Places | None
    local: LocalSteps | None
    missing: tuple[str, ...]
    """Sentences on what could not be looked at."""
    reasons: tuple[str, ...]
    lines: tuple[str, ...]
    """Lines for the search file."""
    cost: DiagnosisCost

    @property
    def constants(self) -> tuple[Arm, ...]:
        """The curve of constant λ."""
        return tuple(arm for arm in self.arms if arm.kind == "constant")


def read_diagnosis(folder: pathlib.Path | str) -> Diagnosis:
    """Read the diagnosis of a folder `<output>/<name>/diagnosis`.

    Raises:
        SearchError: there is none, or it is damaged or of another release.
    """
    path = pathlib.Path(folder) / DIAGNOSIS_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Diagnosis.parse(values)
    except (OSError, ValueError, ConfigError) as error:
        raise SearchError(f"cannot read {str(path)!r}: {error}; `kd-search diagnose` writes it.") from error
