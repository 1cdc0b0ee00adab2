"""Puts a diagnosis into words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from policies.families.schedules.fixed import Fixed
from policies.parameter import Value
from policies.policy import Given
from policies.registry import create_policy
from search.diagnosis.plan import FAMILIES
from search.diagnosis.record import Agreement, AnswerKind, Arm, ArmKind, Diagnosis, Estimate, LocalSteps, Rate
from search.wording import Scale, count, duration, family_title, number, percent, sentence_case

ANSWERS: dict[AnswerKind, str] = {
    "tune_a_constant": "Tune a constant",
    "try_per_sample_rules": "Try per-sample rules",
    "try_gradient_rules": "Try rules that watch gradients",
    "distillation_will_not_help": "Distillation will not help",
    "cannot_tell": "Cannot tell",
}
MISSING_IN_FUNCTIONS = (
    "Only the function has its data, so the reliability of teacher and labels was not counted.",
    "Only the function can take its steps, so no other λ was tried along a training.",
)
_AGAINST: dict[AnswerKind, str] = {
    "tune_a_constant": "of the best constant over the labels alone",
    "try_per_sample_rules": "over the best constant",
    "try_gradient_rules": "over the best constant",
    "distillation_will_not_help": "of the best way to use the teacher over the labels alone",
}
_POSSIBLE = 0.15
"""The probability from which a kind of rules is worth its lines although the answer is that it cannot tell."""
_DIFFERENT = 0.001
_CALLED_DIFFERENT = 0.05
"""A difference of agreement between the two sets, as a share, that is worth a sentence."""
_FEW = 20
_LEVELS: dict[Given, tuple[Given, ...]] = {
    "logits": ("losses", "outputs", "logits"),
    "outputs": ("losses", "outputs"),
    "losses": ("losses",),
}


def rule_title(family: str, parameters: Mapping[str, Value]) -> str:
    """`λ = 0.5`, or `sample norm balance (balance 0.656)`."""
    if family == Fixed.family:
        return f"λ = {number(parameters['weight'])}"
    return f"{family_title(family)} ({', '.join(f'{name} {number(value)}' for name, value in parameters.items())})"


def headline(found: Diagnosis) -> str:
    """Return the answer with its probability and its expected size."""
    scale = Scale(found.objective)
    leaning = ANSWERS[found.leaning]
    size = f"{gain(scale, found.size)} {_AGAINST[found.leaning]}"
    chance = percent(found.chances[found.leaning], 0)
    if found.answer == "cannot_tell":
        return f"Cannot tell. The likeliest answer is “{leaning.lower()}” ({chance}): {size}."
    return f"{leaning} ({chance} likely): {size}."


def gain(scale: Scale, found: Estimate) -> str:
    """`+1.20 points (+0.40 to +2.00)`."""
    return f"{scale.margin(found.mean)} ({scale.interval(found.low, found.high)})"


def reasons(found: Diagnosis) -> tuple[str, ...]:
    """Return the reasons as sentences."""
    return tuple(_reasons(found))


def _reasons(found: Diagnosis) -> Iterator[str]:
    scale = Scale(found.objective)
    best = max(
        (arm for arm in found.constants if arm.level and arm.weight > 0.0),
        key=lambda arm: arm.level.mean if arm.level else 0.0,
    )
    yield (
        f"{best.title} is the best of the constants tried that use the teacher: {gain(scale, found.constant_gain)}"
        " over the labels alone."
    )
    if found.reliability is not None:
        yield from _on_agreement(found.reliability.train, found.reliability.validation)
    for arm in found.arms:
        if arm.problem:
            yield f"{sentence_case(arm.title)} was left out: {arm.problem}"
    for kind, gained, words in (
        ("samples", found.sample_gain, "rule by sample"),
        ("gradients", found.gradient_gain, "rule that watches gradients"),
    ):
        arms = [arm for arm in found.arms if arm.kind == kind and arm.level]
        if gained is None or not arms:
            yield f"No {words} can be used here."
            continue
        first = max(arms, key=lambda arm: arm.level.mean if arm.level else 0.0)
        yield (
            f"The {'best ' if len(arms) > 1 else ''}{words} that was tried, {first.title}, stands at"
            f" {gain(scale, gained)} against λ = {number(found.best_constant)}."
        )
    if found.local is not None:
        yield _on_steps(found.local)
    yield f"One training's score varies by ± {scale.deviation(found.seed_spread)} from seed to seed."


def _on_agreement(train: Agreement, validation: Agreement) -> Iterator[str]:
    shares = f"{percent(train.agreement, 0)} of the training and {percent(validation.agreement, 0)} of the validation"
    if validation.agreement - train.agreement > _CALLED_DIFFERENT:
        meaning = "so the training set has wrong labels or answers that the validation set lacks"
    elif train.agreement > 1.0 - _CALLED_DIFFERENT:
        meaning = "so a rule by sample has little to choose between"
    else:
        meaning = "so the training set shows about as much of the teacher's errors"
    yield f"The teacher's class is the label for {shares} samples, {meaning}."
    classes = [rate for rate in train.by_class if rate.samples >= _FEW]
    if train.p_class is not None and train.p_class < _DIFFERENT and len(classes) > 1:
        low, high = _ends(classes)
        text = f"They agree on {percent(low.agreement, 0)} of class {low.group} and {percent(high.agreement, 0)} of"
        bins = [rate for rate in train.by_confidence if rate.samples >= _FEW]
        text += f" class {high.group}"
        if len(bins) > 1:
            text += (
                f", on {percent(bins[0].agreement, 0)} where the teacher's confidence is {bins[0].group} and"
                f" {percent(bins[-1].agreement, 0)} where it is {bins[-1].group}"
            )
        yield f"{text}."


def _ends(rates: list[Rate]) -> tuple[Rate, Rate]:
    ordered = sorted(rates, key=lambda rate: rate.agreement)
    return ordered[0], ordered[-1]


def _on_steps(local: LocalSteps) -> str:
    def share(found: Estimate) -> str:
        return f"{percent(found.mean, 0)} ({percent(found.low, 0)} to {percent(found.high, 0)})".replace("-", "−")

    beyond = max(local.by_place.low, local.by_batch.low) > 0.0
    return (
        f"Chosen anew at each of {local.places} places of a training, λ gains {share(local.by_place)} of what it can do"
        f" in one step over the best single one, and {share(local.by_batch)} if chosen for each batch:"
        f" {'more than' if beyond else 'no more than'} noise."
    )


def paste_lines(found: Diagnosis) -> tuple[str, ...]:
    """Return the lines of the search file that the answer asks for; none where there is nothing to search."""
    if found.answer == "distillation_will_not_help":
        return ()
    kinds: list[ArmKind] = ["constant"]
    wanted: dict[ArmKind, AnswerKind] = {"samples": "try_per_sample_rules", "gradients": "try_gradient_rules"}
    for kind, answer in wanted.items():
        possible = found.answer == "cannot_tell" and found.chances[answer] >= _POSSIBLE
        if found.answer == answer or possible:
            kinds.append(kind)
    seen = _LEVELS[_given(found)]
    families = [family for kind in kinds for family in FAMILIES[kind] if create_policy(family, {}).looks_at in seen]
    return (f"families = {json.dumps(families)}",)


def _given(found: Diagnosis) -> Given:
    """Return what the training gives its rules, by those that could be used."""
    used = [create_policy(arm.family, dict(arm.parameters)).looks_at for arm in found.arms if arm.scores]
    return "logits" if "logits" in used else "outputs" if "outputs" in used else "losses"


def next_step(found: Diagnosis) -> str:
    """Return the command to run next, with a word on why."""
    return {
        "tune_a_constant": "kd-search worth FILE: brackets the best constant and confirms it, without any rule",
        "try_per_sample_rules": "kd-search run FILE --confirm, with the lines below",
        "try_gradient_rules": "kd-search run FILE --confirm, with the lines below",
        "distillation_will_not_help": "train on the labels alone; kd-search worth FILE confirms it",
        "cannot_tell": f"kd-search diagnose FILE --seeds {2 * len(found.seeds)}, or search with the lines below",
    }[found.answer]


def diagnosis_text(found: Diagnosis) -> str:
    """Return the answer, its reasons, what was tried, and what to do next, as lines of text."""
    scale, cost = Scale(found.objective), found.cost
    parts = [
        [f"{found.name}: {headline(found)}"],
        [f"  · {reason}" for reason in (*found.reasons, *found.missing)],
        _table(found, scale),
        [f"next: {next_step(found)}", *(f"  {line}" for line in found.lines)],
        [
            f"cost: {count(cost.trainings, 'training')} of {count(cost.steps, 'step')}, {percent(cost.share, 0)} of the"
            f" {cost.search_trainings:,} that the search takes at most; {duration(cost.seconds)}.",
            "Limits: these are scores on the validation set, at one temperature and of untuned rules. Only a search and"
            " its confirmation show whether a rule pays.",
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _table(found: Diagnosis, scale: Scale) -> list[str]:
    heads = ("tried", "validation", "expected over the labels alone", "learning rate")
    rows = [heads, *(_cells(arm, scale) for arm in found.arms)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in rows
    ]


def _cells(arm: Arm, scale: Scale) -> tuple[str, str, str, str]:
    if arm.level is None:
        return arm.title, "–", "", number(arm.learning_rate)
    over = "" if arm.over_labels is None else gain(scale, arm.over_labels)
    return arm.title, scale.value(_mean(arm)), over, number(arm.learning_rate)


def _mean(arm: Arm) -> float:
    return sum(arm.scores.values()) / len(arm.scores)
