"""Prepares a search in this process, without Ray: for a rehearsal or a diagnosis."""

from __future__ import annotations

import pathlib
import threading

import torch

from search.prepare.function import check_seeded, check_used, foundation_of_function, run_for_a_while
from search.prepare.preparation import prepare
from search.prepare.prepared import Prepared
from search.records import Listener
from search.settings import CONSTANT_FAMILY, Launch, SearchConfig, planned_trainings
from trainables.device import select_compute
from trainables.functions import FunctionAssets, FunctionPlace

_MOST_SECONDS = 10.0


def prepare_here(config: SearchConfig, launch: Launch, listener: Listener) -> Prepared:
    """Load data and teacher, or try a training function out for a moment, and set the number of threads.

    Raises:
        KDPolicySearchError: something is not available, fails or does not fit.
    """
    torch.set_num_threads(config.base_trial().device.threads or 1)
    if config.function is not None:
        return _try_out(config, listener)
    alone = threading.Event()
    alone.set()
    here = config.model_copy(update={"resources": config.resources.model_copy(update={"gpus_per_trial": 0.0})})
    return prepare(here, launch, listener, alone)


def most_trainings(config: SearchConfig) -> int:
    """Return the most trainings of a search, one for each seed, its confirmation apart."""
    rules = planned_trainings(config.heats) * len(config.rule_families)
    constants = planned_trainings(config.heats_of_family(CONSTANT_FAMILY)) if config.most_constants else 0
    return (rules + constants) * len(config.students)


def _try_out(config: SearchConfig, listener: Listener) -> Prepared:
    own = config.function
    assert own is not None
    listener.stage(f"running {own.origin} for a moment")
    assets = FunctionAssets(function=own, folder=str(pathlib.Path.cwd()))
    place = FunctionPlace(assets=assets, compute=select_compute(config.device))
    notes, _ = run_for_a_while(config, place, reports=1, most_seconds=_MOST_SECONDS)
    check_used(config, own, notes)
    check_seeded(config, place, notes)
    assets = FunctionAssets(function=own, folder=assets.folder, given=notes.given or "losses")
    return Prepared(assets, 0, foundation_of_function(config), None)
