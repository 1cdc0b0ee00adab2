"""Runs the whole study: trainings on both tasks, verdicts on every estimator, and what the estimators cost."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import step

from noise.estimators import EVERY, estimators
from noise.stored import course
from noise.summary import Setting, Verdicts
from noise.trainings import Task, digits, visits
from noise.verdicts import judge, of_right_labels, one_switch
from trainables.config import ModelSettings

WRONG = (0.0, 0.2, 0.4)
BATCHES = (8, 32, 128)


class Students(NamedTuple):
    """The student of the pictures and that of the table."""

    digits: ModelSettings
    visits: ModelSettings


STUDENTS = {
    "main": Students(
        ModelSettings(name="cnn", options={"widths": [8, 16]}), ModelSettings(name="mlp", options={"hidden": [16]})
    ),
    "other": Students(
        ModelSettings(name="mlp", options={"hidden": [32]}), ModelSettings(name="mlp", options={"hidden": [32, 16]})
    ),
}
"""`other` is for a second look at what `main` has shown."""


class Study(NamedTuple):
    """The verdicts, and by setting and seed two κ for comparison: see `verdicts.one_switch` and `of_right_labels`."""

    verdicts: Verdicts
    one_switch: dict[tuple[Setting, int], dict[str, float]]
    right_labels: dict[tuple[Setting, int], dict[str, float]]


def study(students: Students, seeds: Sequence[int], cache: pathlib.Path, readings: pathlib.Path | None) -> Study:
    """Train and judge; print a line after each training.

    Args:
        students: the two students.
        seeds: of the trainings of each setting.
        cache: data and teachers.
        readings: a folder that keeps the readings of these students, or None.
    """
    tasks: tuple[Task, ...] = digits(cache, students.digits), visits(cache, students.visits)
    found = Study({}, {}, {})
    settings = [(task, Setting(task.name, wrong, batch)) for task in tasks for wrong in WRONG for batch in BATCHES]
    for seed in seeds:
        for task, setting in settings:
            read = course(task, setting.wrong, setting.batch, seed, readings)
            found.verdicts[setting, seed] = {each: judge(read, each) for each in estimators(list(read.ways))}
            found.one_switch[setting, seed] = one_switch(read)
            found.right_labels[setting, seed] = of_right_labels(read)
            print(f"{setting.task}: {setting.wrong:.0%} wrong labels, batch {setting.batch}, seed {seed}", flush=True)
    return found


def costs(students: Students, rounds: int) -> dict[str, dict[str, step.Cost]]:
    """Measure every way of measuring on both students, with batches of 32."""
    kinds = {kind: make for every in EVERY for kind, make in step.measuring(every).items() if "two layers" not in kind}
    cases = (
        step.Case("digits", students.digits, (1, 8, 8), 10, 32, 15),
        step.Case("visits", students.visits, (1, 1, 9), 5, 32, 60),
    )
    return step.measure(rounds, kinds, cases=cases)
