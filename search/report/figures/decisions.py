"""Draws every decision of the rule in question along a trial: λ, branches, the guard's steps, and the readings."""

from __future__ import annotations

from search.drawing import Figure, Table, finish
from search.evidence import ReportSource, finalist_of
from search.explain import Branch, Explanation, explain, plot_decisions
from search.records import TrialRecord
from search.settings import CONSTANT_FAMILY
from search.wording import count, family_title, sentence_case
from trainables.records import DecisionEntry

_MOST_BRANCHES = 3


def decisions_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None if there is no rule or no log of it. Must be called inside `drawing.style`."""
    trial = _trial(source)
    log = None if trial is None else source.decisions(trial)
    if trial is None or log is None or not log.entries:
        return None
    told = explain(log, f"trial {trial.number}")
    return finish(
        plot_decisions(log, f"trial {trial.number}: {family_title(trial.family)}", trial.history.trace),
        name="decisions",
        title="What did the rule decide, and on what readings?",
        caption=(
            f"Trial {trial.number} of the search, {count(len(log.context.seeds), 'seed')}. Each seed has its own"
            " branches; λ and readings are those at which the rule changed its decision."
        ),
        finding=_finding(trial, told),
        table=Table(DecisionEntry._fields, log.entries),
    )


def _trial(source: ReportSource) -> TrialRecord | None:
    """Return the trial of the rule that the report is about.

    It is the winner, or the rule that came nearest; without a confirmation, the best rule of the search.
    """
    confirmed = source.confirmed
    if confirmed is None:
        return next((trial for trial in source.judged.finished if trial.family != CONSTANT_FAMILY), None)
    number = None if confirmed.rival is None else finalist_of(confirmed.record, confirmed.rival).trial
    return next((trial for trial in source.search.trials if trial.number == number), None)


def _finding(trial: TrialRecord, told: Explanation) -> str:
    name = sentence_case(family_title(trial.family))
    steps = sum(entry.steps for entry in told.interventions)
    guard = f" The guard intervened at {count(steps, 'step')}." if steps else ""
    if told.constant:
        return f"{name} never changed its decision: on this training it was a constant.{guard}"
    if len(told.branches) == 1:
        branch = told.branches[0]
        return f"{name} has one branch, with {_weights(branch)}.{guard}"
    switches = sum(story.switches for story in told.stories) / len(told.stories)
    often = "once" if switches == 1 else f"{switches:,.0f} times" if switches >= 10 else f"{switches:.2g} times"
    shares = ", ".join(f"{100 * b.share:.0f} % with {_weights(b)}" for b in told.branches[:_MOST_BRANCHES])
    return f"{name} changed its branch {often} per seed. Of the steps, {shares}.{guard}"


def _weights(branch: Branch) -> str:
    """Return λ in a branch: `λ = 0.9`, or `λ from 0.1 to 0.9`."""
    low, high = f"{branch.low:.2g}", f"{branch.high:.2g}"
    return f"λ = {low}" if low == high else f"λ from {low} to {high}"
