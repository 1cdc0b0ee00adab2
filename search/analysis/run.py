"""Trains students and measures, at places along each training, what another λ would have done."""

from __future__ import annotations

import time

import torch

from policies.registry import create_policy
from search.analysis.subject import Subject
from search.errors import SearchError
from search.prepare import load_checked, teach
from search.records import AnalysisRecord, Listener
from search.settings import Launch
from search.wording import count
from trainables.device import select_compute
from trainables.pictures import TrialAssets
from trainables.records import ProbeRecord, ProbeSettings
from trainables.training import DeviceAssets, probe_training


def analyze(
    subject: Subject, launch: Launch, listener: Listener, *, seeds: int, probing: ProbeSettings
) -> AnalysisRecord:
    """Analyse a training under the search's seeds and those that follow; in this process, without Ray.

    Raises:
        SearchError: the search ran on other data or with another teacher.
        KDPolicySearchError: data, teacher or device are not available.
    """
    config, trial = subject.config, subject.trial
    if config.own is not None:
        raise SearchError(
            f"`kd-search analyze` takes virtual steps on pictures, but {config.name!r} trains"
            f" {config.own.origin!r}; `kd-search explain` says what its rule did in each trial."
        )
    torch.set_num_threads(trial.device.threads or 1)
    compute = select_compute(trial.device)  # before anything is loaded
    dataset = load_checked(config, launch, listener)
    prepared = teach(config, dataset, launch, listener.teacher)
    # The precision is not compared: an analysis may run on another kind of device than the search.
    if subject.foundation is not None and (
        other := prepared.foundation.mismatch(subject.foundation, with_precision=False)
    ):
        raise SearchError(
            f"the search {config.name!r} ran on other inputs than those found now ({other}), so its rule cannot be"
            " analysed on them. Restore the pictures, checkpoint or cache that it ran with."
        )
    assert isinstance(prepared.assets, TrialAssets)
    data = DeviceAssets(prepared.assets, compute)
    chosen = tuple(range(config.seed, config.seed + seeds))
    steps = len(dataset.train) // min(trial.training.batch_size, len(dataset.train)) * trial.training.epochs
    probing = probing.model_copy(update={"probes": probing.places(steps)})
    total, probes, began = seeds * probing.places(steps), list[ProbeRecord](), time.monotonic()
    listener.stage(
        f"training under {count(seeds, 'seed')} for {count(steps, 'step')} each, with {count(total, 'probe')}; a"
        f" probe takes up to {count(len(probing.weights) * probing.horizons[-1], 'virtual step')}"
    )
    for seed in chosen:
        for probe in probe_training(trial, seed, data, probing):
            probes.append(probe)
            listener.probe(probe, len(probes), total)
    policy = create_policy(trial.policy.family, dict(trial.policy.parameters))
    return AnalysisRecord(
        name=config.name,
        trial=subject.number,
        family=policy.family,
        parameters=policy.values(),
        rule=policy.rule(),
        seeds=chosen,
        total_steps=steps,
        temperature=trial.temperature,
        learning_rate=trial.training.learning_rate,
        optimizer=trial.training.optimizer,
        student=trial.student.name,
        dataset=dataset.name,
        device=compute.describe(),
        held_out=min(probing.pictures, len(dataset.validation)),
        settings=probing,
        seconds=time.monotonic() - began,
        probes=tuple(probes),
    )
