"""Puts an analysis into words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from search.analysis.accuracy import Fit
from search.analysis.claims import MARGIN, BestWeight, Claim, ClaimName
from search.analysis.findings import Findings, Horizon, Stake
from search.analysis.tables import BOTH
from search.records import AnalysisRecord
from search.wording import count, number
from trainables.records import Loss

LOSS_NAMES: dict[Loss, str] = {"task": "task loss", "distill": "distillation loss", "mean": "mean of both losses"}
CLAIM_NAMES: dict[ClaimName, str] = {
    "similar": "similar directions → more distillation",
    "large_angle": "large angle → more task",
    "longer": "longer distillation gradient → less distillation",
}
_READINGS: dict[ClaimName, str] = {"similar": "cosine", "longer": "log norm ratio"}
PREDICTION_NAMES = {
    "plain": "first order, as if steps were plain",
    "from_batch": "first order, batch's gradient",
    "first": "first order",
    "second": "second order, Hessian",
    "halfway": "second order, curvature halfway",
}


def analysis_text(record: AnalysisRecord, findings: Findings, *, brief: bool = False) -> str:
    """Return the finding, then the numbers behind it; `brief` leaves out the predictions' quality and the horizons."""
    parts = [
        _headline(record, findings),
        [*_best_lines(findings.best), *_stake_lines(findings.stakes)],
        _claim_lines(record, findings.claims),
        *([] if brief else [_fit_lines(findings)]),
        _choice_lines(findings),
        *([] if brief else [_horizon_lines(findings.horizons)]),
        _limits(record),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def finding(findings: Findings) -> str:
    """Return the claims about the task loss in one sentence."""
    words = [f"“{CLAIM_NAMES[c.name]}” {_verdict(c)}" for c in findings.claims if c.loss == "task"]
    return f"For the task loss on held-out pictures, one step ahead: {'; '.join(words)}."


def _verdict(claim: Claim) -> str:
    return {
        "supported": "is supported",
        "opposite": "is contradicted: the opposite is seen",
        "not supported": "is not supported",
        "cannot be told": "cannot be told here",
    }[claim.answer]


def _headline(record: AnalysisRecord, findings: Findings) -> list[str]:
    return [
        f"{record.name}: {count(len(record.probes), 'probe')} along {count(len(record.seeds), 'training')} of"
        f" {record.student} on {record.dataset} ({record.optimizer}, learning rate {number(record.learning_rate)}, T ="
        f" {number(record.temperature)})",
        f"rule in training: {record.rule}",
        "",
        finding(findings),
    ]


def _best_lines(best: Iterable[BestWeight]) -> list[str]:
    lines = ["The best λ of one step, mean over the seeds (95 % interval), held-out pictures, the optimiser's own step"]
    for found in best:
        lines.append(
            f"  {LOSS_NAMES[found.loss]:<20} {_decimal(found.mean)} ({_decimal(found.low)} to {_decimal(found.high)});"
            f" lowest λ at {_percent(found.at_zero)} of the probes, highest at {_percent(found.at_one)}; clear of the"
            f" pictures' noise at {_percent(found.clear)}"
        )
        lines.append(f"  {'':<20} along the training it goes with (correlation): {_along(found.along)}")
    return lines


def _stake_lines(stakes: Iterable[Stake]) -> list[str]:
    return [
        f"  {LOSS_NAMES[s.loss]:<20} the best single λ of single steps is {s.constant:g}"
        + (
            f"; it gives up at most {_percent(s.lost, 1)} of the fall under each probe's own best"
            * math.isfinite(s.lost)
        )
        for s in stakes
    ]


def _claim_lines(record: AnalysisRecord, claims: Iterable[Claim]) -> list[str]:
    lines = ["Claims of the literature, compared between seeds at the same step of the training"]
    lines += [
        f"  {LOSS_NAMES[claim.loss]}: “{CLAIM_NAMES[claim.name]}” {_verdict(claim)}. {_evidence(claim)}"
        for claim in claims
    ]
    if len(record.seeds) < 5:
        lines.append(f"  With {len(record.seeds)} seeds only strong relations can be seen; use --seeds for more.")
    return lines


def _evidence(claim: Claim) -> str:
    """Return the numbers behind a claim's verdict."""
    effect = claim.effect
    if effect is None:
        return f"Nothing to compare: {claim.reason}."
    between = (
        "The third of the probes with the largest angle has a best λ that differs by"
        if claim.name == "large_angle"
        else f"Between probes {number(claim.reach)} apart in {_READINGS[claim.name]} (two standard deviations) the best"
        " λ differs by"
    )
    text = (
        f"{between} {_signed(effect.value)} (95 % interval {_signed(effect.low)} to {_signed(effect.high)}, corrected p"
        f" = {claim.p_corrected:.2g})."
    )
    if claim.answer == "not supported":
        text += f" An effect in favour of the claim is below {MARGIN:g}."
    if claim.beside is not None:
        other = "cosine" if claim.name == "longer" else "norm ratio"
        text += (
            f" With the {other} held fixed: {_signed(claim.beside.value)}"
            f" ({_signed(claim.beside.low)} to {_signed(claim.beside.high)})."
        )
    return text


def _fit_lines(findings: Findings) -> list[str]:
    lines = [
        "The expansion's prediction of a loss's change: R² over probes and λ (95 % interval); R² between the λ",
        "of a probe (median); share of what λ can do that is given up by the λ it calls best (0 is perfect)",
    ]
    for where, kind in dict.fromkeys((fit.where, fit.kind) for fit in findings.fits):
        step = "optimiser's steps" if kind == "optimizer" else "plain steps"
        lines.append(f"  {step}, on {'held-out pictures' if where == 'held_out' else 'the training batch'}")
        for fit in findings.fits:
            if (fit.where, fit.kind) != (where, kind) or (kind == "plain" and fit.prediction == "plain"):
                continue
            lines.append(f"    {LOSS_NAMES[fit.loss]:<18} {PREDICTION_NAMES[fit.prediction]:<36} {_fit(fit)}")
    parts = list(dict.fromkeys(fit.part for fit in findings.parts))
    lines.append(
        "  where it breaks down: the same share given up, by thirds of the probes; optimiser's steps, held-out"
    )
    lines.append(f"    {'':<55} " + " ".join(f"{part.split()[0][:9]:>9}" for part in parts))
    for loss, prediction in itertools.product(BOTH, ("from_batch", "first", "second", "halfway")):
        own = {f.part: f.missed for f in findings.parts if (f.loss, f.prediction) == (loss, prediction)}
        cells = " ".join(f"{_percent(own[part]):>9}" for part in parts)
        lines.append(f"    {LOSS_NAMES[loss]:<18} {PREDICTION_NAMES[prediction]:<36} {cells}")
    lines.append(
        f"  ηκ of the maps as measured along the task gradient: {number(findings.curvature)}; signal (squared cosine of"
        f" the batch's and the held-out task gradient): {number(findings.signal)}"
    )
    return lines


def _fit(fit: Fit) -> str:
    interval = f"({r2(fit.r2_low)} to {r2(fit.r2_high)})"
    return f"{r2(fit.r2):>8} {interval:<20} between {r2(fit.r2_between):>8}   given up {_percent(fit.missed)}"


def _choice_lines(findings: Findings) -> list[str]:
    lines = ["Share of what λ can do in one step that each choice of it gives up, on held-out pictures (95 % interval)"]
    for loss, found in findings.choices.items():
        lines.append(f"  {LOSS_NAMES[loss]}")
        lines += [
            f"    {one.name:<38} {_percent(one.missed):>5} ({_percent(one.low)} to {_percent(one.high)})"
            for one in found
        ]
    return lines


def _horizon_lines(horizons: Iterable[Horizon]) -> list[str]:
    lines = ["The same λ for several steps on the batches to come"]
    for found in horizons:
        agreement = (
            "" if found.steps == 1 else f"; rank correlation with the best λ of one step {_signed(found.agreement)}"
        )
        lines.append(
            f"  {LOSS_NAMES[found.loss]:<20} after {count(found.steps, 'step')}: best λ {_decimal(found.mean)}"
            f"{agreement}; along the training it goes with {_along(found.along)} ({count(found.probes, 'probe')})"
        )
    return lines


def _limits(record: AnalysisRecord) -> list[str]:
    return [
        f"Limits: a loss that falls furthest in one step, or in {record.settings.horizons[-1]}, need not end lowest."
        " Only a search and its",
        "confirmation show whether a rule pays. The best of several λ is chosen on the pictures it is judged on"
        f" ({record.held_out} held-out ones), so it looks better than it is.",
    ]


def _decimal(value: float, form: str = ".2f") -> str:
    """Return a number as text, with two decimals; `–` if it is not finite."""
    return f"{value:{form}}".replace("-", "−") if math.isfinite(value) else "–"


def r2(value: float) -> str:
    """Return an R² with two decimals; `below −9` if it is lower, `–` if it is not finite."""
    return "below −9" if -math.inf < value < -9.0 else _decimal(value)


def _along(along: dict[str, float]) -> str:
    return ", ".join(f"{name} {_signed(value)}" for name, value in along.items())


def _signed(value: float) -> str:
    return _decimal(value, "+.2f")


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %" if math.isfinite(share) else "–"
