"""Puts the story of a training into words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from policies.update.fallback import FALL_BACK
from search.explain.monitored import monitor_lines
from search.explain.phases import Phase, Reason
from search.explain.summary import READINGS, Branch, Explanation
from search.wording import count
from trainables.training import NOTABLE_CHANGE

_SEEDS_TOLD = 3
_REASONS_TOLD = 3


def explanation_text(told: Explanation) -> str:
    """Return the story in words."""
    title = f"{told.title}, {told.remark}" if told.remark else told.title
    lines = [f"{title}: {told.family}", f"rule: {told.rule}", ""]
    of_all = "" if told.steps == told.total_steps else f" of {told.total_steps:,}"
    seeds = "" if told.monitor else f" under {count(len(told.stories), 'seed')}"
    lines.append(f"{told.steps:,}{of_all} steps{seeds}, {told.entries:,} entries in the log.")
    if told.dropped:
        lines.append(f"The log was full: {told.dropped:,} later entries are missing, so do not trust the last phases.")
    if told.constant:
        lines += ["", _never_changed(told)]
    else:
        lines += ["", *_branch_lines(told), *_story_lines(told)]
    lines += ["", *_intervention_lines(told)]
    return "\n".join([*lines, "", *monitor_lines(told.monitor)] if told.monitor else lines)


def _never_changed(told: Explanation) -> str:
    weights = sorted({phase.mean for story in told.stories for phase in story.phases})
    if not weights:
        return "No step has been taken yet."
    values = f"λ = {weights[0]:.3g}" if len(weights) == 1 else f"λ between {weights[0]:.3g} and {weights[-1]:.3g}"
    reasons = [reason for reason in told.stories[0].phases[0].reasons if reason.kind != "constant"]
    given = _quoted(reasons) if reasons else ""
    was = "a constant" if len(weights) == 1 else "nearly a constant"
    return (
        f"The rule never changed its decision: one branch throughout, and λ never moved by {NOTABLE_CHANGE:g}"
        f" ({values}). On this training it was {was}{f'; {given}' if given else ''}."
    )


def _branch_lines(told: Explanation) -> list[str]:
    if len(told.branches) == 1:
        common = _common_reason(told)
        return [f"The rule has one branch, in which λ moves{f'; “{common}” throughout' if common else ''}.", ""]
    lines = []
    for branch in told.branches:
        readings = [
            f"{words} {value:.3g}" for name, words in READINGS.items() if (value := getattr(branch, name)) is not None
        ]
        entered = f"entered {count(branch.entered, 'time')}"
        typically = f", typically at {', '.join(readings)}" if readings else ""
        example = f"; e.g. “{branch.example}”" if branch.example else ""
        lines.append(f"{_named(branch)}: {branch.share:.0%} of the steps, {entered}{typically}{example}")
    return [*lines, ""]


def _story_lines(told: Explanation) -> list[str]:
    names = {branch.number: _named(branch) for branch in told.branches}
    lines = []
    for story in told.stories[:_SEEDS_TOLD]:
        changes = f", {count(story.switches, 'change')} of branch" if len(names) > 1 else ""
        lines.append(f"{'the training' if told.monitor else f'seed {story.seed}'}{changes}")
        lines += [f"  {line}" for line in _phase_lines(story.phases, names, _common_reason(told))]
    if len(told.stories) > _SEEDS_TOLD:
        switches = [story.switches for story in told.stories[_SEEDS_TOLD:]]
        least, most = min(switches), max(switches)
        upwards = "" if least == most else f"{least:,} to "
        changes = f", with {upwards}{count(most, 'change')} of branch" if len(names) > 1 else ""
        lines.append(f"{count(len(switches), 'more seed')}{changes}")
    return lines


def _phase_lines(found: Sequence[Phase], names: dict[int, str], common: str) -> list[str]:
    """Return a line for each phase with its reason; neighbours that read the same share the first one's line.

    If branches alternate, no reason is given: the lines of the branches have them.
    """
    lines = []
    for _, group in itertools.groupby(enumerate(found), key=lambda pair: _reading(pair[0], pair[1], names)):
        same = [phase for _, phase in group]
        first = same[0]
        given = "" if common or first.switches > 1 else _quoted(first.reasons)
        lines.append(f"{_steps(first, same[-1])}: {_in_words(first, names)}{f'; {given}' if given else ''}")
    return lines


def _reading(place: int, phase: Phase, names: dict[int, str]) -> tuple[object, ...]:
    """Return a key that phases of one line share; a phase in which something moves has a key of its own."""
    quiet = phase.switches == 0 and phase.high - phase.low < NOTABLE_CHANGE
    return _in_words(phase, names), tuple(reason.kind for reason in phase.reasons), -1 if quiet else place


def _common_reason(told: Explanation) -> str:
    """Return the one reason that a rule without branches gave throughout, if it has no number; else an empty text."""
    kinds = {reason.kind: reason for story in told.stories for phase in story.phases for reason in phase.reasons}
    if len(told.branches) > 1 or len(kinds) != 1:
        return ""
    (reason,) = kinds.values()
    return reason.example if reason.example == reason.kind else ""


def _quoted(reasons: Sequence[Reason]) -> str:
    """Return such as `“early”`; `e.g. “norm ratio 2.48 not above 4”`; `“early” (70%), “late” (30%)`."""
    if len(reasons) == 1:
        (reason,) = reasons
        return f"{'' if reason.example == reason.kind else 'e.g. '}“{reason.example}”"
    told = [f"“{reason.example}” ({reason.share:.0%})" for reason in reasons[:_REASONS_TOLD]]
    more = len(reasons) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _steps(first: Phase, last: Phase) -> str:
    return f"step {first.first:,}" if first.first == last.last else f"steps {first.first:,}–{last.last:,}"


def _in_words(phase: Phase, names: dict[int, str]) -> str:
    main, share = next(iter(phase.shares.items()))
    if phase.switches > 1:
        between = " and ".join(names[branch] for branch in sorted(phase.shares))
        return f"switched {phase.switches} times between {between}, mostly branch {main} ({share:.0%})"
    if len(names) > 1:
        moving = "" if phase.high - phase.low < NOTABLE_CHANGE else f", {_moved(phase)}"
        return " then ".join(names[branch] for branch in phase.shares) + moving
    return _moved(phase)


def _moved(phase: Phase) -> str:
    if phase.high - phase.low < NOTABLE_CHANGE:
        return f"λ about {phase.mean:.2f}"
    verb = "went" if abs(phase.end - phase.start) < NOTABLE_CHANGE else "fell" if phase.end < phase.start else "rose"
    return f"λ {verb} from {phase.start:.2f} to {phase.end:.2f} (between {phase.low:.2f} and {phase.high:.2f})"


def _named(branch: Branch) -> str:
    name = "the fall-back" if branch.number == FALL_BACK else f"branch {branch.number}"
    if branch.high - branch.low < 1e-9:
        return f"{name} (λ = {branch.low:.3g})"
    return f"{name} (λ {branch.low:.2f}–{branch.high:.2f})"


def _intervention_lines(told: Explanation) -> list[str]:
    if not told.interventions:
        return ["The guard never intervened."]
    return [
        f"The guard intervened at {count(found.steps, 'step')}, first at step {found.first_step:,}"
        f"{'' if told.monitor else f' of seed {found.first_seed}'}: {found.example}"
        for found in told.interventions
    ]
