"""What a confirmation shows: paired statistics, and a verdict that is no stronger than they are.

Pure functions of a `ConfirmationRecord`. SciPy and statsmodels are imported when something is computed, torch, Ray and
MLflow never.
"""

from __future__ import annotations

from search.evidence.comparison import Claim, Comparison, FinalistRow, compare
from search.evidence.paired import PairedTest, paired_test
from search.evidence.verdict import ConfirmedVerdict, judge_confirmation

__all__ = [
    "Claim",
    "Comparison",
    "ConfirmedVerdict",
    "FinalistRow",
    "PairedTest",
    "compare",
    "judge_confirmation",
    "paired_test",
]
