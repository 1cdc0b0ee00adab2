"""One student in training under one seed.

B: samples of a batch; S: batches of an epoch.

Everything random in an epoch (the order of the batches, dropout) is drawn from the seed and the epoch's number. Trials
that share a seed therefore see the same batches whatever their policy does. A training resumed at an epoch's end
continues exactly, and no generator's state is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from policies.balancer import LossBalancer, Step
from policies.guard import Guard
from policies.registry import create_policy
from trainables.config import TrialSettings
from trainables.evaluation import Evaluation, evaluate
from trainables.training.augmentation import PictureViews
from trainables.training.corruption import Corruption
from trainables.training.data import Batch, TrainingData
from trainables.training.seeding import random_value

_CHECK_EVERY_ON_GPU = 10


class Replicate:
    """A student, its optimiser and its policy under one seed."""

    def __init__(self, settings: TrialSettings, seed: int, data: TrainingData, augmentation: PictureViews) -> None:
        self.settings = settings
        self.seed = seed
        self.data = data
        self.augmentation = augmentation
        self.epoch = 0
        self.batch_size = min(settings.training.batch_size, len(data))
        self.steps_per_epoch = len(data) // self.batch_size
        self.total_steps = self.steps_per_epoch * settings.training.epochs
        self.corruption = (
            None
            if settings.corruption is None
            else Corruption(settings.corruption, pictures=len(data), batch_size=self.batch_size, seed=seed)
        )
        compute = data.compute
        with self._random(0):
            student = data.create_student(settings.student)
        self.student = data.place(student)
        self.optimizer, self.schedule = data.optimizer(self.student, settings.training, self.total_steps)
        self.balancer = LossBalancer(
            create_policy(settings.policy.family, dict(settings.policy.parameters)),
            self.student,
            total_steps=self.total_steps,
            temperature=settings.temperature,
            # Each check waits for the device; on a CPU there is nothing to wait for.
            guard=Guard(check_every=_CHECK_EVERY_ON_GPU if compute.device.type == "cuda" else 1),
        )

    def train_epoch(self, probes: frozenset[int]) -> Iterator[Step]:
        """Train for one epoch, yielding each step.

        Args:
            probes: the steps at which the geometry is measured even if the policy does not ask for it.
        """
        data, training, balancer = self.data, self.settings.training, self.balancer
        self.student.train()
        with self._random(self.epoch + 1):
            for batch in self.batches():
                with data.compute.autocast():
                    outputs = data.outputs(self.student, batch)
                self.optimizer.zero_grad(set_to_none=True)
                step = data.backward(
                    balancer,
                    outputs,
                    batch,
                    label_smoothing=training.label_smoothing,
                    measure_now=balancer.step in probes,
                )
                self.optimizer.step()
                self.schedule.step()
                yield step
        self.epoch += 1

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch, in an order drawn from PyTorch's global generator."""
        return self.batches_in(self._draw_order(), self.epoch)

    def batches_in(self, order: Tensor, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Args:
            order: int64 [S·B], training pictures, S batches one after another.
            epoch: from 0; decides the view and what a corruption breaks.
        """
        return self.batches_of(self.sources(order, epoch), epoch)

    def sources(self, order: Tensor, epoch: int) -> Tensor:
        """Return the pictures that the batches of an epoch are made of: int64 [3, S, B] on the CPU.

        Args:
            order: as for `batches_in`.
            epoch: likewise.

        Returns:
            The training pictures that images, labels and targets are taken from.
        """
        sources = [order, order, order]
        if self.corruption is not None:
            sources[1:] = map(torch.from_numpy, self.corruption.sources(order.numpy(), epoch))
        return torch.stack(sources).view(3, -1, self.batch_size)

    def batches_of(self, sources: Tensor, epoch: int) -> Iterator[Batch]:
        """Yield batches of any size.

        Args:
            sources: as `sources` returns them, of one replicate or of several next to one another.
            epoch: from 0; decides the view.
        """
        for here, there in zip(sources[0], sources.to(self.data.compute.device).unbind(1), strict=True):
            yield self.data.batch(here, there.unbind(0), self.augmentation, epoch)

    def evaluate(self) -> Evaluation:
        """Evaluate the student on the validation samples.

        Raises:
            ConfigError: one of the user's KPIs fails.
        """
        return evaluate(self.student, self.data.validation, self.settings.own_kpis)

    @property
    def interventions(self) -> dict[str, int]:
        """The number of the guard's interventions by kind."""
        guard = self.balancer.guard
        return {} if guard is None else {kind.value: count for kind, count in guard.counts.items()}

    @property
    def is_finite(self) -> bool:
        """True if all of the student's parameters are finite; this waits for the device."""
        return all(bool(parameter.isfinite().all()) for parameter in self.student.parameters())

    @property
    def skipped_steps(self) -> int:
        """The number of steps that the guard skipped."""
        guard = self.balancer.guard
        return 0 if guard is None else guard.skipped

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs; tensors and plain values only."""
        return {
            "epoch": self.epoch,
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "balancer": self.balancer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.epoch = int(state["epoch"])
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.balancer.load_state_dict(state["balancer"])

    def order_of(self, epoch: int) -> Tensor:
        """Return the order of any epoch's pictures, int64 [S·B]; the global generator is not used."""
        return self._draw_order(torch.Generator().manual_seed(random_value(self.seed, epoch + 1)))

    def _draw_order(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw an epoch's order, before any other draw of it; from PyTorch's global generator unless one is given."""
        return torch.randperm(len(self.data), generator=generator)[: self.steps_per_epoch * self.batch_size]

    def _random(self, stream: int) -> _SeededRandom:
        return _SeededRandom(self.seed, stream, self.data.compute.device)


class _SeededRandom:
    """Seeds PyTorch's global generators by (seed, stream) inside the block, and restores them after it."""

    def __init__(self, seed: int, stream: int, device: torch.device) -> None:
        self.value = random_value(seed, stream)
        self.device = device
        self.fork = torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self.fork.__enter__()
        if self.device.type == "cuda":
            torch.manual_seed(self.value)
        else:
            # `torch.manual_seed` also records its caller for a GPU that may be used later: a fifth of a millisecond.
            torch.default_generator.manual_seed(self.value)

    def __exit__(self, *problem: Any) -> None:
        self.fork.__exit__(*problem)
