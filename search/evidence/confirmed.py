"""Holds a finished confirmation with its answer."""

from __future__ import annotations

import dataclasses

from search.evidence.answers import ConfirmedVerdict
from search.evidence.comparison import Comparison
from search.records import ConfirmationRecord


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """A finished confirmation: its winner is a rule or the best constant, which is the baseline."""

    record: ConfirmationRecord
    comparison: Comparison
    verdict: ConfirmedVerdict
    winner: str
    baseline: str

    @property
    def champion(self) -> str | None:
        """The finalist to use: the winner, unless a KPI gate turns it down; None if no finalist keeps every gate."""
        return self.verdict.champion

    @property
    def rival(self) -> str | None:
        """The finalist shown beside the best constant: the winner, or else the nearest rule; None without one."""
        if self.winner != self.baseline:
            return self.winner
        return self.comparison.nearest.key if self.comparison.nearest else None

    @property
    def labels_alone(self) -> str | None:
        """The finalist that was trained without a teacher; None without one."""
        return self.comparison.labels_alone.key if self.comparison.labels_alone else None


def confirmed_of(
    record: ConfirmationRecord | None, comparison: Comparison | None, verdict: ConfirmedVerdict | None
) -> Confirmed | None:
    """Return a confirmation with its answer; None while it has none."""
    if record is None or verdict is None or comparison is None or verdict.winner is None:
        return None
    assert verdict.baseline is not None  # a winner is named against a baseline
    return Confirmed(record, comparison, verdict, verdict.winner, verdict.baseline)
