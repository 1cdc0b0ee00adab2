"""A `LossBalancer` whose steps are noted."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from policies.balancer import LossBalancer, Step
from policies.update.objective import Objective
from trainables.functions.notes import Notes, digest_of
from trainables.functions.thread import Pauses, Stopped

FEW_STEPS = 3
"""The number of updates after which a rehearsal compares two seeds."""


class RecordedBalancer(LossBalancer):
    """A balancer that notes each step, and measures the geometry at the steps that the notes ask for.

    Args:
        arguments: those of `LossBalancer`.
        notes: receives the steps.
        pauses: asked at each step whether the function must end.
        most_steps: the function is stopped after so many steps; None for no limit.
        most_seconds: the function is stopped at the first step that comes so long after its first one.
        more: further arguments of `LossBalancer`.
    """

    def __init__(
        self,
        *arguments: Any,
        notes: Notes,
        pauses: Pauses,
        most_steps: int | None,
        most_seconds: float | None,
        **more: Any,
    ) -> None:
        super().__init__(*arguments, **more)
        self._notes, self._pauses = notes, pauses
        self._most_steps, self._most_seconds = most_steps, most_seconds
        self._limited = most_steps is not None or most_seconds is not None

    def _take(
        self, objective: Objective, outputs: tuple[Tensor, ...], share: float, last: bool, probe: bool
    ) -> Step | None:
        notes = self._notes
        self._pauses.check()
        notes.given = objective.shows
        if self._limited and not notes.early and notes.steps == FEW_STEPS:
            notes.early = digest_of(self.parameters)
        step = super()._take(objective, outputs, share, last, probe or self.step in notes.probes)
        if step is not None:
            now = self._pauses.clock()
            notes.note(step, now)
            notes.updates = notes.steps
            # If the function is stopped here, the optimiser's step does not follow.
            late = self._most_seconds is not None and now - (notes.first_step or now) >= self._most_seconds
            if late or (self._most_steps is not None and notes.steps > self._most_steps):
                notes.updates -= 1
                raise Stopped
        return step
