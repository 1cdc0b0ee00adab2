"""Checks the contract of a training function: `check_function("train.py:distil")` raises AssertionError.

Each clause is a function that takes the function, so that a test suite can run them one by one:

    @pytest.mark.parametrize("clause", FUNCTION_CLAUSES, ids=lambda clause: clause.__name__)
    def test_my_function_keeps_the_contract(clause):
        clause("train.py:distil")

The clauses call the function to its end several times, so a test suite gives it options that make it short. They open
the test set.
"""

from __future__ import annotations

import functools
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import torch

from policies.contract import Clause, clause, require
from policies.own_file import read_source
from trainables.config import (
    DeviceSettings,
    ModelSettings,
    OwnFunction,
    PolicySettings,
    TrainingSettings,
    TrialSettings,
)
from trainables.device import select_compute
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining, Notes
from trainables.records import Objective
from trainables.testing.subject import name_of

FUNCTION_CLAUSES: list[Clause] = []
"""The clauses on functions, in the order in which they are checked."""


def check_function(
    function: str, *, options: Mapping[str, Any] | None = None, objective: str = "accuracy", epochs: int = 2
) -> None:
    """Check that a training function keeps the contract.

    Args:
        function: `train.py:distil`, relative to the working directory.
        options: the function's options.
        objective: the metric that it must report.
        epochs: the number of epochs of `run.epochs()`.

    Raises:
        AssertionError: a clause is broken; the message says which, and how.
    """
    subject = FunctionSubject.of(function, options=options, objective=objective, epochs=epochs)
    for checked in FUNCTION_CLAUSES:
        checked(subject)


class FunctionSubject:
    """A function that is checked. Its trainings are made when they are first used, and kept.

    Args:
        own: the function.
        objective: the metric that it must report.
        epochs: the number of epochs of `run.epochs()`.
    """

    def __init__(self, own: OwnFunction, *, objective: str, epochs: int) -> None:
        self.own, self.objective, self.epochs = own, objective, epochs
        self.origin = own.origin
        self._place = FunctionPlace(
            assets=FunctionAssets(function=own, folder=str(pathlib.Path.cwd())),
            compute=select_compute(DeviceSettings(device="cpu")),
        )

    @classmethod
    def of(
        cls,
        function: str | FunctionSubject,
        *,
        options: Mapping[str, Any] | None = None,
        objective: str = "accuracy",
        epochs: int = 2,
    ) -> FunctionSubject:
        """Read a function's file; a subject is returned as it is."""
        if isinstance(function, FunctionSubject):
            return function
        origin, source = read_source(function, pathlib.Path(), what="function", example="train.py:distil")
        return cls(
            OwnFunction(origin=origin, source=source, options=dict(options or {})), objective=objective, epochs=epochs
        )

    def begin(self, seed: int = 0, **more: Any) -> FunctionTraining:
        """Begin a training under a rule that measures both gradients and looks at no logits."""
        settings = TrialSettings(
            student=ModelSettings(name=self.own.origin),
            training=TrainingSettings(epochs=self.epochs),
            policy=PolicySettings(family="norm_balance"),
            objective=Objective(name=self.objective),
            seeds=(seed,),
            trace_points=2,
        )
        return FunctionTraining(settings, self._place, **more)

    def trained(self, seed: int = 0, **more: Any) -> Notes:
        """Train to the end; return the notes."""
        training = self.begin(seed, **more)
        try:
            for _ in training.records():
                pass
            training.check_scores()
            return training.ended[0]
        finally:
            training.close()

    @functools.cached_property
    def searched(self) -> Notes:
        """The notes on a training in a search."""
        return self.trained()

    @functools.cached_property
    def confirmed(self) -> Notes:
        """The notes on a training in a confirmation."""
        return self.trained(confirming=True)


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def it_trains_and_reports(subject: FunctionSubject) -> None:
    """The function makes steps with its balancer, reports the objective, and keeps its student finite."""
    notes = subject.searched
    require(
        notes.steps <= notes.total_steps,
        f"it made {notes.steps} steps, but gave `total_steps` = {notes.total_steps}; rules that look at progress need"
        " the right number",
    )


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def trainings_repeat_themselves(subject: FunctionSubject) -> None:
    """Two trainings under one seed give the same student to the last bit."""
    same = subject.trained().digest == subject.searched.digest
    require(same, "two trainings under one seed give other students; draw all random numbers from seeded generators")


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def seeds_differ(subject: FunctionSubject) -> None:
    """Another seed gives another student."""
    other = subject.trained(seed=1)
    require(other.digest != subject.searched.digest, "two seeds give the same student; seed with `run.seed`")


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def a_resumed_training_is_the_same(subject: FunctionSubject) -> None:
    """A training that is stopped after its first report and resumed gives the same student."""
    with tempfile.TemporaryDirectory() as name:
        folder, cut = pathlib.Path(name), subject.begin()
        for _ in cut.records():
            state = cut.save_state(folder)
            if any(folder.iterdir()) or cut.done:
                break
        cut.close()
        torch.save(state, folder / "state.pt")
        resumed = subject.begin()
        resumed.load_state(folder, torch.load(folder / "state.pt", weights_only=True))
        for _ in resumed.records():
            pass
        digest = resumed.ended[0].digest or subject.searched.digest  # one that had ended was not trained again
        resumed.close()
    require(
        digest == subject.searched.digest,
        "a training that continues from what `run.save` wrote gives another student; save and restore the optimiser and"
        " the learning rate's schedule, too, and loop over `run.epochs`",
    )


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def a_confirmation_trains_the_same_student(subject: FunctionSubject) -> None:
    """The test set changes nothing in the training, and the objective is reported on it."""
    same = subject.confirmed.digest == subject.searched.digest
    require(
        same, "a confirmation trains another student than a search; look at `run.confirming` after the training only"
    )
    tested = subject.confirmed.tested
    assert tested is not None  # the training has checked it
    own = tested.samples.get(subject.objective)
    if own is not None:
        told = tested.metrics[subject.objective]
        require(
            abs(told - own.value) <= 1e-6 * max(1.0, abs(own.value)),
            f"`{subject.objective}` on the test set is reported as {told:.6g}, but its values by sample have the mean"
            f" {own.value:.6g}",
        )


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def the_process_stays_as_it_was(subject: FunctionSubject) -> None:
    """The function leaves the settings of its process as they were. Imports count the first time only."""
    changed = subject.trained().changed
    require(not changed, f"it changes {', '.join(changed)}; a search resets this, but `processes = 1` is safer")


@clause(FUNCTION_CLAUSES, FunctionSubject.of, name_of)
def it_can_be_stopped(subject: FunctionSubject) -> None:
    """The function ends when it is stopped at a report."""
    training = subject.begin()
    next(training.records())
    training.close()
    require(training.stopped, "it does not end when it is stopped; do not catch BaseException around `run.report`")
