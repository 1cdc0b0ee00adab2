"""Lists the confirmed finalists: scores in the search, scores on fresh seeds, and the difference to the constant."""

from __future__ import annotations

from search.drawing import Table
from search.evidence import Confirmed, FinalistRow, VerdictKind, title
from search.metrics import metrics_with

_STANDS: dict[VerdictKind, str] = {
    "rule": "beats it",
    "constant": "better, but not worth it",
    "cannot_tell": "better than those tried",
    "incomplete": "noise not known",
}
"""The words for a lead beyond the noise, by the verdict: they must not say more than the verdict."""


class RankedFinalist(FinalistRow):
    """A finalist with its place by test score, its name and its rule in words."""

    place: int
    label: str
    rule: str
    is_winner: bool
    is_baseline: bool
    breaks: str = ""
    """The KPI gates that it breaks, in words; empty if it keeps them all, or without gates."""
    verdict: VerdictKind
    """The verdict of the whole confirmation."""

    @property
    def mark(self) -> str:
        """The finalist's standing against the best constant, in a few words."""
        return f"{self.standing}; breaks {self.breaks}" if self.breaks else self.standing

    @property
    def standing(self) -> str:
        """The same without the KPI gates."""
        if self.is_baseline:
            return "the best constant"
        if self.lost:
            return "left out: a training without a score"
        if self.claim is not None and self.claim.stands:
            return _STANDS[self.verdict]
        if self.difference is None or self.difference.low is None or self.difference.high is None:
            return "noise not known"
        if self.difference.too_few_seeds:
            return "too few seeds to tell"
        return "behind" if self.difference.high < 0.0 else "within noise"


def ranked_finalists(confirmed: Confirmed) -> tuple[RankedFinalist, ...]:
    """Return the finalists by test score, best first; those with a training without a score are last."""
    record = confirmed.record
    finalists = {finalist.key: finalist for finalist in record.finalists}
    rows = sorted(
        confirmed.comparison.rows, key=lambda row: float("inf") if row.test is None or row.lost else -row.test
    )
    return tuple(
        RankedFinalist(
            **dict(row),
            place=place,
            label=title(record, row.key),
            rule=finalists[row.key].rule,
            is_winner=row.key == confirmed.champion,
            is_baseline=row.key == confirmed.baseline,
            breaks=_broken(confirmed, row.key),
            verdict=confirmed.verdict.kind,
        )
        for place, row in enumerate(rows, start=1)
    )


def _broken(confirmed: Confirmed, key: str) -> str:
    gating = confirmed.verdict.gating
    return "" if gating is None else ", ".join(f"{check.gate} ({check.value})" for check in gating.of(key).broken)


def finalist_numbers(rows: tuple[RankedFinalist, ...]) -> Table:
    """Return a line for each finalist; the sign of scores is such that higher is better."""
    return Table(
        (
            "place", "key", "finalist", "role", "rule", "numbers", "search_score", "validation_score", "test_score",
            "test_standard_deviation", "difference", "low", "high", "p_corrected", "winner", "baseline", "breaks",
        ),
        tuple(
            (
                row.place, row.key, row.label, row.role, row.rule, row.complexity, row.search_score, row.validation,
                row.test, row.spread,
                *(getattr(row.difference, name, None) for name in ("mean", "low", "high")),
                getattr(row.claim, "p_corrected", None),
                row.is_winner, row.is_baseline, row.breaks,
            )
            for row in rows
        ),
    )  # fmt: skip


def seed_numbers(confirmed: Confirmed) -> Table:
    """Return a line for each finalist and seed."""
    record = confirmed.record
    metrics = metrics_with(sorted({name for result in record.results for name in result.own_kpis}))
    return Table(
        (
            "key", "seed", *(f"test_{metric.name}" for metric in metrics),
            *(f"validation_{metric.name}" for metric in metrics), "seconds",
        ),
        tuple(
            (
                result.finalist, result.seed, *(metric.of_result(result) for metric in metrics),
                *(metric.of_result(result, "validation") for metric in metrics), result.seconds,
            )
            for result in record.results
        ),
    )  # fmt: skip
