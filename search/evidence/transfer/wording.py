"""Writes the sentences of a transfer."""

from __future__ import annotations

import math

from search.evidence.statistics.paired import PairedTest
from search.evidence.transfer.findings import Retuned, TransferFindings
from search.evidence.wording.naming import p_text
from search.wording import Scale, count, number, sentence_case, setting_title


def transfer_headline(found: TransferFindings) -> str:
    """Write the one sentence in which a transfer ends."""
    choice, scale = found.of(found.choice), Scale(found.objective)
    name = sentence_case(choice.title)
    if found.kind == "incomplete" or found.take is None:
        return "The transfer is not finished: trainings are still to come."
    take = found.of(found.take)
    if found.kind == "keep":
        return f"Keep {choice.title}, with the pilot's numbers."
    if found.kind == "cannot_tell":
        more = "no number of seeds alone would settle it"
        if not found.bracketed:
            more = f"the constant at scale is not bracketed ({found.reason}); give it more tries with `--constants`"
        if found.more_seeds is not None:
            more = f"about {count(found.more_seeds, 'seed')} would settle it, {found.more_seeds - found.seeds} more"
        return f"Cannot tell whether {choice.title} is the one to keep: {more}."
    lead = "" if found.regret is None else f", by {scale.size(found.regret.mean)}"
    if found.kind == "retune":
        return f"Keep the kind, {choice.title}, and re-tune its settings: that is ahead of the pilot's numbers{lead}."
    if found.kind == "another":
        return f"Take {take.title} instead: at scale it is ahead of {choice.title}{lead}."
    best = "the labels alone" if take.role == "labels_alone" else take.title
    return f"Tune a constant at scale: {best} is ahead of {name if name.startswith('λ') else choice.title}{lead}."


def transfer_sentences(found: TransferFindings) -> tuple[str, ...]:
    """Write what the headline rests on, a sentence or two for each question."""
    if found.kind == "incomplete":
        return ()
    lines = (
        _regret(found),
        _agreement(found),
        _gains(found),
        *(_retuned(found, one) for one in found.retuned),
        _tied(found),
        _bracket(found),
        _scope(found),
    )
    return tuple(filter(None, lines))


def _regret(found: TransferFindings) -> str:
    regret, scale = found.regret, Scale(found.objective)
    if regret is None or math.isnan(regret.mean):
        return "What keeping the pilot's choice costs is not known, since the noise of a difference is not."
    best = f"{found.of(regret.best).title} is best"
    if regret.best == found.choice:
        best = "it is the best that was trained"
    worth = "" if found.margin is None else f"; {scale.size(found.margin)} would be worth a change"
    return (
        f"Keeping the pilot's choice, {found.of(found.choice).title}, costs {scale.size(regret.mean)} at scale (95 %"
        f" interval {scale.size(regret.low)} to {scale.size(regret.high)}): {best}{worth}."
    )


def _agreement(found: TransferFindings) -> str:
    agreement = found.agreement
    if agreement is None:
        return ""
    return (
        f"The order of {agreement.finalists} finalists agrees with the pilot's at Kendall's τ = {agreement.tau:.2f}"
        f" ({p_text(agreement.p_value)}; 95 % interval {agreement.low:.2f} to {agreement.high:.2f} for new seeds)."
    ).replace("-", "−")


def _gains(found: TransferFindings) -> str:
    if found.baseline is None:
        return ""
    scale, base = Scale(found.objective), found.of(found.baseline)
    rules = [row for row in found.rows if row.role == "rule"]
    ahead = [row for row in rules if row.claim is not None and row.claim.stands]
    against = f"the best constant at scale, {base.title} ({scale.value(base.score)})"
    if not rules:
        return f"No rule was trained beside {against}."
    if ahead:
        told = "; ".join(f"{row.title} by {_gain(scale, row.gain)}" for row in ahead)
        return f"These rules beat {against}: {told}."
    best = rules[0]
    return f"No rule is shown to beat {against}; the nearest, {best.title}, stands at {_gain(scale, best.gain)}."


def _retuned(found: TransferFindings, one: Retuned) -> str:
    scale = Scale(found.objective)
    moved = ", ".join(
        f"{setting_title(name)} {number(before)} → {number(after)}"
        for name, before, after in one.settings
        if number(before) != number(after)
    )
    title = found.of(one.key).title
    gain = one.gain
    if gain is None or gain.low is None or gain.high is None:
        told = "whether that helps is not known"
    elif gain.low > 0.0:
        told = f"its numbers want re-tuning: that gains {_gain(scale, gain)}"
    elif gain.high < 0.0:
        told = f"the pilot's numbers are better: re-tuning loses {_gain(scale, gain)}"
    else:
        told = f"re-tuning is not shown to help: {_gain(scale, gain)}"
    return f"{sentence_case(title)} at scale, {moved or 'with the same settings'}: {told}."


def _tied(found: TransferFindings) -> str:
    choice = found.of(found.choice)
    if choice.role != "rule":
        return ""
    if not choice.unlike:
        return f"The numbers of {choice.title} mean the same at any scale."
    ties = "; ".join(f"{name.replace('_', ' ')} to the {tie}" for name, tie in choice.unlike.items())
    return f"Some numbers of {choice.title} are tied to the pilot's scale: {ties}."


def _bracket(found: TransferFindings) -> str:
    if found.bracketed:
        return ""
    return f"The constant at scale is not bracketed ({found.reason}): a better one may exist."


def _scope(found: TransferFindings) -> str:
    size = f"{found.size:,} " if found.size else ""
    return (
        f"All was judged on {size}validation {found.unit} of the scaled data over {count(found.seeds, 'fresh seed')}."
        " The test set stays closed; only `kd-search confirm` of a search at scale opens it."
    )


def _gain(scale: Scale, gain: PairedTest | None) -> str:
    if gain is None:
        return "an unknown difference"
    if gain.low is None or gain.high is None:
        return scale.margin(gain.mean)
    return f"{scale.margin(gain.mean)} ({scale.interval(gain.low, gain.high)})"
