"""Finds trainings that say little about λ: students that learned nothing, too short or long trainings, equal scores.

A finding is one sentence about one trial, or about all of them. Rules and constants are examined alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from policies.guarding.intervention import Intervention
from search.evidence.conduct.trend import curve_noise, trend
from search.records import SearchRecord, TrialRecord
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
    seeds: tuple[int, ...] = ()
    """Seeds of students that learned nothing."""
    amount: float | None = None
    """The size of a rise or fall, as a difference of scores."""


class TrialHealth(Settings):
    """The findings on one trial."""

    number: int
    findings: tuple[Finding, ...]


class Health(Settings):
    """The findings on a search."""

    trials: tuple[TrialHealth, ...]
    """The trials with findings, in the order of their numbers."""
    overall: tuple[Finding, ...]
    """The findings on all trials together: `nobody_learned`, `all_equal`."""

    def of(self, number: int) -> tuple[Finding, ...]:
        """Return the findings on a trial, most serious first; empty if there are none."""
        return next((trial.findings for trial in self.trials if trial.number == number), ())


def examine(search: SearchRecord) -> Health:
    """List all findings on a search's finished trials.

    Args:
        search: the search, with the trials of one student.
    """
    trials = sorted(search.finished, key=lambda trial: trial.number)
    noise = curve_noise([curve_of(trial.history, search.objective) for trial in trials])
    found = [(trial.number, _of_trial(trial, search, trials, noise)) for trial in trials]
    return Health(
        trials=tuple(TrialHealth(number=place, findings=findings) for place, findings in found if findings),
        overall=tuple(filter(None, (_nobody(search, trials), equal_scores(trials, Scale(search.objective))))),
    )


def _of_trial(
    trial: TrialRecord, search: SearchRecord, trials: Sequence[TrialRecord], noise: float | None
) -> tuple[Finding, ...]:
    pictures = search.pictures
    if pictures is not None and _learned(trials, pictures.largest_share, pictures.validation):
        lost = chance_finding(
            trial.history,
            chance=pictures.largest_share,
            validation=pictures.validation,
            classes=pictures.classes,
            learning_rate=trial.shared.get("learning_rate"),
            accuracy_decides=search.objective.name == ACCURACY,
        )
        if lost is not None:
            return (lost,)
    ending = None if noise is None else trend_finding(trial.history, search.objective, noise)
    return () if ending is None else (ending,)


def chance_finding(
    history: TrialHistory,
    *,
    chance: float,
    validation: int,
    classes: int,
    learning_rate: float | None = None,
    accuracy_decides: bool = True,
) -> Finding | None:
    """Find students that are no better than chance, though others learned; None if there is none.

    Args:
        history: that of a finished trial.
        chance: accuracy of always naming the validation pictures' largest class, in [0, 1].
        validation: the number of validation pictures.
        classes: the number of classes.
        learning_rate: the trial's, if it was searched.
        accuracy_decides: True if the objective is accuracy. If not, the loss of a student at chance must also be no
            better than that of guessing, since a KPI of the user's own may ask for something else than accuracy.
    """
    bound = chance + _ERRORS * _error(chance, validation)
    guessing = math.log(classes)
    lost = [
        replicate
        for replicate in history.replicates
        if replicate.validation_accuracy <= bound and (accuracy_decides or replicate.validation_loss >= guessing)
    ]
    if not lost:
        return None
    seeds = tuple(replicate.seed for replicate in lost)
    worst = max(replicate.validation_loss for replicate in lost)
    alarmed = history.interventions.get(Intervention.DIVERGENCE.value, 0) > 0
    forgot = any(record.validation_accuracy > bound + _ERRORS * _error(chance, validation) for record in history.epochs)
    named = f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
    who = "no student is" if len(seeds) == len(history.replicates) else f"with {named} the student is not"
    level = f"right on more pictures than always naming one class would be ({percent(chance)})"
    if alarmed or forgot or worst > _LOST * guessing:
        rate = (
            "lower the learning rate" if learning_rate is None else f"learning rate {number(learning_rate)} is too high"
        )
        text = f"the training diverged: {who} {level}, and the highest loss is {number(worst)}; {rate}"
        return Finding(kind="diverged", text=text, seeds=seeds)
    return Finding(kind="learned_nothing", text=f"{who} {level}, though others learned", seeds=seeds)


def trend_finding(history: TrialHistory, objective: Objective, noise: float) -> Finding | None:
    """Find a score that still rose at the end of the training or fell from its peak; None if it is level.

    Args:
        history: that of a finished trial.
        objective: the search's.
        noise: that of one evaluation, as `search.evidence.conduct.trend.curve_noise` returns it.
    """
    matters = MATTERS if objective.name == ACCURACY else 0.0
    found = trend(curve_of(history, objective), noise, matters)
    if found is None:
        return None
    scale, epoch, last = Scale(objective), history.epochs[found.since].epoch, history.epochs[-1].epoch
    moved = f"by {scale.size(found.amount)}"
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
    return Finding(kind=found.kind, text=text, amount=found.amount)


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
    if _learned(trials, pictures.largest_share, pictures.validation):
        return None
    return Finding(
        kind="nobody_learned",
        text=f"no student is clearly better than always naming one class ({percent(pictures.largest_share)}); train"
        " longer, or at another learning rate",
    )


def _learned(trials: Sequence[TrialRecord], chance: float, validation: int) -> bool:
    """Tell whether some student is clearly better than chance."""
    bound = chance + 2.0 * _ERRORS * _error(chance, validation)
    return any(r.validation_accuracy > bound for trial in trials for r in trial.history.replicates)


def _error(share: float, pictures: int) -> float:
    return math.sqrt(share * (1.0 - share) / pictures)
