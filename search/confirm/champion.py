"""Chooses the champion of a confirmed search: the student to use, and its evidence. Imports no torch."""

from __future__ import annotations

import math
import pathlib
from typing import Any

from search.evidence import Comparison, ConfirmedVerdict, Judgement, finalist_of, passes_itself
from search.records import ConfirmationRecord, Finalist, SeedResult
from search.settings import SearchConfig
from search.wording import Scale
from trainables.config import ModelSettings, OwnFunction, OwnTask
from trainables.pictures import PictureFormat
from trainables.settings import Settings
from trainables.suggestion import apply_suggestion


class Champion(Settings):
    """One of the students of the finalist that the verdict names."""

    search: str
    title: str
    """The finalist's title: a rule by its family, a constant by its λ."""
    finalist: Finalist
    result: SeedResult
    """The student's own result."""
    verdict: ConfirmedVerdict
    comparison: Comparison
    scale: Scale
    passing: int | None = None
    """The number of the finalist's students that keep every KPI gate; None without gates."""
    policy: dict[str, Any]
    """The contents of its `policy.json`."""
    student: ModelSettings
    """The model; for a task or a function, its name and options."""
    pictures: PictureFormat | None
    """The format of the pictures that it reads; None for a task or a function."""
    task: OwnTask | None = None
    function: OwnFunction | None = None
    origins: dict[str, str]
    """The data and the teacher, in words."""

    @property
    def own_file(self) -> str:
        """The name of the file of a student of the user's own on pictures; empty for all others."""
        return self.student.name.rpartition(":")[0] if self.student.source else ""


def choose_champion(record: ConfirmationRecord, judgement: Judgement, config: SearchConfig) -> Champion | None:
    """Choose the verdict's finalist, by its student with the highest validation score.

    The test pictures take no part in the choice, so the student's own test score is as honest as the finalist's mean.
    With KPI gates only the students that keep every gate on the test set are chosen from. Ties go to the smaller seed.

    Args:
        record: of a confirmation, finished or not.
        judgement: of its search and this record.
        config: of its search.

    Returns:
        The champion; None while the verdict names no finalist, if none keeps every KPI gate, or if a confirmation of an
        older release does not record what pictures its students read.
    """
    verdict, finalists, recommended = judgement.verdict, judgement.finalists, judgement.recommended
    if verdict is None or verdict.champion is None or (record.pictures is None and config.own is None):
        return None
    assert finalists is not None  # a verdict was found on them
    assert recommended is not None
    finalist = finalist_of(record, verdict.champion)
    results = [result for result in record.results if result.finalist == verdict.champion]
    passing = [result for result in results if passes_itself(record, result)]
    best = max(passing, key=lambda result: (_validation(record, result), -result.seed))
    return Champion(
        search=record.search,
        title=recommended.title,
        finalist=finalist,
        result=best,
        verdict=verdict,
        comparison=finalists,
        scale=Scale(record.objective),
        passing=len(passing) if record.gates else None,
        policy=recommended.document,
        student=apply_suggestion(config.base_trial(), finalist.suggestion).student,
        pictures=record.pictures,
        task=config.task,
        function=config.function,
        origins=_origins(config),
    )


def _origins(config: SearchConfig) -> dict[str, str]:
    own = config.own
    if own is not None:
        return {"data and teacher": f"those of `{own.origin}`"}
    assert config.teacher is not None  # pictures have a teacher
    teacher, came = config.teacher, "trained by the search"
    if teacher.checkpoint is not None:
        came = f"from the checkpoint `{pathlib.PurePath(teacher.checkpoint).name}`"
    return {"data": f"`{config.data.name}`", "teacher": f"`{teacher.model.name}`, {came}"}


def _validation(record: ConfirmationRecord, result: SeedResult) -> float:
    score = record.score(result, "validation")
    return score if math.isfinite(score) else -math.inf
