"""Sums up a decision log: what a rule did along a training, and why."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections import Counter, defaultdict
from typing import Any

from policies.guarding.intervention import intervention_kind
from policies.monitoring import MonitorLog
from search.explain.monitored import MonitorStory, monitor_story
from search.explain.phases import Phase, Span, phases, spans, switches
from trainables.records import DecisionEntry
from trainables.training import StoredLog

READINGS = {
    "cosine": "cosine",
    "norm_ratio": "norm ratio",
    "confidence": "teacher's confidence",
    "agreement": "teacher's agreement with the label",
    "class_reliability": "teacher's reliability on the labels' classes",
    "answer_reliability": "teacher's reliability on its own classes",
    "confidence_reliability": "teacher's reliability at its confidence",
}
"""The readings of an entry and of a branch, in words."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Branch:
    """One branch of the rule over all seeds: its share of the steps, how often it was entered, λ and typical readings.

    Readings are medians over the entries, None if none was measured; `example` is the reason of one entry.
    """

    number: int
    share: float
    entered: int
    low: float
    high: float
    cosine: float | None
    norm_ratio: float | None
    confidence: float | None
    agreement: float | None
    class_reliability: float | None
    answer_reliability: float | None
    confidence_reliability: float | None
    example: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Story:
    """One seed's training."""

    seed: int
    switches: int
    phases: tuple[Phase, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interventions:
    """The guard's interventions of one kind: at how many steps, and where the first was."""

    kind: str
    steps: int
    first_step: int
    first_seed: int
    example: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """A decision log, summed up. `branches` are ordered by share; `constant` says that λ never moved notably.

    `remark` says how the trial stands in its search. `monitor` holds the alarms, if a monitor wrote the log.
    """

    title: str
    remark: str
    family: str
    rule: str
    steps: int
    total_steps: int
    entries: int
    dropped: int
    constant: bool
    branches: tuple[Branch, ...]
    stories: tuple[Story, ...]
    interventions: tuple[Interventions, ...]
    monitor: MonitorStory | None = None


def explain(log: StoredLog, title: str, remark: str = "", monitored: MonitorLog | None = None) -> Explanation:
    """Compute the numbers of a story.

    Args:
        log: the log of one trial.
        title: the name of the trial.
        remark: how the trial stands in its search; empty if there is nothing to say.
        monitored: the monitor's log, if `log` was read from one.
    """
    by_seed = {seed: spans(log, seed) for seed in log.context.seeds}
    return Explanation(
        title=title,
        remark=remark,
        family=str(log.context.policy.get("family", "")),
        rule=str(log.context.policy.get("rule", "")),
        steps=log.context.steps,
        total_steps=log.context.total_steps,
        entries=len(log.entries),
        dropped=log.context.dropped,
        constant=len(log.entries) <= len(log.context.seeds),
        branches=_branches([span for of_seed in by_seed.values() for span in of_seed]),
        stories=tuple(
            Story(seed=seed, switches=switches(of_seed), phases=phases(of_seed)) for seed, of_seed in by_seed.items()
        ),
        interventions=_interventions(log),
        monitor=None if monitored is None else monitor_story(monitored),
    )


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return plain values; shares in [0, 1], steps from 0."""
    return dataclasses.asdict(explanation)


def _branches(all_spans: list[Span]) -> tuple[Branch, ...]:
    grouped: dict[int, list[Span]] = defaultdict(list)
    for span in all_spans:
        grouped[span.entry.branch].append(span)
    total = sum(span.length for span in all_spans)
    stays = itertools.groupby(all_spans, key=lambda span: (span.entry.seed, span.entry.branch))
    entered = Counter(branch for (_, branch), _ in stays)
    found = []
    for number, own in grouped.items():
        free = [span.entry for span in own if span.entry.intervention is None] or [span.entry for span in own]
        found.append(
            Branch(
                number=number,
                share=sum(span.length for span in own) / total,
                entered=entered[number],
                low=min(entry.weight for entry in free),
                high=max(entry.weight for entry in free),
                example=free[len(free) // 2].reason,
                **{name: _median([getattr(entry, name) for entry in free]) for name in READINGS},
            )
        )
    return tuple(sorted(found, key=lambda branch: -branch.share))


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _interventions(log: StoredLog) -> tuple[Interventions, ...]:
    found: dict[str, list[DecisionEntry]] = defaultdict(list)
    for entry in sorted(log.entries, key=lambda entry: entry.step):
        if entry.intervention is not None:
            found[intervention_kind(entry.intervention)].append(entry)
    told = [
        Interventions(
            kind=kind,
            steps=sum(1 + entry.repeats for entry in own),
            first_step=own[0].step,
            first_seed=own[0].seed,
            example=own[0].intervention or "",
        )
        for kind, own in found.items()
    ]
    return tuple(sorted(told, key=lambda one: -one.steps))
