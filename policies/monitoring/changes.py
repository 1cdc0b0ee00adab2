"""Tells which steps of a training deserve an entry in a log of decisions.

These are the first step, every change of branch, every change of the reason's words, and every begin and end of an
intervention. So is every step at which λ has moved by 0.05 since the last entry, so between two entries λ is known to
0.05.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from policies.guarding.intervention import intervention_kind
from policies.policy import AS_BEFORE

if TYPE_CHECKING:
    from policies.update.base import Step

NOTABLE_CHANGE = 0.05
"""The change of λ that makes an entry."""

_NUMBER = re.compile(r"[-+−]?(?:\d[\d.,]*(?:e[-+]?\d+)?|\b(?:inf|nan)\b)", re.IGNORECASE)


@functools.lru_cache(maxsize=256)
def reason_kind(reason: str) -> str:
    """Remove the numbers from a reason, as they may change at every step: `norm ratio … above …`."""
    return _NUMBER.sub("…", reason)


class Changes:
    """Compares each step's decision with that of the last entry."""

    def __init__(self) -> None:
        self._case: tuple[int, str | None, str] | None = None
        self._weight = 0.0

    def look(self, step: Step) -> bool:
        """Tell whether the next step of a training makes an entry."""
        decision, intervention = step.decision, step.intervention
        kind = None if intervention is None else intervention_kind(intervention)
        said = reason_kind(decision.reason)
        if self._case is not None and decision.reason == AS_BEFORE:
            said = self._case[2]
        case = decision.branch, kind, said
        if case == self._case and abs(decision.weight - self._weight) < NOTABLE_CHANGE:
            return False
        self._case, self._weight = case, decision.weight
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values."""
        return {"case": self._case, "weight": self._weight}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self._case = None if state["case"] is None else tuple(state["case"])
        self._weight = float(state["weight"])
