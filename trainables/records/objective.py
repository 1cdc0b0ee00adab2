"""What a search looks for. Imports no torch."""

from __future__ import annotations

from typing import Literal

from trainables.records.trial import EpochRecord, ReplicateResult
from trainables.settings import Settings

ACCURACY = "accuracy"
Direction = Literal["maximize", "minimize"]


class Objective(Settings):
    """One KPI, and whether more or less of it is better.

    A score is its value turned so that higher is better: searcher, ranking and verdict need to know no more.
    """

    name: str = ACCURACY
    """`accuracy`, or one of the user's own KPIs."""
    direction: Direction = "maximize"

    def score(self, value: float) -> float:
        """The score of a value of the KPI."""
        return value if self.direction == "maximize" else -value

    def value(self, score: float) -> float:
        """The KPI's value that a score stands for."""
        return self.score(score)

    def score_of(self, result: EpochRecord | ReplicateResult) -> float:
        """The score of what was measured on the validation pictures."""
        return self.score(result.validation_accuracy if self.name == ACCURACY else result.own_kpis[self.name])
