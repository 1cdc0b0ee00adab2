"""Warns of a teacher that has little to teach. Such a search runs, but its results say little about rules for λ."""

from __future__ import annotations

import math

from search.evidence.ranking import saw_labels_alone
from search.evidence.statistics.paired import mean
from search.records import SearchRecord, TrialRecord
from search.wording import percent

_LEAST_SHARE = 0.25
"""Share of the way from always naming the largest class to being always right that a teacher should have reached."""
_ERRORS = 3.0
"""Standard errors by which a student must be ahead of its teacher: more than two, since it is the best of several."""


def teacher_remark(search: SearchRecord) -> str:
    """Say what is wrong with the teacher and what to do, in two sentences; empty if nothing is found.

    A student that is clearly better than the teacher is stronger evidence than the teacher's accuracy, so it is named
    first. Of such students, one that saw labels alone is preferred.
    """
    found = _outdone(search) or _near_chance(search)
    return f"{found} {_remedy(search)}" if found else ""


def _near_chance(search: SearchRecord) -> str:
    accuracy, pictures = search.teacher_accuracy, search.pictures
    if accuracy is None or pictures is None:
        return ""
    chance = pictures.largest_share
    if accuracy >= chance + _LEAST_SHARE * (1.0 - chance):
        return ""
    return (
        f"The teacher has learnt little: it is right on {percent(accuracy)} of the validation set; always"
        f" naming the largest class would be right on {percent(chance)}."
    )


def _outdone(search: SearchRecord) -> str:
    teacher, size = search.teacher_accuracy, search.validation_size
    if teacher is None or size is None:
        return ""
    trained = [(accuracy, trial) for trial in search.raced if (accuracy := _accuracy(trial)) is not None]
    alone = [accuracy for accuracy, trial in trained if saw_labels_alone(trial)]
    for students, accuracies in (
        ("Students trained on labels alone are", alone),
        ("The best student is", [accuracy for accuracy, _ in trained]),
    ):
        best = max(accuracies, default=0.0)
        error = math.sqrt((best * (1.0 - best) + teacher * (1.0 - teacher)) / size)
        if best - teacher > _ERRORS * error:
            return (
                f"{students} clearly better than the teacher, {percent(best)} against {percent(teacher)} of the"
                " validation set, so it has little to teach."
            )
    return ""


def _accuracy(trial: TrialRecord) -> float | None:
    """Return the mean accuracy over its seeds on the validation pictures, whatever the objective is."""
    return mean(replicate.validation_accuracy for replicate in trial.history.replicates)


def _remedy(search: SearchRecord) -> str:
    teacher = search.config.teacher
    if teacher is None:
        return "Check `teacher` of the task: its weights, and the order of its classes."
    if teacher.unseen_classes:
        return "It has not seen all classes (`teacher.unseen_classes`)."
    if teacher.checkpoint is not None:
        return (
            "Check that `teacher.checkpoint` has the data's classes in the same order and was trained with the same"
            " normalisation, or give another one."
        )
    return (
        "Train it longer (`teacher.training.epochs`), or give a trained one (`teacher.checkpoint`), in a search of"
        " another name."
    )
