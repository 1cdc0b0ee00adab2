"""Defines what a search optimises. Imports no torch."""

from __future__ import annotations

import math
from typing import Literal

from trainables.records.trial import EpochRecord, ReplicateResult
from trainables.settings import Settings

ACCURACY = "accuracy"
Direction = Literal["maximize", "minimize"]


class Objective(Settings):
    """One KPI, and whether more or less of it is better.

    A score is the KPI's value, negated if less is better, so that a higher score is always better. Searcher, ranking
    and verdict use scores only.
    """

    name: str = ACCURACY
    """`accuracy`, or one of the user's own KPIs."""
    direction: Direction = "maximize"

    def score(self, value: float) -> float:
        """Return the score of a value of the KPI."""
        return value if self.direction == "maximize" else -value

    def value(self, score: float) -> float:
        """Return the KPI's value that a score stands for."""
        return self.score(score)

    def score_of(self, result: EpochRecord | ReplicateResult) -> float:
        """Return the score of a result on the validation pictures; NaN where the KPI was not measured."""
        value = result.validation_accuracy if self.name == ACCURACY else result.own_kpis.get(self.name)
        return math.nan if value is None else self.score(value)
