"""Settings for everything that one trial depends on, so that they alone identify a run. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from policies.families.schedules.fixed import Fixed
from policies.parameter import Value
from policies.registry import create_policy
from trainables.config.own_kpi import OwnKPI
from trainables.config.own_policy import OwnPolicy
from trainables.config.pictures import LARGEST_SEED, AugmentationSettings
from trainables.records import Objective
from trainables.settings import Settings, identity_of


class CorruptionSettings(Settings):
    """Settings of training data that are broken on purpose, to see which rules withstand it.

    The shares are of the batches of each epoch, or of the training pictures, drawn once. `teacher_share` of them get
    the teacher's outputs of other pictures. `label_share` of them get other pictures' labels. No batch or picture is
    in both shares. Validation data and the teacher's training data are not broken. See
    `trainables.training.corruption`.
    """

    unit: Literal["batch", "sample"]
    teacher_share: float = Field(0.0, ge=0, le=1)
    label_share: float = Field(0.0, ge=0, le=1)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)

    @pydantic.model_validator(mode="after")
    def _one_source_stays(self) -> CorruptionSettings:
        if self.teacher_share + self.label_share > 1:
            raise ValueError(
                "`teacher_share` and `label_share` must add up to 1 at most, since no picture loses both, but got"
                f" {self.teacher_share:g} and {self.label_share:g}; lower one of them"
            )
        return self


class ModelSettings(Settings):
    """A model's name and its options; see `trainables.models`."""

    name: str
    """The name of a known model, or `my_model.py:TinyNet`, a class or function of the user's own."""
    options: dict[str, Any] = Field(default_factory=dict)
    source: str = ""
    """The text of the file of a model of the user's own."""
    checkpoint: str | None = None
    """The file of the weights that the model's training begins with, instead of random ones."""


_SCHEDULING = ("schedule", "milestones", "gamma", "warm_up_epochs", "warm_up_start", "schedule_per")
REPLACED = (
    *("optimizer", "weight_decay", "norm_weight_decay", "bias_weight_decay", "momentum", "nesterov"),
    *_SCHEDULING,
)
"""The training settings that an optimiser of the user's own replaces."""


class TrainingSettings(Settings):
    """Settings of a network's training. `learning_rate` is the peak of the schedule."""

    epochs: int = Field(30, ge=1)
    batch_size: int = Field(64, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    schedule: Literal["one_cycle", "cosine", "multi_step", "constant"] = "one_cycle"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = True
    """False for plain momentum; only `sgd` reads it."""
    norm_weight_decay: float | None = Field(None, ge=0)
    """The weight decay of normalisation layers, weights and biases; that of all weights when not given."""
    bias_weight_decay: float | None = Field(None, ge=0)
    """The weight decay of all other layers' biases; that of all weights when not given."""
    milestones: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """The epochs after which `multi_step` multiplies the learning rate by `gamma`; None for half and three quarters."""
    gamma: float = Field(0.1, gt=0, lt=1)
    warm_up_epochs: int = Field(0, ge=0)
    """The epochs in which the learning rate rises in a straight line, before the schedule."""
    warm_up_start: float = Field(0.01, gt=0, le=1)
    """The share of the learning rate with which the warm-up begins."""
    schedule_per: Literal["step", "epoch"] = "step"
    """`step` changes the learning rate at every step, `epoch` only from epoch to epoch."""

    _later: ClassVar[frozenset[str]] = frozenset(
        (*_SCHEDULING[1:], "nesterov", "norm_weight_decay", "bias_weight_decay")
    )

    @property
    def has_one_decay(self) -> bool:
        """True if all weights have the same weight decay."""
        return self.norm_weight_decay is None and self.bias_weight_decay is None

    @pydantic.model_validator(mode="after")
    def _schedule_fits_together(self) -> TrainingSettings:
        usual = type(self).model_fields
        for name in ("milestones", "gamma"):
            if self.schedule != "multi_step" and getattr(self, name) != usual[name].default:
                raise ValueError(
                    f"`{name}` is of `schedule` = 'multi_step', but `schedule` is {self.schedule!r}; remove it, or"
                    " change `schedule`"
                )
        if self.schedule == "one_cycle" and self.warm_up_epochs:
            raise ValueError(
                f"`warm_up_epochs` must be 0 where `schedule` is 'one_cycle', which warms up itself, but got"
                f" {self.warm_up_epochs}; remove it, or take another `schedule`"
            )
        if self.warm_up_epochs and self.warm_up_epochs >= self.epochs:
            raise ValueError(
                f"`warm_up_epochs` must be below `epochs`, but got {self.warm_up_epochs} of {self.epochs}; lower it"
            )
        self._check_milestones()
        return self

    def _check_milestones(self) -> None:
        marks = self.milestones
        if marks is None:
            return
        if not marks or list(marks) != sorted(set(marks)):
            raise ValueError(f"`milestones` must be one or more rising numbers of epochs, but got {list(marks)}")
        if marks[-1] >= self.epochs or marks[0] < self.warm_up_epochs:
            raise ValueError(
                f"`milestones` must lie between the warm-up's {self.warm_up_epochs} epochs and the last of"
                f" {self.epochs}, but got {list(marks)}; change them or `epochs`"
            )

    def in_effect(self, own_optimizer: str = "") -> dict[str, Any]:
        """Return the settings as plain values; an optimiser of the user's own, by its name, replaces some of them."""
        values = identity_of(self)
        if not own_optimizer:
            return values
        kept = {name: value for name, value in values.items() if name not in REPLACED}
        return {**kept, "optimizer": own_optimizer}


class DeviceSettings(Settings):
    """Settings of the device and the precision in which a trial computes.

    `device` = auto takes a GPU if Ray gave the trial one. `precision` = auto is bfloat16 autocast on a GPU that has it,
    else float32.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int | None = Field(None, ge=1)
    """PyTorch's threads in a trial; as many as the trial has whole CPUs when not given, so one by default."""
    replicates: Literal["auto", "together", "apart"] = "auto"
    """`together` trains a trial's students, one for each seed, as one stacked model, `apart` one after another. The
    numbers differ by rounding. `auto` stacks the students that can be stacked."""


class PolicySettings(Settings):
    """A λ policy: its family and parameters. Parameters that are not named take their defaults."""

    family: str = Fixed.family
    parameters: dict[str, Value] = Field(default_factory=dict)

    @pydantic.model_validator(mode="after")
    def _exists(self) -> PolicySettings:
        create_policy(self.family, dict(self.parameters))
        return self


class TrialSettings(Settings):
    """One trial: one student, trained under one policy, once per seed in `seeds`."""

    student: ModelSettings
    students: dict[str, ModelSettings] = Field(default_factory=dict)
    """Students, by name, that a suggestion may choose instead of `student`."""
    training: TrainingSettings = TrainingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    corruption: CorruptionSettings | None = None
    own_policies: tuple[OwnPolicy, ...] = ()
    """The user's own rules; declared before `policy`, which may be one of them."""
    own_kpis: tuple[OwnKPI, ...] = ()
    """The user's own KPIs, measured at each evaluation for each seed."""
    objective: Objective = Objective()
    """The KPI that is searched for: `accuracy` or one of `own_kpis`."""
    policy: PolicySettings = PolicySettings()
    temperature: float = Field(4.0, gt=0, le=1000)
    options: dict[str, float] = Field(default_factory=dict)
    """Values of the user's own options that are searched, by name; all others keep those of the task."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], Field(min_length=1)] = (0,)
    device: DeviceSettings = DeviceSettings()
    evaluations: int = Field(15, ge=1)
    """The number of evaluations of a training on the validation pictures, evenly spread, the last epoch included."""
    trace_points: int = Field(50, ge=2, le=10_000)
    """The number of steps at which λ, the geometry and the losses are recorded, evenly spread."""

    @pydantic.field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("must differ from one another")
        return seeds
