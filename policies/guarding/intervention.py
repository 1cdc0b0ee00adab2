"""Names the guard's interventions. They are apart from the guard, since reading a log needs no PyTorch."""

from __future__ import annotations

import enum


class Intervention(enum.StrEnum):
    """The kinds of interventions. A reason is one of these, a colon, and the action."""

    BOTH_LOSSES = "both losses are not finite"
    TASK_LOSS = "the task loss is not finite"
    DISTILL_LOSS = "the distillation loss is not finite"
    GRADIENT = "a gradient is not finite"
    INVALID = "the rule gave no valid decision"
    BOUNDS = "λ is outside its bounds"
    RATE = "λ would move too fast"
    DIVERGENCE = "the training diverges"
    VANISHED = "one loss has no gradient"
    EMPTY = "the batch has no sample"

    def because(self, deed: str) -> str:
        """Return the reason of an intervention."""
        return f"{self.value}: {deed}"


def intervention_kind(reason: str) -> str:
    """Return the `Intervention` that a reason begins with."""
    return reason.partition(":")[0]
