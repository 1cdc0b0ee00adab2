"""Rehearses a search: trains one student for a moment, twice, before anything is spent."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import tempfile
import time

import torch

from search.prepare.function import check_families, check_seeded, check_used, run_for_a_while
from search.prepare.here import most_trainings, prepare_here
from search.records import Listener
from search.settings import Launch, SearchConfig
from search.wording import percent
from trainables.config import OwnFunction, PolicySettings
from trainables.device import Compute, select_compute
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining, Notes
from trainables.training import Distillation, TrainingData, data_on_device
from trainables.trainings import Assets

_MEASURING = "norm_balance"
"""A rule that measures both gradients, as most rules do: its training takes longer than a constant's."""
_MOST_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """Tells what a moment of training has shown."""

    seconds: float
    """The time of one training of one student under one seed under a rule that measures gradients."""
    remarks: tuple[str, ...]
    """Further findings, as sentences."""
    steps: int
    """The steps of one training."""
    trainings: int
    """The most trainings of the whole search."""
    repeatable: bool | None
    """True if two trainings under one seed gave the same student to the last bit; None on a GPU, where sums may not
    come in the same order."""

    def search_seconds(self, at_a_time: int) -> float:
        """Estimate the most time of the whole search, apart from its start, with so many trainings at a time."""
        return self.seconds_of(self.trainings, at_a_time)

    def seconds_of(self, trainings: int, at_a_time: int) -> float:
        """Estimate the time of some trainings, with so many at a time."""
        return self.seconds * math.ceil(trainings / at_a_time)


def rehearse(config: SearchConfig, launch: Launch, listener: Listener) -> Rehearsal:
    """Prepare a search in this process, without Ray, and train its student twice for at most a few seconds.

    Both cross the first epoch's end, since a task's own randomness may begin there, unless one epoch takes longer.

    Raises:
        KDPolicySearchError: something fails or does not fit.
    """
    if config.function is not None:
        return _rehearse_function(config, listener)
    prepared = prepare_here(config, launch, listener)
    compute = select_compute(config.device)
    listener.stage("training the student twice for a moment")
    assert not isinstance(prepared.assets, FunctionAssets)
    data = data_on_device(prepared.assets, compute)
    one, epochs, seconds = _train(config, data, most=None)
    other, _, again = _train(config, data, most=epochs)
    # The first training of a process takes longer, which is no trial's usual cost.
    seconds = min(seconds, again)
    return Rehearsal(
        seconds=seconds / epochs * config.training.epochs,
        remarks=_on_teacher(prepared.assets),
        steps=one.replicates[0].total_steps,
        trainings=most_trainings(config),
        repeatable=_same(one, other, compute),
    )


def _on_teacher(assets: Assets) -> tuple[str, ...]:
    accuracy = assets.teacher_accuracy
    return () if accuracy is None else (f"The teacher's accuracy on the validation set is {percent(accuracy)}.",)


def _rehearse_function(config: SearchConfig, listener: Listener) -> Rehearsal:
    """Run a training function twice for a moment, and from its snapshot if it makes one."""
    own = config.function
    assert own is not None
    listener.stage(f"running {own.origin} twice for a moment")
    place = FunctionPlace(
        assets=FunctionAssets(function=own, folder=str(pathlib.Path.cwd())), compute=select_compute(config.device)
    )
    with tempfile.TemporaryDirectory(prefix="kd-rehearsal-") as folder:
        snapshots = pathlib.Path(folder)

        def keep(training: FunctionTraining) -> None:
            if not any(snapshots.iterdir()):
                training.save_state(snapshots)

        one, setup = run_for_a_while(config, place, reports=3, most_seconds=_MOST_SECONDS, each=keep)
        steps = one.updates
        other, again = run_for_a_while(config, place, most_steps=steps)
        saved = next(snapshots.iterdir(), None)
        resumed = None if saved is None else run_for_a_while(config, place, most_steps=steps, snapshot=saved)[0]
    check_used(config, own, one)
    check_seeded(config, place, one)
    check_families(config, own, one.given or "losses")
    on_cpu = place.device.type == "cpu"
    # What the first training of a process takes longer, such as imports, is no trial's usual cost.
    setup = min(setup, again)
    a_step = min((run.last_step - (run.first_step or 0.0)) / max(1, run.steps - 1) for run in (one, other))
    return Rehearsal(
        seconds=setup + a_step * one.total_steps,
        steps=one.total_steps,
        trainings=most_trainings(config),
        repeatable=one.digest == other.digest if on_cpu else None,
        remarks=(*_on_changes(own, other), *_on_progress(one), _on_resume(one, resumed, exact=on_cpu)),
    )


def _on_changes(own: OwnFunction, second: Notes) -> list[str]:
    """Return a remark on what a function changes in its process. Imports change some of it, but only the first time."""
    if own.processes or not second.changed:
        return []
    return [f"The function changes {', '.join(second.changed)}; this is reset after each training."]


def _on_progress(notes: Notes) -> list[str]:
    if notes.reports or notes.returned:
        return []
    return [f"The first report takes longer than {_MOST_SECONDS:.0f} s, so the metrics were not checked."]


def _on_resume(one: Notes, resumed: Notes | None, *, exact: bool) -> str:
    if resumed is None:
        return "An interrupted training begins again from its first step, since nothing was saved by `run.save`."
    if not exact or resumed.digest == one.digest:
        return "An interrupted training continues from what `run.save` wrote" + (
            ", and ends in the same student to the last bit." if exact else "."
        )
    return (
        "A training that continues from what `run.save` wrote does NOT end in the same student; save and restore the"
        " optimiser and the learning rate's schedule, too, and loop over `run.epochs`."
    )


def _train(config: SearchConfig, data: TrainingData, most: int | None) -> tuple[Distillation, int, float]:
    """Train under the first seed for at most two epochs, or `most`; return the epochs and their seconds, too."""
    trial = config.base_trial().model_copy(
        update={"policy": PolicySettings(family=_MEASURING), "seeds": config.seeds[:1]}
    )
    distillation = Distillation(trial, data)
    began = time.monotonic()
    records = distillation.records()
    while not distillation.done and distillation.replicates[0].epoch < (most or 2):
        next(records)
        if most is None and time.monotonic() - began > _MOST_SECONDS:
            break
    seconds = time.monotonic() - began
    distillation.check_losses()
    return distillation, distillation.replicates[0].epoch, seconds


def _same(one: Distillation, other: Distillation, compute: Compute) -> bool | None:
    if compute.device.type != "cpu":
        return None
    states = (one.replicates[0].student.state_dict(), other.replicates[0].student.state_dict())
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])
