"""Derives what a trained rule really did, as opposed to what it might have done: some rules never act.

A rule whose λ never moved is a constant with unused numbers. A tree may have sides that were never reached. Ranking,
finalists, `policy.json` and wording treat such a rule as what it did, with the complexity of that.

The answer comes from the recorded λ and cases of all steps, so it is the same for every family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from policies.bases.tree_rule import TreeRule
from policies.errors import PolicyError
from policies.families.schedules.fixed import Fixed
from policies.parameter import Value
from policies.policy import Policy
from policies.registry import create_policy
from search.constants import same_weight
from search.records import TrialRecord
from trainables.records import FIRST_SHARE, Conduct
from trainables.settings import Settings

_STILL = 0.005
"""A scale s that differs from 1 by no more than this has not moved."""
RARE = 0.01
"""Share of steps or samples below which a case is reported as rare."""
_SAME = 1e-6  # λ of samples is float32
_DIGITS = 4

Unused = Literal["labels", "teacher"]
Kind = Literal["as_written", "constant", "part", "unknown"]
"""`constant`: λ never moved; `part`: a side of a tree was never reached; `unknown`: an older release recorded it."""


class Effective(Settings):
    """The rule that a training followed in effect."""

    kind: Kind
    family: str
    parameters: dict[str, Value]
    rule: str
    """The rule in words, one sentence, without `note`."""
    short_rule: str = ""
    """The rule as a label."""
    complexity: int
    note: str = ""
    """The reason why it is not the rule as written, or how rarely it acted: `the threshold −0.27 was never crossed`."""
    unused: Unused | None = None
    """The loss that had no weight at any step."""

    @property
    def text(self) -> str:
        """The rule with its note and the unused loss: `λ = 0.91 throughout; the threshold −0.27 was never crossed.`"""
        unused = {"labels": "the labels were not used", "teacher": "the teacher was not used", None: ""}[self.unused]
        return "; ".join(filter(None, (self.rule.removesuffix("."), self.note, unused))) + "."

    @property
    def acts(self) -> bool:
        """True if the rule is taken as it is written."""
        return self.kind in ("as_written", "unknown")


def effective_trial(trial: TrialRecord) -> Effective:
    """Derive what the rule of a trial did, under all of its seeds. The rule's family need not be known here."""
    parameters, conduct = trial.parameters, trial.history.conduct
    written = Effective(
        kind="as_written",
        family=trial.family,
        parameters=parameters,
        rule=trial.rule,
        short_rule=trial.short_rule,
        complexity=trial.complexity,
    )
    if trial.family == Fixed.family:
        weight = float(parameters.get("weight", 0.5))
        return written.model_copy(update={"unused": _unused(weight, weight)})
    if conduct is None:
        return written.model_copy(update={"kind": "unknown"})
    low, high = conduct.settled_range if conduct.samples is None else conduct.samples.weight_range
    written = written.model_copy(update={"unused": _unused(low, high)})
    if same_weight(low, high) and all(abs(scale - 1.0) <= _STILL for scale in conduct.scale_range):
        constant = Fixed(weight=_weight(conduct, low, high, parameters))
        return _as(constant, "constant", _why_constant(conduct, low, high, parameters), written.unused)
    return _part(written, conduct) or written.model_copy(update={"note": _rarely(conduct, parameters)})


def _unused(low: float, high: float) -> Unused | None:
    if low >= 1.0 - _SAME:
        return "labels"
    return "teacher" if high <= _SAME else None


def _weight(conduct: Conduct, low: float, high: float, parameters: Mapping[str, Value]) -> float:
    """Return the constant that λ was. It is the rule's own number where that is equal, so that no digit is lost."""
    mean = conduct.settled_mean
    if high - low <= _SAME:
        for value in (*parameters.values(), 0.0, 1.0):
            if not isinstance(value, str) and abs(value - mean) <= _SAME:
                return float(value)
        return mean
    return round(min(max(mean, 0.0), 1.0), _DIGITS)


def _why_constant(conduct: Conduct, low: float, high: float, parameters: Mapping[str, Value]) -> str:
    single = len(conduct.settled_branches) == 1
    sides = [value for name in ("above", "below") if not isinstance(value := parameters.get(name, ""), str)]
    if len(sides) == 2 and same_weight(*sides):
        why = "λ is the same on both sides of its threshold"
    elif single and (threshold := _threshold(parameters)):
        why = f"the threshold {threshold} was never crossed"
    elif single and "root" in parameters:
        why = "its questions always had the same answer"
    elif high - low > _SAME:
        why = f"λ stayed within {high - low:.2g}"
    else:
        why = "λ never moved"
    first_low, first_high = conduct.weight_range
    early = not same_weight(first_low, first_high) and conduct.samples is None
    return f"{why} after the first {100 * FIRST_SHARE:g} % of the steps" if early else why


def _part(written: Effective, conduct: Conduct) -> Effective | None:
    """Return a tree without the sides that were never reached; None for other rules, and if all were reached."""
    try:
        policy = create_policy(written.family, written.parameters)
    except PolicyError:  # a family of the user's own, which is not loaded here
        return None
    if not isinstance(policy, TreeRule) or not (reached := _reached(policy, conduct)):
        return None
    part = policy.acting_part(reached)
    if part.tree == policy.tree:
        return None
    return _as(part, "part", "the rest of the tree was never reached", written.unused)


def _as(policy: Policy, kind: Kind, note: str, unused: Unused | None) -> Effective:
    return Effective(
        kind=kind,
        family=policy.family,
        parameters=policy.values(),
        rule=policy.rule(),
        short_rule=policy.short_rule(),
        complexity=policy.complexity,
        note=note,
        unused=unused,
    )


def _reached(policy: TreeRule, conduct: Conduct) -> set[int]:
    """Return the numbers of the leaves that were reached; empty where that is not known."""
    if conduct.samples is None:
        return {branch for branch, _ in conduct.branches}
    levels = [weight for weight, _ in conduct.samples.levels or ()]
    return {
        number
        for number, weight in enumerate(policy.leaf_weights)
        if any(abs(weight - level) <= _SAME for level in levels)
    }


def _rarely(conduct: Conduct, parameters: Mapping[str, Value]) -> str:
    """Say how rarely a threshold was crossed; empty if that was not rare, and for rules without a threshold."""
    threshold = _threshold(parameters)
    if conduct.samples is None:
        counted = [count / conduct.steps for _, count in conduct.branches]
    else:
        counted = [share for _, share in conduct.samples.levels or ()]
    if not threshold or len(counted) < 2 or (share := 1.0 - max(counted)) >= RARE:
        return ""
    unit = "steps" if conduct.samples is None else "samples"
    return f"the threshold {threshold} was crossed in {100 * share:.2g} % of the {unit} only"


def _threshold(parameters: Mapping[str, Value]) -> str:
    """Write the threshold of a rule for people; empty for a rule without one."""
    value = parameters.get("threshold")
    return "" if value is None or isinstance(value, str) else f"{value:.3g}".replace("-", "−")
