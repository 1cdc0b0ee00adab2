"""Chooses the answer of a diagnosis. docs/diagnosis.md states the rule and its reasons.

K: arms; D: draws.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from search.diagnosis.posterior import Floats, Posterior, estimate
from search.diagnosis.record import AnswerKind, ArmKind, Estimate, LocalSteps

_KINDS: tuple[ArmKind, ...] = ("constant", "samples", "gradients")
_RULES = _KINDS[1:]
SURE = 2.0 / 3.0
"""The probability from which an answer is given: it is then twice as likely as all others together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer and the gains that it follows from."""

    answer: AnswerKind
    leaning: AnswerKind
    chances: dict[AnswerKind, float]
    size: Estimate
    constant_gain: Estimate
    sample_gain: Estimate | None
    gradient_gain: Estimate | None
    best_constant: int
    """The place of the constant that rules are compared with."""
    best: dict[ArmKind, int]
    """The place of the best arm of each kind, λ = 0 apart."""


def decide(kinds: Sequence[ArmKind], posterior: Posterior, margin: float | None, local: LocalSteps | None) -> Decision:
    """Weigh the answers.

    Args:
        kinds: of the arms, [K]; the constants come first, by λ, and the first one is λ = 0.
        posterior: the arms' expected scores.
        margin: the smallest gain that counts, as a difference of scores; None for any.
        local: the single steps; None if they could not be tried.
    """
    levels, least = posterior.levels, margin or 0.0
    means = posterior.means
    best: dict[ArmKind, int] = {}
    for kind in _KINDS:
        if places := [place for place, one in enumerate(kinds) if one == kind and place]:
            best[kind] = max(places, key=lambda place: means[place])
    labels, constant = levels[:, 0], levels[:, best["constant"]]
    place = best["constant"] if means[best["constant"]] >= means[0] else 0
    baseline = levels[:, place]
    gains: dict[ArmKind, Floats] = {kind: levels[:, best[kind]] - baseline for kind in _RULES if kind in best}
    chances = _chances(labels, constant, gains, baseline, least)
    leaning = max(chances, key=lambda kind: chances[kind])
    answer: AnswerKind = leaning if chances[leaning] >= SURE else "cannot_tell"
    if answer == "try_gradient_rules" and local is not None and max(local.by_place.low, local.by_batch.low) <= 0.0:
        answer = "cannot_tell"
    found = {kind: estimate(draws) for kind, draws in gains.items()}
    over_labels = estimate(constant - labels)
    sizes: dict[AnswerKind, Estimate] = {"tune_a_constant": over_labels}
    if "samples" in found:
        sizes["try_per_sample_rules"] = found["samples"]
    if "gradients" in found:
        sizes["try_gradient_rules"] = found["gradients"]
    if leaning == "distillation_will_not_help":
        most = max(best.values(), key=lambda arm: means[arm])
        sizes[leaning] = estimate(levels[:, most] - labels)
    return Decision(
        answer=answer,
        leaning=leaning,
        chances=chances,
        size=sizes[leaning],
        constant_gain=over_labels,
        sample_gain=found.get("samples"),
        gradient_gain=found.get("gradients"),
        best_constant=place,
        best=best,
    )


def _chances(
    labels: Floats, constant: Floats, gains: dict[ArmKind, Floats], baseline: Floats, least: float
) -> dict[AnswerKind, float]:
    """Return the share of the draws in which each answer is right; each draw has one."""
    never = np.full(len(labels), -np.inf)
    by_sample, by_gradient = gains.get("samples", never), gains.get("gradients", never)
    most = np.maximum(constant, baseline + np.maximum(by_sample, by_gradient)) - labels
    no_help = most <= 0.0 if least == 0.0 else most < least
    samples = ~no_help & (by_sample > 0.0) & (by_sample >= least) & (by_sample >= by_gradient)
    gradients = ~no_help & ~samples & (by_gradient > 0.0) & (by_gradient >= least)
    return {
        "tune_a_constant": float((~no_help & ~samples & ~gradients).mean()),
        "try_per_sample_rules": float(samples.mean()),
        "try_gradient_rules": float(gradients.mean()),
        "distillation_will_not_help": float(no_help.mean()),
    }
