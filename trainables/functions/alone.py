"""Runs a training function by itself, under a rule that a search has found: no search, no Ray."""

from __future__ import annotations

import atexit
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from policies.document import read_document
from policies.policy import Policy
from policies.registry import create_policy
from trainables.config import PolicySettings
from trainables.functions.isolation import seed_all
from trainables.functions.notes import Notes
from trainables.functions.run import Run
from trainables.functions.session import Session
from trainables.functions.thread import Pauses
from trainables.training import MOST_ENTRIES


def run_alone(
    policy: str | pathlib.Path | Policy,
    *,
    seed: int = 0,
    epochs: int = 30,
    learning_rate: float | None = None,
    temperature: float | None = None,
    options: Mapping[str, Any] | None = None,
    objective: str = "accuracy",
    policies: Iterable[type[Policy]] = (),
    device: str | torch.device | None = None,
) -> Run:
    """Return a run for a training function that is called by itself; its reports are printed.

    Args:
        policy: a `policy.json`, or a policy.
        seed: the seed, with which the global generators are seeded.
        epochs: the number of epochs of `run.epochs()`.
        learning_rate: the learning rate; by default that of the file.
        temperature: the temperature; by default that of the file, else 4.
        options: the function's options, in place of those in the file.
        objective: the metric that `run.report_test` gives on each sample.
        policies: your own rule classes, if the file holds a rule of one of them.
        device: by default a GPU if there is one.

    Raises:
        PolicyError: the file is unreadable or invalid.
    """
    training: Mapping[str, Any] = {}
    found_options: Mapping[str, Any] = {}
    if not isinstance(policy, Policy):
        document = read_document(policy, policies)
        training, found_options = document.get("training") or {}, document.get("options") or {}
        temperature = float(document["temperature"]) if temperature is None else temperature
        policy = create_policy(document["family"], document["parameters"])
    rate = training.get("learning_rate", 1e-2) if learning_rate is None else learning_rate
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="kd-function-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    session = Session(
        seed=seed,
        policy=PolicySettings(),
        learning_rate=float(rate),
        temperature=4.0 if temperature is None else temperature,
        options={**found_options, **(options or {})},
        epochs=epochs,
        objective=objective,
        confirming=True,
        device=torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")),
        folder=pathlib.Path.cwd(),
        scratch=scratch,
        save_seconds=float("inf"),
        printing=True,
    )
    seed_all(seed, 0)
    notes = Notes(seed, epochs=epochs, points=2, kept=MOST_ENTRIES)
    return Run(session, notes, Pauses(), policy=policy)
