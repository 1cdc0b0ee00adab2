"""Rehearses a search: trains one student for a moment, twice, before anything is spent."""

from __future__ import annotations

import dataclasses
import math
import threading
import time

import torch

from search.prepare.preparation import prepare
from search.records import Listener
from search.settings import CONSTANT_FAMILY, Launch, SearchConfig, planned_trainings
from trainables.config import PolicySettings
from trainables.device import Compute, select_compute
from trainables.training import Distillation, TrainingData, data_on_device

_MEASURING = "norm_balance"
"""A rule that measures both gradients, as most rules do: its training takes longer than a constant's."""
_MOST_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Rehearsal:
    """Tells what a moment of training has shown."""

    seconds: float
    """The time of one training of one student under one seed under a rule that measures gradients."""
    trainings: int
    """The most trainings of the whole search."""
    repeatable: bool | None
    """True if two trainings under one seed gave the same student to the last bit; None on a GPU, where sums may not
    come in the same order."""

    def search_seconds(self, at_a_time: int) -> float:
        """Estimate the most time of the whole search, apart from its start, with so many trainings at a time."""
        return self.seconds * math.ceil(self.trainings / at_a_time)


def rehearse(config: SearchConfig, launch: Launch, listener: Listener) -> Rehearsal:
    """Prepare a search in this process, without Ray, and train its student twice for at most a few seconds.

    Both cross the first epoch's end, since a task's own randomness may begin there, unless one epoch takes longer.

    Raises:
        KDPolicySearchError: something fails or does not fit.
    """
    alone = threading.Event()
    alone.set()
    here = config.model_copy(update={"resources": config.resources.model_copy(update={"gpus_per_trial": 0.0})})
    prepared = prepare(here, launch, listener, alone)
    compute = select_compute(config.device)
    torch.set_num_threads(config.base_trial().device.threads or 1)
    listener.stage("training the student twice for a moment")
    data = data_on_device(prepared.assets, compute)
    one, epochs, seconds = _train(config, data, most=None)
    other, _, _ = _train(config, data, most=epochs)
    return Rehearsal(
        seconds=seconds / epochs * config.training.epochs,
        trainings=_trainings(config),
        repeatable=_same(one, other, compute),
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


def _trainings(config: SearchConfig) -> int:
    rules = planned_trainings(config.heats) * len(config.rule_families)
    constants = planned_trainings(config.heats_of_family(CONSTANT_FAMILY)) if config.most_constants else 0
    return (rules + constants) * len(config.students)
