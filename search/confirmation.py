"""A confirmation as plain data: what a few finalists of a search score on seeds that the search never used.

The test set is opened here and nowhere else, once for each finalist and seed.
"""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from policies.parameter import Value
from trainables.settings import Settings

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
    rule: str
    complexity: int
    trial: int | None
    """The number of the trial that it comes from; None for one that the search did not try."""
    search_score: float | None
    """That trial's score."""


class SetScore(Settings):
    """A student, or the teacher, on one set of pictures."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    accuracy: float
    """In [0, 1]."""
    loss: float
    """Cross entropy in nats a picture."""
    calibration_error: float
    """Expected calibration error over 15 bins of equal width (arXiv 1706.04599), in [0, 1]."""
    agreement: float | None
    """Share of pictures on which student and teacher name the same class; None for the teacher itself."""


class SeedResult(Settings):
    """One finalist under one fresh seed."""

    finalist: str
    seed: int
    validation: SetScore
    test: SetScore
    seconds: float
    """Of training."""
    own_kpis: dict[str, float] = pydantic.Field(default_factory=dict)
    """The user's own figures, by name, on the test pictures."""


class ModelFigures(Settings):
    """What a network costs where it will run."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    parameters: int
    flops: int
    """Of one forward pass of one picture; a multiply-add counts as two."""
    file_bytes: int
    """Of its saved `state_dict`."""
    latency: dict[str, dict[str, float]]
    """By device (`cpu`, `cuda`): `p50_ms` and `p95_ms` for one picture, `pictures_per_second` in batches of 64."""
    device_names: dict[str, str]


class ConfirmationRecord(Settings):
    """One confirmation, finished or not."""

    search: str
    seeds: tuple[int, ...]
    """Fresh ones: the search used none of them."""
    finalists: tuple[Finalist, ...]
    results: tuple[SeedResult, ...] = ()
    teacher: SetScore | None = None
    """On the test pictures."""
    teacher_figures: ModelFigures | None = None
    student_figures: ModelFigures | None = None
    """All students of a search are built alike, so one speaks for all."""
    test_size: int | None = None
    """Pictures in the test set: accuracies move in steps of 1/`test_size`."""
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Whatever else the run was told, such as the number of seeds."""
    complete: bool = False
    """Whether every finalist has every seed."""

    def scores(self, key: str) -> dict[int, float]:
        """A finalist's test accuracy by seed."""
        return {result.seed: result.test.accuracy for result in self.results if result.finalist == key}
