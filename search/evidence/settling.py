"""Computes what would settle a confirmation that cannot tell: more seeds, or only more test samples."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from typing import Literal

from search.evidence.answers import Settling
from search.evidence.comparison import Comparison, expected_loss
from search.evidence.scores import Scores
from search.evidence.statistics.paired import ROUNDING
from search.evidence.statistics.power import samples_for, samples_leave, seeds_for
from search.evidence.statistics.two_noises import TwoNoises
from search.records import ConfirmationRecord
from search.wording import Scale, count


@dataclasses.dataclass(frozen=True)
class _Step:
    """A distance to be distinguished from zero: that of a gain from none, or from the smallest that is worth it."""

    distance: float
    noises: TwoNoises
    chances: int


@dataclasses.dataclass(frozen=True)
class _Ways:
    """Both ways to an answer. One step of `rule` is enough; `constant` needs all of its steps."""

    rule: tuple[_Step, ...]
    constant: tuple[_Step, ...]

    def shortest(self, needed: Callable[[_Step], int | None]) -> tuple[Literal["rule", "constant"], int] | None:
        """Return the way that needs least, and how much; None if neither leads to an answer."""
        rules = [number for step in self.rule if (number := needed(step)) is not None]
        below = [needed(step) for step in self.constant]
        all_below = [number for number in below if number is not None]
        ways: list[tuple[int, Literal["rule", "constant"]]] = []
        if all_below and len(all_below) == len(below):
            ways.append((max(all_below), "constant"))
        if rules:
            ways.append((min(rules), "rule"))
        if not ways:
            return None
        number, toward = min(ways)
        return toward, number


def settling(record: ConfirmationRecord, scores: Scores, comparison: Comparison) -> Settling:
    """Compute what would settle it if the gains stayed as they are; a further look at the results is counted.

    Args:
        record: a confirmation whose verdict is `cannot_tell`.
        scores: the confirmation's.
        comparison: the confirmation's; it has a baseline.
    """
    return _settling(record, _ways(record, scores, comparison), _out_of_reach(record, scores, comparison))


def worth_settling(
    record: ConfirmationRecord, scores: Scores, comparison: Comparison, best: str, labels: str, allowance: float
) -> Settling:
    """Compute what would settle whether distillation is worth it, if the gains over the labels alone did not change.

    Args:
        record: a confirmation that cannot tell.
        scores: the confirmation's.
        comparison: the confirmation's.
        best: key of the finalist that is compared with the labels alone.
        labels: key of the labels alone.
        allowance: the gain that distillation must exceed.
    """
    looks, margin = comparison.looks + 1, record.margin
    pays, does_not = list[_Step](), list[_Step]()
    for row in comparison.rows:
        noises = scores.noises(row.key, labels)
        if row.role == "labels_alone" or noises is None or noises.error < ROUNDING:
            continue
        if row.key == best:
            chances = comparison.rules if row.role == "rule" else 1
            pays.append(_Step(noises.mean - allowance, noises, max(chances, 1) * looks))
        if margin is not None:
            does_not.append(_Step(margin - noises.mean, noises, looks))
    ways = _Ways(rule=tuple(pays), constant=tuple(does_not)) if pays else None
    return _settling(record, ways, "").model_copy(update={"toward": None})


def _settling(record: ConfirmationRecord, ways: _Ways | None, floor: str) -> Settling:
    if ways is None:
        return Settling(text="The noise between the seeds is not known, so neither is what would settle it.")
    have = len(record.seeds)
    by_seeds = ways.shortest(lambda step: seeds_for(step.distance, step.noises, step.chances))
    if by_seeds is not None:
        toward, needed = by_seeds[0], max(by_seeds[1], have + 1)
        command = shlex.join(["kd-search", "confirm", record.search, "--seeds", str(needed)])
        text = f"About {count(needed, 'seed')} would settle it, if the gains stay as they are: `{command}`."
        return Settling(seeds=needed, command=command, toward=toward, text=_join(text, floor))
    by_samples = ways.shortest(lambda step: samples_for(step.distance, step.noises, have, step.chances))
    if by_samples is None:
        text = "Neither more seeds alone nor more test pictures alone would settle it, if the gains stay as they are."
        return Settling(text=_join(text, floor))
    needed = _rounded_up(by_samples[1])
    text = (
        "More seeds alone would not settle it, if the gains stay as they are. A test set of about"
        f" {needed:,} pictures would, with {count(have, 'seed')}."
    )
    return Settling(samples=needed, toward=by_samples[0], text=_join(text, floor))


def _ways(record: ConfirmationRecord, scores: Scores, comparison: Comparison) -> _Ways | None:
    """List the steps of both ways; None if the noise of a rule is not known.

    No rule can be shown to be better than a constant that was not bracketed, so `rule` is empty then.
    """
    assert comparison.baseline is not None
    looks, margin = comparison.looks + 1, record.margin
    is_bracketed = record.constant is not None and record.constant.bracketed
    rule, constant = [], []
    for row in comparison.rows:
        if row.claim is None or row.lost or row.absent:
            continue
        noises, hardest = scores.noises(row.key, comparison.baseline), scores.noises(row.key, row.claim.hardest)
        if noises is None or hardest is None or min(noises.error, hardest.error) < ROUNDING:
            return None
        if is_bracketed:
            rule.append(_Step(hardest.mean - expected_loss(record), hardest, comparison.rules * looks))
        if margin is not None:
            constant.append(_Step(margin - noises.mean, noises, looks))
    return _Ways(tuple(rule), tuple(constant))


def _out_of_reach(record: ConfirmationRecord, scores: Scores, comparison: Comparison) -> str:
    """Write a sentence if the test set alone makes the answer `constant` impossible; empty if not."""
    margin, baseline = record.margin, comparison.baseline
    if margin is None or baseline is None or record.test_size is None:
        return ""
    rules = [row.key for row in comparison.rows if row.role == "rule" and not row.lost]
    left = max((samples_leave(noises) for key in rules if (noises := scores.noises(key, baseline))), default=0.0)
    if left < margin:
        return ""
    scale = Scale(record.objective)
    return (
        f"No number of seeds can show on these {record.test_size:,} test pictures that no rule is worth it: the choice"
        f" of pictures alone leaves ±{scale.size(left)}, and {scale.size(margin)} would be worth a rule."
    )


def _rounded_up(number: int) -> int:
    """Round up to two digits: the number comes from an observed gain, and is no more certain than that."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // step) * step


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)
