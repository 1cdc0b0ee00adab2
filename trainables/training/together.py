"""Trains the replicates of a trial as one stacked model.

R: replicates; B: pictures of a batch; S: batches of an epoch. Every replicate has the batches, the decisions and the
steps that it would have alone; its numbers differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import optim

from policies.balancer import Step
from policies.stacked.balancer import StackedBalancer
from trainables.training.replicate import Replicate
from trainables.training.stack import StudentStack
from trainables.training.stacked_optimizer import StackedOptimizer


class Together:
    """Trains replicates side by side, a step of all at a time.

    Their students are up to date at any time, their other parts only after `hand_over`.

    Args:
        replicates: those of one trial, after the same number of epochs; `trainables.training.stacking.trains_stacked`
            is True for their student.
    """

    def __init__(self, replicates: Sequence[Replicate]) -> None:
        self._replicates = tuple(replicates)
        first = replicates[0]
        self._stack = StudentStack([replicate.student for replicate in replicates])
        self._balancer = StackedBalancer([replicate.balancer for replicate in replicates])
        self._optimizer = StackedOptimizer(
            self._stack.parameters,
            self._stack.sizes,
            [replicate.optimizer for replicate in replicates],
            # Only pictures are stacked, and their schedules are these.
            [cast(optim.lr_scheduler.LambdaLR, replicate.schedule) for replicate in replicates],
            first.settings.training,
            first.total_steps,
        )

    def train_epoch(self, probes: frozenset[int]) -> Iterator[tuple[Step, ...]]:
        """Train as `Replicate.train_epoch` does, yielding the step of every replicate."""
        first = self._replicates[0]
        epoch, compute, smoothing = first.epoch, first.data.compute, first.settings.training.label_smoothing
        members = len(self._replicates)
        for replicate in self._replicates:
            if not replicate.student.training:  # as an evaluation leaves it
                replicate.student.train()
        sources = [replicate.sources(replicate.order_of(epoch), epoch) for replicate in self._replicates]
        for batch in first.batches_of(torch.stack(sources, 2).flatten(2), epoch):
            with compute.autocast():
                logits, block = self._stack(batch.inputs)
            step = self._balancer.gradient_on_logits(
                logits,
                batch.targets.view(members, first.batch_size, -1),
                batch.labels.view(members, first.batch_size),
                parameters=self._stack.parameters,
                block=block,
                label_smoothing=smoothing,
                measure_now=first.balancer.step in probes,
            )
            self._optimizer.step(step.gradient, step.skipped)
            yield step.steps
        for replicate in self._replicates:
            replicate.epoch += 1

    def hand_over(self) -> None:
        """Bring all parts of the replicates up to date, as a `state_dict` reads them."""
        self._optimizer.hand_over()

    def release(self) -> None:
        """Call `hand_over`, and give the replicates memory of their own."""
        self.hand_over()
        self._stack.release()
