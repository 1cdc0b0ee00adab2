"""What a search and its confirmation show: paired statistics, and one judgement that is no stronger than they are.

Pure functions of records. SciPy and statsmodels are imported when something is computed, torch, Ray and MLflow never.
Terminal, page, JSON, MLflow and the model card render a `Judgement`; nothing here imports them.
"""

from __future__ import annotations

from search.evidence.comparison import Claim, Comparison, FinalistRow, compare
from search.evidence.judgement import Judgement, judge
from search.evidence.statistics.paired import PairedTest, paired_test
from search.evidence.verdict import ConfirmedVerdict, judge_confirmation

__all__ = [
    "Claim",
    "Comparison",
    "ConfirmedVerdict",
    "FinalistRow",
    "Judgement",
    "PairedTest",
    "compare",
    "judge",
    "judge_confirmation",
    "paired_test",
]
