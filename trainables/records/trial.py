"""Records of a trial: plain data that the search, MLflow and the report read. No torch, no Ray.

R: replicates (seeds) of a trial; E: epochs.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pydantic

from trainables.records.conduct import Conduct
from trainables.settings import Settings

HISTORY_FILE = "history.json"
"""The file of a `TrialHistory`, in each of a trial's checkpoints."""


class EpochRecord(Settings):
    """One evaluation, after epoch `epoch`, averaged over the replicates.

    Figures of the training are averaged over the steps since the last record. Losses are in nats a sample, accuracies
    in [0, 1], times in seconds.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    epoch: int
    """The number of finished epochs, from 1."""
    train_task_loss: float
    train_distill_loss: float
    validation_loss: float | None
    """None if a training function does not report one."""
    validation_accuracy: float | None
    """None if the task is no classification, as is the next figure."""
    agreement: float | None
    """Share of the validation pictures on which student and teacher name the same class."""
    calibration_error: float | None = None
    """The error on the validation pictures, as in `trainables.records.figures.SetScore`; None in older histories."""
    more: dict[str, float] = pydantic.Field(default_factory=dict)
    """Further figures on the validation pictures, as `trainables.evaluation.MORE` names them; empty in older ones."""
    own_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs on the validation pictures, by name."""
    weight: float
    """Mean λ."""
    seconds: float
    """Time of training and evaluation of all replicates since the last record."""


class TracePoint(Settings):
    """One probed step, averaged over the replicates: λ, the geometry and both losses just before the update."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    step: int
    epoch: float
    """Position in epochs, fractional."""
    weight: float
    scale: float
    cosine: float
    norm_ratio: float
    """Geometric mean over the replicates."""
    task_loss: float
    distill_loss: float
    weight_range: tuple[float, float] | None = None
    """Lowest and highest λ over the replicates; None in older histories, as is `cosine_range`."""
    cosine_range: tuple[float, float] | None = None
    """Lowest and highest cosine over the replicates."""


class DecisionEntry(NamedTuple):
    """One line of the decision log: the decision at a step under one seed, and the readings at that step.

    λ (`weight`), `scale`, `branch` and `reason` are those of the decision that was carried out. `intervention` is the
    guard's reason; None if it did not intervene. `repeats` is the number of steps directly after this one at which the
    guard did the same again.

    Readings are those of the step's own batch, not smoothed; None where they are not known. The geometry is the one
    that the rule measures, or else that of the whole student if it was recorded. Losses are in nats. `confidence`,
    `agreement` and the reliabilities are the teacher's, in [0, 1].
    """

    seed: int
    step: int
    epoch: float
    weight: float
    scale: float
    branch: int
    reason: str
    intervention: str | None = None
    repeats: int = 0
    progress: float | None = None
    cosine: float | None = None
    norm_ratio: float | None = None
    task_loss: float | None = None
    distill_loss: float | None = None
    confidence: float | None = None
    agreement: float | None = None
    class_reliability: float | None = None
    answer_reliability: float | None = None
    confidence_reliability: float | None = None


class ReplicateResult(Settings):
    """The final results of one seed."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    seed: int
    validation_accuracy: float | None
    """None if the task is no classification."""
    validation_loss: float | None
    agreement: float | None
    calibration_error: float | None = None
    """The error on the validation pictures; None in older histories."""
    more: dict[str, float] = pydantic.Field(default_factory=dict)
    """Further figures on the validation pictures, as `trainables.evaluation.MORE` names them; empty in older ones."""
    own_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own KPIs on the validation pictures, by name."""
    conduct: Conduct | None = None
    """The rule's conduct under this seed; None in older histories."""


class TrialHistory(Settings):
    """The complete record of one trial, written as `history.json` in each of its checkpoints."""

    score: float | None = None
    """Mean over the replicates, after the last epoch, of what is searched for: validation accuracy or a KPI of the
    user's own, negated where less of it is better. None while unfinished, and where it is not finite for some seed."""
    score_std: float | None = None
    """The score's standard deviation (ddof 1) over the replicates; None without a score or with one replicate."""
    epochs: tuple[EpochRecord, ...] = ()
    trace: tuple[TracePoint, ...] = ()
    decisions: int = 0
    """The number of entries of the decision log, a file beside this history."""
    decisions_dropped: int = 0
    """The number of entries beyond the log's bound, which were counted but not kept."""
    interventions: dict[str, int] = pydantic.Field(default_factory=dict)
    """The number of the guard's interventions by kind, over all replicates."""
    skipped_steps: int = 0
    """The number of steps that the guard skipped, over all replicates."""
    conduct: Conduct | None = None
    """The rule's conduct over all steps and replicates; None in older histories and before the first steps are over."""
    replicates: tuple[ReplicateResult, ...] = ()
    policy: dict[str, Any] = pydantic.Field(default_factory=dict)
    """The contents of `policy.json`."""
    parameters: int = 0
    """Trainable parameters of the student."""
    training_seconds: float = 0.0
    device: str = ""

    @classmethod
    def from_json(cls, text: str) -> TrialHistory:
        """Read what `to_json` wrote."""
        return cls.parse(json.loads(text))

    def to_json(self) -> str:
        """JSON text; numbers survive exactly."""
        return json.dumps(self.model_dump(mode="python"))
