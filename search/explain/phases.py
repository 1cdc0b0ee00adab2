"""Splits one seed's training into phases, from the entries of its decision log."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Hashable, Sequence

from trainables.records import DecisionEntry
from trainables.training import StoredLog, reason_kind

_MOST_PHASES = 8
_PARTS = 5


@dataclasses.dataclass(frozen=True)
class Span:
    """The steps `first` to `stop` - 1, over which an entry holds."""

    first: int
    stop: int
    entry: DecisionEntry

    @property
    def length(self) -> int:
        """The number of steps."""
        return self.stop - self.first


@dataclasses.dataclass(frozen=True)
class Reason:
    """One of a phase's reasons: `kind` has no numbers, `example` is the first with them; `share` is of the steps."""

    kind: str
    example: str
    share: float


@dataclasses.dataclass(frozen=True)
class Phase:
    """The steps `first` to `last`: the number of changes of branch, the share of each branch, the reasons, and λ.

    `reasons` are in the order in which they were first given. `start` and `end` are λ at both ends, `low` and `high`
    its extremes, `mean` its mean over the steps. Reasons and λ leave out steps at which the guard intervened, unless it
    intervened throughout.
    """

    first: int
    last: int
    switches: int
    shares: dict[int, float]
    reasons: tuple[Reason, ...]
    start: float
    end: float
    low: float
    high: float
    mean: float


def spans(log: StoredLog, seed: int) -> list[Span]:
    """Return the entries of a seed, each with the steps over which it holds."""
    entries = [entry for entry in log.entries if entry.seed == seed]
    stops = [*(entry.step for entry in entries[1:]), log.context.steps][: len(entries)]
    return [Span(entry.step, stop, entry) for entry, stop in zip(entries, stops, strict=True) if stop > entry.step]


def switches(group: Sequence[Span]) -> int:
    """Return the number of changes of branch."""
    return sum(a.entry.branch != b.entry.branch for a, b in itertools.pairwise(group))


def phases(of_seed: Sequence[Span]) -> tuple[Phase, ...]:
    """Return stretches in one branch; if branches alternate quickly, one phase for the whole stretch.

    A stretch counts as quiet if it takes a twentieth of the training. This limit is raised if there would be many
    phases. A rule that stays in one branch is split by its reasons instead. If its reason also stays the same and its λ
    moves, each fifth of the training is a phase.
    """
    if not of_seed:
        return ()
    runs = _runs(of_seed, [span.entry.branch for span in of_seed])
    if len(runs) == 1:
        runs = _runs(of_seed, [reason_kind(span.entry.reason) for span in of_seed])
    if len(runs) == 1:
        return _parts(of_seed)
    steps = of_seed[-1].stop - of_seed[0].first
    shortest = max(1, steps // 20)
    while True:
        merged = _merged(runs, shortest)
        if len(merged) <= _MOST_PHASES or shortest > steps:
            return tuple(_phase(group) for group in merged)
        shortest *= 2


def _runs(of_seed: Sequence[Span], cases: Sequence[Hashable]) -> list[list[Span]]:
    pairs = itertools.groupby(zip(cases, of_seed, strict=True), key=lambda pair: pair[0])
    return [[span for _, span in run] for _, run in pairs]


def _merged(runs: Sequence[list[Span]], shortest: int) -> list[list[Span]]:
    merged = []
    for quiet, group in itertools.groupby(runs, key=lambda run: run[-1].stop - run[0].first >= shortest):
        of_group = list(group)
        merged += of_group if quiet else [[span for run in of_group for span in run]]
    return merged


def _parts(of_seed: Sequence[Span]) -> tuple[Phase, ...]:
    first, stop = of_seed[0].first, of_seed[-1].stop
    parts = min(_PARTS, stop - first) if len(of_seed) > 1 else 1
    edges = [first + (stop - first) * part // parts for part in range(parts + 1)]
    return tuple(_phase(_cut(of_seed, low, high)) for low, high in itertools.pairwise(edges))


def _cut(of_seed: Sequence[Span], first: int, stop: int) -> list[Span]:
    clipped = [Span(max(span.first, first), min(span.stop, stop), span.entry) for span in of_seed]
    return [span for span in clipped if span.length > 0]


def _phase(group: Sequence[Span]) -> Phase:
    steps: Counter[int] = Counter()
    for span in group:
        steps[span.entry.branch] += span.length
    total = steps.total()
    free = [span for span in group if span.entry.intervention is None] or group
    weights = [span.entry.weight for span in free]
    return Phase(
        first=group[0].first,
        last=group[-1].stop - 1,
        switches=switches(group),
        shares={branch: count / total for branch, count in steps.most_common()},
        reasons=_reasons(free),
        start=weights[0],
        end=weights[-1],
        low=min(weights),
        high=max(weights),
        mean=sum(span.entry.weight * span.length for span in free) / sum(span.length for span in free),
    )


def _reasons(group: Sequence[Span]) -> tuple[Reason, ...]:
    steps: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for span in group:
        kind = reason_kind(span.entry.reason)
        steps[kind] += span.length
        examples.setdefault(kind, span.entry.reason)
    return tuple(Reason(kind, example, steps[kind] / steps.total()) for kind, example in examples.items() if kind)
