"""Computes what would settle a confirmation that cannot tell: more seeds, or only more test samples."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from search.evidence.answers import Settling
from search.evidence.comparison import Comparison
from search.evidence.scores import Scores
from search.evidence.statistics.paired import ROUNDING
from search.evidence.statistics.power import samples_for, samples_leave, seeds_for
from search.evidence.statistics.two_noises import TwoNoises
from search.wording import Scale, count

Toward: TypeAlias = Literal["rule", "constant"]


class _Step(NamedTuple):
    """A distance to be distinguished from zero: that of a gain from none, or from the smallest that is worth it."""

    distance: float
    noises: TwoNoises
    chances: int


class _Ways(NamedTuple):
    """Both ways to an answer. One step of `rule` is enough; `constant` needs all of its steps."""

    rule: list[_Step]
    constant: list[_Step]

    def shortest(self, needed: Callable[[_Step], int | None]) -> tuple[int, Toward] | None:
        """Return what the way that needs least needs, and which it is; None if neither leads to an answer."""
        found = [number for step in self.rule if (number := needed(step)) is not None]
        ways: list[tuple[int, Toward]] = [(number, "rule") for number in found]
        below = [number for step in self.constant if (number := needed(step)) is not None]
        if below and len(below) == len(self.constant):
            ways.append((max(below), "constant"))
        return min(ways, default=None)


def settling(scores: Scores, comparison: Comparison) -> Settling:
    """Compute what would settle it if the gains stayed as they are; a further look at the results is counted.

    Args:
        scores: those of a confirmation whose verdict is `cannot_tell`.
        comparison: the confirmation's; it has a baseline.
    """
    return _settling(scores, _ways(scores, comparison), _out_of_reach(scores, comparison))


def worth_settling(scores: Scores, comparison: Comparison, best: str, labels: str, allowance: float) -> Settling:
    """Compute what would settle whether distillation is worth it, if the gains over the labels alone did not change.

    Args:
        scores: those of a confirmation that cannot tell.
        comparison: the confirmation's.
        best: key of the finalist that is compared with the labels alone.
        labels: key of the labels alone.
        allowance: the gain that distillation must exceed.
    """
    looks, margin, ways = comparison.looks + 1, scores.record.margin, _Ways([], [])
    for row in comparison.rows:
        noises = scores.noises(row.key, labels)
        if row.role == "labels_alone" or noises is None or noises.error < ROUNDING:
            continue
        if row.key == best:
            chances = comparison.rules if row.role == "rule" else 1
            ways.rule.append(_Step(noises.mean - allowance, noises, max(chances, 1) * looks))
        if margin is not None:
            ways.constant.append(_Step(margin - noises.mean, noises, looks))
    return _settling(scores, ways if ways.rule else None, "").model_copy(update={"toward": None})


def _settling(scores: Scores, ways: _Ways | None, floor: str) -> Settling:
    if ways is None:
        return Settling(text="The noise between the seeds is not known, so neither is what would settle it.")
    record, have = scores.record, len(scores.record.seeds)
    by_seeds = ways.shortest(lambda step: seeds_for(*step))
    by_samples = ways.shortest(lambda step: samples_for(step.distance, step.noises, have, step.chances))
    found: dict[str, Any] = {}
    text = f"Neither more seeds alone nor more test {scores.unit} alone would settle it, if the gains stay as they are."
    if by_seeds is not None:
        needed = max(by_seeds[0], have + 1)
        command = shlex.join(["kd-search", "confirm", record.search, "--seeds", str(needed)])
        found = {"seeds": needed, "command": command, "toward": by_seeds[1]}
        text = f"About {count(needed, 'seed')} would settle it, if the gains stay as they are: `{command}`."
    elif by_samples is not None:
        needed = _rounded_up(by_samples[0])
        found = {"samples": needed, "toward": by_samples[1]}
        text = (
            "More seeds alone would not settle it, if the gains stay as they are. A test set of about"
            f" {needed:,} {scores.unit} would, with {count(have, 'seed')}."
        )
    return Settling(text=f"{text} {floor}".rstrip(), **found)


def _ways(scores: Scores, comparison: Comparison) -> _Ways | None:
    """List the steps of both ways; None if the noise of a rule is not known.

    No rule can be shown to be better than a constant that was not bracketed, so `rule` is empty then.
    """
    assert comparison.baseline is not None
    looks, margin, ways = comparison.looks + 1, scores.record.margin, _Ways([], [])
    for row in comparison.rows:
        if row.claim is None or row.lost or row.absent:
            continue
        noises, hardest = scores.noises(row.key, comparison.baseline), scores.noises(row.key, row.claim.hardest)
        if noises is None or hardest is None or min(noises.error, hardest.error) < ROUNDING:
            return None
        if scores.facts.bracketed:
            distance = hardest.mean - scores.facts.expected_loss
            ways.rule.append(_Step(distance, hardest, comparison.rules * looks))
        if margin is not None:
            ways.constant.append(_Step(margin - noises.mean, noises, looks))
    return ways


def _out_of_reach(scores: Scores, comparison: Comparison) -> str:
    """Write a sentence if the test set alone makes the answer `constant` impossible; empty if not."""
    record, baseline = scores.record, comparison.baseline
    margin = record.margin
    if margin is None or baseline is None or record.test_size is None:
        return ""
    rules = [row.key for row in comparison.rows if row.role == "rule" and not row.lost]
    left = max((samples_leave(noises) for key in rules if (noises := scores.noises(key, baseline))), default=0.0)
    if left < margin:
        return ""
    scale = Scale(record.objective)
    return (
        f"No number of seeds can show on these {record.test_size:,} test {scores.unit} that no rule is worth it: the"
        f" choice of {scores.unit} alone leaves ±{scale.size(left)}, and {scale.size(margin)} would be worth a rule."
    )


def _rounded_up(number: int) -> int:
    """Round up to two digits: the number comes from an observed gain, and is no more certain than that."""
    step: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // step) * step
