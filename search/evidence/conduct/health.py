"""Finds trainings that say little about λ: students that learned nothing, too short or long trainings, equal scores.

A finding is one sentence about one trial, or about all of them. Rules and constants are examined alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from policies.guarding.intervention import Intervention
from search.evidence.conduct.trend import curve_noise, trend
from search.records import PictureCounts, SearchRecord, TrialRecord
from search.wording import Scale, count, number, percent
from trainables.records import ACCURACY, Objective, TrialHistory
from trainables.settings import Settings

MATTERS = 0.005
"""Rises and falls of accuracy up to half a point are not reported. A KPI has no known unit, so all clear ones are."""
_ERRORS = 3.0
"""Standard errors of an accuracy at chance that still count as chance."""
_LOST = 10.0
"""A loss above this many times that of guessing means that the training diverged."""

Kind = Literal["learned_nothing", "diverged", "rising", "fallen", "nobody_learned", "all_equal"]


class Finding(Settings):
    """One fact that must be reported with an answer."""

    kind: Kind
    text: str
    """One sentence with a small letter first and no full stop, to follow the trial's name or stand alone."""


class Health(Settings):
    """The findings on a search."""

    trials: dict[int, Finding]
    """The most serious finding on each trial that has one, by the trial's number, in their order."""
    overall: tuple[Finding, ...]
    """The findings on all trials together: `nobody_learned`, `all_equal`."""


def examine(search: SearchRecord) -> Health:
    """List all findings on a search's finished trials.

    Args:
        search: the search, with the trials of one student.
    """
    trials = sorted(search.finished, key=lambda trial: trial.number)
    noise = curve_noise([curve_of(trial.history, search.objective) for trial in trials])
    found = {trial.number: _chance(trial, search, trials) or _trend(trial.history, search, noise) for trial in trials}
    return Health(
        trials={number: finding for number, finding in found.items() if finding is not None},
        overall=tuple(filter(None, (_nobody(search, trials), equal_scores(trials, Scale(search.objective))))),
    )


def _chance(trial: TrialRecord, search: SearchRecord, trials: Sequence[TrialRecord]) -> Finding | None:
    """Find students that are no better than chance, though others learned; None if there is none.

    If the objective is not accuracy, the loss of a student at chance must also be no better than that of guessing,
    since a KPI of the user's own may ask for something else than accuracy.
    """
    pictures, history = search.pictures, trial.history
    if pictures is None or not pictures.classes or not _learned(trials, pictures):
        return None
    bound, guessing = _bound(pictures), math.log(pictures.classes)
    lost = [
        replicate
        for replicate in history.replicates
        if replicate.validation_accuracy is not None
        and replicate.validation_accuracy <= bound
        and (search.objective.name == ACCURACY or (replicate.validation_loss or 0.0) >= guessing)
    ]
    if not lost:
        return None
    worst = max(replicate.validation_loss or 0.0 for replicate in lost)
    alarmed = history.interventions.get(Intervention.DIVERGENCE.value, 0) > 0
    forgot = any((record.validation_accuracy or 0.0) > _bound(pictures, 2) for record in history.epochs)
    named = f"seed{'' if len(lost) == 1 else 's'} {', '.join(str(replicate.seed) for replicate in lost)}"
    who = "no student is" if len(lost) == len(history.replicates) else f"with {named} the student is not"
    chance = percent(pictures.largest_share)
    level = f"{who} right on more {pictures.unit} than always naming one class would be ({chance})"
    if not (alarmed or forgot or worst > _LOST * guessing):
        return Finding(kind="learned_nothing", text=f"{level}, though others learned")
    learning_rate = trial.shared.get("learning_rate")
    rate = "lower the learning rate" if learning_rate is None else f"learning rate {number(learning_rate)} is too high"
    text = f"the training diverged: {level}, and the highest loss is {number(worst)}; {rate}"
    return Finding(kind="diverged", text=text)


def _trend(history: TrialHistory, search: SearchRecord, noise: float | None) -> Finding | None:
    """Find a score that still rose at the end of the training or fell from its peak; None if it is level."""
    objective = search.objective
    matters = MATTERS if objective.name == ACCURACY else 0.0
    found = None if noise is None else trend(curve_of(history, objective), noise, matters)
    if found is None:
        return None
    epoch, last = history.epochs[found.since].epoch, history.epochs[-1].epoch
    moved = f"by {Scale(objective).size(found.amount)}"
    if found.kind == "rising":
        text = (
            f"the validation score still rose at the end, {moved} from epoch {epoch} to {last}; more epochs might"
            " change the answer"
        )
    else:
        text = (
            f"the validation score fell {moved} from its peak at epoch {epoch} to epoch {last}; early stopping or more"
            " weight decay might gain as much"
        )
    return Finding(kind=found.kind, text=text)


def equal_scores(trials: Sequence[TrialRecord], scale: Scale) -> Finding | None:
    """Return a finding if all finished trials have the same score, so that none can be preferred; else None."""
    scores = [trial.score for trial in trials if trial.score is not None]
    if len(scores) < 2 or max(scores) > min(scores):
        return None
    text = f"all {count(len(scores), 'trial')} have the same score, {scale.value(scores[0])}, so none can be preferred"
    return Finding(kind="all_equal", text=text)


def curve_of(history: TrialHistory, objective: Objective) -> list[float]:
    """Return the scores at a training's evaluations, in order."""
    return [objective.score_of(record) for record in history.epochs]


def _nobody(search: SearchRecord, trials: Sequence[TrialRecord]) -> Finding | None:
    pictures = search.pictures
    if pictures is None or not trials or search.objective.name != ACCURACY:
        return None
    if _learned(trials, pictures):
        return None
    return Finding(
        kind="nobody_learned",
        text=f"no student is clearly better than always naming one class ({percent(pictures.largest_share)}); train"
        " longer, or at another learning rate",
    )


def _learned(trials: Sequence[TrialRecord], pictures: PictureCounts) -> bool:
    """Tell whether some student is clearly better than chance."""
    bound = _bound(pictures, 2)
    return any((r.validation_accuracy or 0.0) > bound for trial in trials for r in trial.history.replicates)


def _bound(pictures: PictureCounts, times: int = 1) -> float:
    """Return the accuracy that is above chance by `times` the margin within which it still counts as chance."""
    share = pictures.largest_share
    return share + times * _ERRORS * math.sqrt(share * (1.0 - share) / pictures.validation)
