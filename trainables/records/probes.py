"""Records of virtual steps at one place of a training, as plain data. No torch.

W: the λ that are tried at each place.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from trainables.errors import ConfigError
from trainables.settings import Settings

Loss = Literal["task", "distill", "mean"]
"""The two losses as they are trained, label smoothing included, and the mean of both; in nats a picture."""
LOSSES: tuple[Loss, ...] = ("task", "distill", "mean")

StepKind = Literal["optimizer", "plain", "fixed_length"]
"""`optimizer`: the training's own optimiser in its present state, momentum, preconditioning and weight decay included.
`plain`: -η·u(λ), u(λ) = λ g_d + (1-λ) g_t of the batch. `fixed_length`: as `plain`, but equally long at every λ. η and
the length are such that at λ = ½ all three are equally long."""
STEP_KINDS: tuple[StepKind, ...] = ("optimizer", "plain", "fixed_length")

_NUMBERS = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)


_MOST_PROBES, _FEWEST_PROBES = 20, 5
_STEPS_A_PROBE = 10


class ProbeSettings(Settings):
    """Settings of virtual steps: where and how they are taken."""

    probes: int | None = Field(None, ge=1, le=1000)
    """Places along the training, evenly spread, at most one for each step; None for the default of `places`."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=3)] = tuple(
        i / 10 for i in range(11)
    )
    """The λ that are tried, ascending."""
    horizons: tuple[Annotated[int, Field(ge=1, le=10_000)], ...] = (1, 5, 20)
    """Numbers of steps at a λ, on the next batches, after which the held-out losses are measured; ascending from 1."""
    pictures: int = Field(500, ge=10)
    """Held-out pictures, drawn at random once for all seeds from the validation pictures; all if there are fewer."""

    def places(self, steps: int) -> int:
        """Return the number of places of a training of `steps` steps.

        It is `probes` if given, else one for ten steps, at least 5 and at most 20; it is never more than `steps`. A
        probe costs as much as some hundred steps, so many probes along few steps cost far more than they are worth.
        """
        usual = min(_MOST_PROBES, max(_FEWEST_PROBES, steps // _STEPS_A_PROBE))
        return min(self.probes or usual, steps)

    @pydantic.field_validator("weights", "horizons")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if list(values) != sorted(set(values)):
            raise ConfigError(f"must ascend, but got {', '.join(map(str, values))}.")
        return values

    @pydantic.field_validator("horizons")
    @classmethod
    def _from_one(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
        if horizons[:1] != (1,):
            raise ConfigError(
                "must begin with 1, the single step that the predictions are about, but got"
                f" {', '.join(map(str, horizons))}."
            )
        return horizons


class Response(Settings):
    """The change of one loss on one set by a virtual step, by λ; and its predictions. All tuples are [W], in nats.

    g and H are the loss's gradient and Hessian on that set, Δ is the step. The losses are computed in double precision.
    """

    model_config = _NUMBERS

    true: tuple[float, ...]
    """L(θ+Δ) - L(θ)."""
    first: tuple[float, ...]
    """⟨g, Δ⟩."""
    plain: tuple[float, ...]
    """-η⟨g, u(λ)⟩: first order, as if the optimiser took plain steps."""
    second: tuple[float | None, ...]
    """⟨g, Δ⟩ + ½ ΔᵀHΔ. None for λ at which H was not computed: with `optimizer` only the first, middle and last are."""
    halfway: tuple[float, ...] | None = None
    """⟨g, Δ⟩ + 2·(L(θ+Δ/2) + L(θ-Δ/2) - 2L(θ)): second order, with the curvature measured over half the step. It sees
    the kinks of ReLU and of pooling, which H does not. With `optimizer` only."""
    error: tuple[float, ...] | None = None
    """Standard error of `true` over the pictures; held-out pictures only."""
    gap_error: tuple[float, ...] | None = None
    """Standard error of `true` minus its least value over λ; held-out pictures only."""


class VirtualSteps(Settings):
    """The steps of one kind at one place."""

    model_config = _NUMBERS

    lengths: tuple[float, ...]
    """‖Δ‖, [W]."""
    batch: dict[Loss, Response]
    """Responses on the training batch itself, with batch statistics and dropout as in training."""
    held_out: dict[Loss, Response]
    """Responses on held-out pictures, in evaluation mode."""


class Angle(Settings):
    """The geometry of g_d and g_t on one set, over the whole student."""

    model_config = _NUMBERS

    cosine: float
    norm_ratio: float
    """‖g_d‖/‖g_t‖."""
    task_norm: float


class ProbeRecord(Settings):
    """One place of one training, before its step `step`."""

    model_config = _NUMBERS

    seed: int
    step: int
    progress: float
    """step/total steps, in [0, 1)."""
    learning_rate: float
    weight: float
    """λ of the training's own step."""
    batch: Angle
    """The geometry on the training batch, as a rule sees it."""
    held_out: Angle
    task_alignment: float
    """cos between g_t on the batch and g_t on the held-out pictures."""
    distill_alignment: float
    """The same of g_d."""
    cross_alignment: float
    """cos between g_d on the batch and g_t on the held-out pictures."""
    task_loss: float
    """The task loss on the held-out pictures; `distill_loss` is measured there, too."""
    distill_loss: float
    plain_rate: float
    """η of the plain steps."""
    task_curvature: float
    """η·g_tᵀH_t g_t/‖g_t‖² with the batch's g_t and the held-out H_t: the ηκ of the maps."""
    steps: dict[StepKind, VirtualSteps]
    horizons: dict[int, dict[Loss, tuple[float, ...]]]
    """Held-out changes of the losses, [W], after so many optimiser steps at each λ; those that the training reaches."""
