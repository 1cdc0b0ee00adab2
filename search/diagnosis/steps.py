"""Tries every λ for one step at places along a training, and asks whether the best one varies beyond noise.

P: places; B: batches at a place; W: λ that are tried.

It is a small sister of `kd-search analyze` that runs for tasks of the user's own as well. Each held-out half judges
what the other half chose, so that a best λ that is only noise gains nothing.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch

from policies.balancer import LossBalancer
from policies.registry import create_policy
from search.diagnosis.posterior import Floats
from search.diagnosis.record import Estimate, LocalSteps
from trainables.config import TrialSettings
from trainables.evaluation import ScoredSet
from trainables.training import Batch, Replicate, TrainingData, spread_evenly

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_PLACES = 8
_BATCHES = 4
_HELD_OUT = 1000


def try_steps(settings: TrialSettings, data: TrainingData) -> LocalSteps | None:
    """Train under the first seed and try steps along the way; None if the held-out loss is never finite.

    On a CPU the training is not affected.

    Args:
        settings: the trial: a constant.
        data: what it reads.
    """
    data = data.for_trial(settings)
    replicate = Replicate(settings, settings.seeds[0], data, data.augmentation(settings.augmentation))
    held_out = data.validation.part(slice(0, _HELD_OUT))
    halves = (held_out.part(slice(0, None, 2)), held_out.part(slice(1, None, 2)))
    places = frozenset(spread_evenly(replicate.total_steps, _PLACES))
    tries = _Tries(replicate, halves)
    found = []
    for epoch in range(settings.training.epochs):
        steps = replicate.train_epoch(frozenset())
        for step in range(epoch * replicate.steps_per_epoch, (epoch + 1) * replicate.steps_per_epoch):
            if step in places:
                found.append(tries.at(step))
            next(steps)
        next(steps, None)  # ends the epoch
    return judge_steps(np.array(found), len(held_out))


def judge_steps(losses: Floats, held_out: int) -> LocalSteps | None:
    """Judge held-out losses after one step, [P, B, W, 2 halves]; None if fewer than two places have finite ones."""
    losses = losses[np.isfinite(losses).all((1, 2, 3))]
    if len(losses) < 2:
        return None
    by_batch, by_place = [], []
    for chosen_on, judged_on in ((0, 1), (1, 0)):
        seen, truth = losses[..., chosen_on], losses[..., judged_on]
        # Gains are shares of what λ can do in one step there, since early steps move the loss far more than late ones.
        reach = np.ptp(truth, axis=2).mean(1).clip(1e-12)
        scaled = (seen / np.ptp(seen, axis=2).mean(1).clip(1e-12)[:, None, None]).mean((0, 1))
        single = truth[:, :, int(scaled.argmin())]
        here = np.take_along_axis(truth, seen.mean(1).argmin(1)[:, None, None], 2)[:, :, 0]
        each = np.take_along_axis(truth, seen.argmin(2)[:, :, None], 2)[:, :, 0]
        by_place.append((single - here).mean(1) / reach)
        by_batch.append((single - each).mean(1) / reach)
    return LocalSteps(
        weights=WEIGHTS,
        places=len(losses),
        batches=losses.shape[1],
        held_out=held_out,
        by_place=_over_places(np.mean(by_place, 0)),
        by_batch=_over_places(np.mean(by_batch, 0)),
        best=tuple(WEIGHTS[at] for at in losses.mean((1, 3)).argmin(1)),
    )


class _Tries:
    """Takes steps with a copy of a replicate's student, optimiser and schedule."""

    def __init__(self, replicate: Replicate, halves: tuple[ScoredSet, ScoredSet]) -> None:
        self._replicate, self._halves = replicate, halves
        training = replicate.settings.training
        self._student = copy.deepcopy(replicate.student)
        self._optimizer, _ = replicate.data.optimizer(self._student, training, replicate.total_steps)
        self._balancers = [
            LossBalancer(
                create_policy("fixed", {"weight": weight}),
                self._student,
                temperature=replicate.settings.temperature,
                guard=None,
            )
            for weight in WEIGHTS
        ]

    def at(self, step: int) -> Floats:
        """Return the held-out losses after one step from here, [B, W, 2 halves]."""
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            return np.array([[self._after(batch, one) for one in self._balancers] for batch in self._batches(step)])

    def _batches(self, step: int) -> Iterator[Batch]:
        """Yield batches of the present epoch, evenly spread."""
        replicate = self._replicate
        epoch, _ = divmod(step, replicate.steps_per_epoch)
        batches = replicate.batches_in(replicate.order_of(epoch), epoch)
        chosen = spread_evenly(replicate.steps_per_epoch, _BATCHES)
        return (batch for place, batch in enumerate(itertools.islice(batches, chosen[-1] + 1)) if place in chosen)

    def _after(self, batch: Batch, balancer: LossBalancer) -> tuple[float, float]:
        replicate, student = self._replicate, self._student
        student.load_state_dict(replicate.student.state_dict())
        student.train()
        # Copied, because an optimiser may keep a loaded state and change it in place.
        self._optimizer.load_state_dict(copy.deepcopy(replicate.optimizer.state_dict()))
        torch.manual_seed(0)  # one dropout mask for all λ
        with replicate.data.compute.autocast():
            outputs = replicate.data.outputs(student, batch)
        self._optimizer.zero_grad(set_to_none=True)
        smoothing = replicate.settings.training.label_smoothing
        replicate.data.backward(balancer, outputs, batch, label_smoothing=smoothing, measure_now=False)
        self._optimizer.step()
        student.eval()
        first, second = (half.score(half.logits(student)).loss for half in self._halves)
        return (math.nan if first is None else first), (math.nan if second is None else second)


def _over_places(gains: Floats) -> Estimate:
    """Return the mean over places, [P], with Student's interval."""
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(gains) - 1)) * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return Estimate(mean=float(gains.mean()), low=float(gains.mean()) - half, high=float(gains.mean()) + half)
