"""Takes virtual steps: what one training step at another λ would have done, without any effect on the training.

W: λ that are tried; P: the student's trainable parameters; N: pictures; C: classes.

The student, optimiser and schedule of the training are copied, and the copies take a step on the next batch. Both
losses are computed before and after in double precision, so that a change of a millionth is no rounding error. The
training's own random numbers are not used either.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from policies.update.logits import LogitPair
from trainables.config import TrialSettings
from trainables.records import LOSSES, Angle, Loss, ProbeRecord, ProbeSettings, Response, StepKind, VirtualSteps
from trainables.training.course import spread_evenly
from trainables.training.data import Batch, DeviceAssets
from trainables.training.optimization import create_optimizer, create_schedule, parameter_groups
from trainables.training.replicate import Replicate

_CHUNK = 250
"""The most pictures of a forward pass in evaluation mode."""
_HELD_OUT_SEED = 20_211
_MASK_SEED = 7
"""The seed of dropout's mask, the same in every evaluation of a batch: its loss is then a function of θ alone."""


def probe_training(
    settings: TrialSettings, seed: int, data: DeviceAssets, probing: ProbeSettings
) -> Iterator[ProbeRecord]:
    """Train a student under one seed, yielding a record of virtual steps at evenly spread places along the training.

    On a CPU the student is equal, to the last bit, to one that is trained without virtual steps.

    Args:
        settings: the trial; its seeds and its evaluations are ignored.
        seed: the training's seed.
        data: the data that it reads.
        probing: where and how virtual steps are taken.
    """
    replicate = Replicate(settings, seed, data, data.augmentation(settings.augmentation))
    yield from probe_replicate(replicate, probing)


def probe_replicate(replicate: Replicate, probing: ProbeSettings) -> Iterator[ProbeRecord]:
    """Do what `probe_training` does, for a replicate that has seen no epoch yet."""
    places = frozenset(spread_evenly(replicate.total_steps, probing.places(replicate.total_steps)))
    prober = Prober(replicate, probing)
    for epoch in range(replicate.settings.training.epochs):
        steps = replicate.train_epoch(frozenset())
        for step in range(epoch * replicate.steps_per_epoch, (epoch + 1) * replicate.steps_per_epoch):
            found = prober.look(step) if step in places else None
            taken = next(steps)
            if found is not None:
                yield found.model_copy(update={"weight": taken.decision.weight})
        next(steps, None)  # ends the epoch


class Surface:
    """The losses of some pictures as functions of the parameters, in double precision.

    Args:
        student: copied, with its buffers.
        batches: (images, labels, teacher's logits) of each forward pass.
        temperature: T of the distillation loss.
        label_smoothing: label smoothing of the task loss.
        training: True for the mode of training (batch statistics, dropout with one fixed mask), False for evaluation.
    """

    def __init__(
        self,
        student: nn.Module,
        batches: Sequence[tuple[Tensor, Tensor, Tensor]],
        *,
        temperature: float,
        label_smoothing: float,
        training: bool,
    ) -> None:
        self._module = copy.deepcopy(student).train(training)
        for parameter in self._module.parameters():
            parameter.grad = None
        self._double = copy.deepcopy(self._module).double()
        self._batches = [(images.double(), labels, teacher.double()) for images, labels, teacher in batches]
        self._count = sum(len(labels) for _, labels, _ in batches)
        self._temperature = temperature
        self._smoothing = label_smoothing
        self._names = [name for name, p in student.named_parameters() if p.requires_grad]
        self._shapes = [p.shape for p in student.parameters() if p.requires_grad]

    def losses(self, point: Tensor) -> Tensor:
        """Return each picture's task loss, distillation loss and their mean, double [3, N], at the parameters [P]."""
        with torch.no_grad(), _fixed_mask(point.device):
            parts = [self._pair(self._double, self._named(point), batch) for batch in self._batches]
        task, distill = (torch.cat(part) for part in zip(*parts, strict=True))
        return torch.stack([task, distill, 0.5 * (task + distill)])

    def gradients(self, point: Tensor) -> Tensor:
        """Return the gradients of the same three losses' means over the pictures, double [3, P]."""
        total = point.new_zeros(2, len(point))
        for batch in self._batches:
            at = point.detach().requires_grad_()
            with _fixed_mask(point.device):
                pair = self._pair(self._double, self._named(at), batch)
            for row, losses in zip(total, pair, strict=True):
                (gradient,) = torch.autograd.grad(losses.sum() / self._count, at, retain_graph=True)
                row += gradient
        return torch.cat([total, total.mean(0, keepdim=True)])

    def bent(self, point: Tensor, directions: Tensor) -> Tensor:
        """Return H·v of the task and the distillation loss along each of the `directions` [K, P], double [2, K, P].

        It is computed in single precision, since nothing is subtracted here. The Hessian is that of the smooth pieces;
        kinks (ReLU, max pooling) have none.
        """
        total = point.new_zeros(2, len(directions), len(point))
        scales = directions.norm(dim=1).clamp_min(torch.finfo(torch.float64).tiny)
        unit = (directions / scales[:, None]).float()
        for images, labels, teacher in self._batches:
            at = point.detach().float().requires_grad_()
            with _fixed_mask(point.device):
                pair = self._pair(self._module, self._named(at), (images.float(), labels, teacher.float()))
            for bent, losses in zip(total, pair, strict=True):
                (gradient,) = torch.autograd.grad(losses.sum() / self._count, at, create_graph=True)
                for row, direction in zip(bent, unit, strict=True):
                    row += torch.autograd.grad(gradient @ direction, at, retain_graph=True)[0]
        total *= scales[:, None]
        return total

    def _named(self, point: Tensor) -> dict[str, Tensor]:
        pieces = torch.split(point, [shape.numel() for shape in self._shapes])
        return {n: piece.view(shape) for n, piece, shape in zip(self._names, pieces, self._shapes, strict=True)}

    def _pair(
        self, module: nn.Module, parameters: dict[str, Tensor], batch: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of each picture, [N] and [N], with a graph."""
        images, labels, teacher = batch
        logits: Tensor = functional_call(module, parameters, (images,))
        task = nn.functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self._smoothing)
        warm = self._temperature
        surprise = nn.functional.kl_div(
            torch.log_softmax(logits / warm, dim=1),
            torch.log_softmax(teacher / warm, dim=1),
            reduction="none",
            log_target=True,
        )
        return task, warm**2 * surprise.sum(1)


class _fixed_mask:  # noqa: N801 - used as a context, like a function
    """Seeds PyTorch's generators with `_MASK_SEED` inside the block, and restores them after it."""

    def __init__(self, device: torch.device) -> None:
        self._fork = torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(_MASK_SEED)

    def __exit__(self, *problem: Any) -> None:
        self._fork.__exit__(*problem)


class Twin:
    """A copy of a replicate's student, optimiser and schedule that can take steps at any λ and be reset."""

    def __init__(self, replicate: Replicate) -> None:
        training = replicate.settings.training
        self._replicate = replicate
        self.student = copy.deepcopy(replicate.student)
        self._optimizer = create_optimizer(parameter_groups(self.student, training), training)
        self._schedule = create_schedule(self._optimizer, training, replicate.total_steps)

    def reset(self) -> None:
        """Reset the copy to the training's present state."""
        self.student.load_state_dict(self._replicate.student.state_dict())
        self.student.train()
        # Copied, because an optimiser may keep a loaded state and change it in place.
        self._optimizer.load_state_dict(copy.deepcopy(self._replicate.optimizer.state_dict()))
        self._schedule.load_state_dict(copy.deepcopy(self._replicate.schedule.state_dict()))

    def step(self, batch: Batch, weight: float) -> None:
        """Take one training step on a batch at λ = `weight`."""
        settings = self._replicate.settings
        with self._replicate.data.compute.autocast():
            logits = self.student(batch.inputs)
        self._optimizer.zero_grad(set_to_none=True)
        LogitPair(
            logits,
            batch.targets,
            batch.labels,
            temperature=settings.temperature,
            label_smoothing=settings.training.label_smoothing,
        ).backward(weight, 1.0 - weight)
        self._optimizer.step()
        self._schedule.step()

    @property
    def point(self) -> Tensor:
        """The trainable parameters, double [P]."""
        return point_of(self.student)


def point_of(student: nn.Module) -> Tensor:
    """Return a student's trainable parameters one after another, double [P]."""
    return torch.cat([p.detach().double().flatten() for p in student.parameters() if p.requires_grad])


class _Sight(NamedTuple):
    """One set of pictures at the place of a probe: losses [3, N], gradients [3, P]."""

    surface: Surface
    before: Tensor
    gradients: Tensor
    held_out: bool


class Prober:
    """Takes virtual steps from a replicate's present state.

    Args:
        replicate: a replicate in training.
        settings: which λ, how many steps, and on how many held-out pictures.
    """

    def __init__(self, replicate: Replicate, settings: ProbeSettings) -> None:
        self.replicate = replicate
        self.settings = settings
        self._twin = Twin(replicate)
        assert isinstance(replicate.data, DeviceAssets)
        self._held_out = list(_held_out(replicate.data, settings.pictures))

    def look(self, step: int) -> ProbeRecord:
        """Record what steps at each λ would do, before step `step` is taken."""
        replicate, weights = self.replicate, self.settings.weights
        left = replicate.total_steps - step
        horizons = [horizon for horizon in self.settings.horizons if horizon <= left]
        with _fixed_mask(replicate.data.compute.device):
            ahead = list(itertools.islice(self._ahead(step), horizons[-1]))
            point = point_of(replicate.student)
            batch = self._sight(point, [(ahead[0].inputs, ahead[0].labels, ahead[0].targets)], held_out=False)
            held_out = self._sight(point, self._held_out, held_out=True)
            moved, later = self._tried(point, ahead, held_out, horizons)
        distill, task = batch.gradients[1], batch.gradients[0]
        mixed = torch.stack([weight * distill + (1.0 - weight) * task for weight in weights])
        middle = 0.5 * (distill + task)
        rate = _ratio(self._length(moved, 0.5), float(middle.norm()))
        lengths = mixed.norm(dim=1, keepdim=True)
        fixed = mixed / lengths.clamp_min(torch.finfo(torch.float64).tiny) * (rate * middle.norm())
        steps: dict[StepKind, Tensor] = {"optimizer": moved, "plain": -rate * mixed, "fixed_length": -fixed}
        bent = {sight.held_out: self._bent(sight, point, moved, distill, task) for sight in (batch, held_out)}
        kinds = {
            kind: VirtualSteps(
                lengths=tuple(deltas.norm(dim=1).tolist()),
                batch=self._responses(kind, batch, point, deltas, -rate * mixed, bent[False]),
                held_out=self._responses(kind, held_out, point, deltas, -rate * mixed, bent[True]),
            )
            for kind, deltas in steps.items()
        }
        task_sq = float(task @ task)
        # The last but one of the directions along which H is known is the batch's g_d, the last its g_t.
        return ProbeRecord(
            seed=replicate.seed,
            step=step,
            progress=step / replicate.total_steps,
            learning_rate=float(replicate.optimizer.param_groups[0]["lr"]),
            weight=math.nan,
            batch=_angle(distill, task),
            held_out=_angle(held_out.gradients[1], held_out.gradients[0]),
            task_alignment=_cosine(task, held_out.gradients[0]),
            distill_alignment=_cosine(distill, held_out.gradients[1]),
            cross_alignment=_cosine(distill, held_out.gradients[0]),
            task_loss=float(held_out.before[0].mean()),
            distill_loss=float(held_out.before[1].mean()),
            plain_rate=rate,
            task_curvature=_ratio(rate * float(task @ bent[True].products[0, -1]), task_sq),
            steps=kinds,
            horizons={1: {loss: kinds["optimizer"].held_out[loss].true for loss in LOSSES}, **later},
        )

    def _sight(self, point: Tensor, pictures: Sequence[tuple[Tensor, Tensor, Tensor]], *, held_out: bool) -> _Sight:
        settings = self.replicate.settings
        surface = Surface(
            self.replicate.student,
            pictures,
            temperature=settings.temperature,
            label_smoothing=settings.training.label_smoothing,
            training=not held_out,
        )
        return _Sight(surface, surface.losses(point), surface.gradients(point), held_out)

    def _ahead(self, step: int) -> Iterator[Batch]:
        """Yield the batches from `step` on."""
        replicate = self.replicate
        epoch, place = divmod(step, replicate.steps_per_epoch)
        for later in range(epoch, replicate.settings.training.epochs):
            batches = replicate.batches_in(replicate.order_of(later), later)
            yield from itertools.islice(batches, place if later == epoch else 0, None)

    def _tried(
        self, point: Tensor, ahead: list[Batch], held_out: _Sight, horizons: Sequence[int]
    ) -> tuple[Tensor, dict[int, dict[Loss, tuple[float, ...]]]]:
        """Return Δ of one optimiser step at each λ, [W, P], and the held-out changes at later horizons."""
        moved: list[Tensor] = []
        # Changes after the first step are measured in `_responses`.
        changes: dict[int, list[list[float]]] = {horizon: [] for horizon in horizons if horizon > 1}
        for weight in self.settings.weights:
            self._twin.reset()
            for count, batch in enumerate(ahead, start=1):
                self._twin.step(batch, weight)
                if count == 1:
                    moved.append(self._twin.point - point)
                if count in changes:
                    after = held_out.surface.losses(self._twin.point)
                    changes[count].append((after - held_out.before).mean(1).tolist())
        by_loss = {
            horizon: {loss: tuple(row[place] for row in rows) for place, loss in enumerate(LOSSES)}
            for horizon, rows in changes.items()
        }
        return torch.stack(moved), by_loss

    def _length(self, moved: Tensor, weight: float) -> float:
        nearest = min(range(len(moved)), key=lambda place: abs(self.settings.weights[place] - weight))
        return float(moved[nearest].norm())

    def _bent(self, sight: _Sight, point: Tensor, moved: Tensor, distill: Tensor, task: Tensor) -> _Bent:
        places = sorted({0, len(moved) // 2, len(moved) - 1})
        directions = torch.cat([moved[places], distill[None], task[None]])
        return _Bent(sight.surface.bent(point, directions), places, distill, task)

    def _responses(
        self, kind: StepKind, sight: _Sight, point: Tensor, deltas: Tensor, plain: Tensor, bent: _Bent
    ) -> dict[Loss, Response]:
        """Return the three losses' responses to the steps `deltas`, [W, P]; `plain` are the plain steps."""
        true = torch.stack([sight.surface.losses(point + delta) - sight.before for delta in deltas])  # [W, 3, N]
        first = deltas @ sight.gradients.T  # [W, 3]
        second = first + 0.5 * bent.along(kind, deltas, self.settings.weights)
        halfway = None
        if kind == "optimizer":
            bows = [
                sight.surface.losses(point + 0.5 * delta)
                + sight.surface.losses(point - 0.5 * delta)
                - 2.0 * sight.before
                for delta in deltas
            ]
            halfway = first + 2.0 * torch.stack(bows).mean(2)
        answers = {}
        for place, loss in enumerate(LOSSES):
            own = true[:, place]  # [W, N]
            change = own.mean(1)
            gap = own - own[int(change.argmin())]
            answers[loss] = Response(
                true=_floats(change),
                first=_floats(first[:, place]),
                plain=_floats(plain @ sight.gradients[place]),
                second=tuple(None if math.isnan(x) else x for x in second[:, place].tolist()),
                halfway=None if halfway is None else _floats(halfway[:, place]),
                error=_floats(_error(own)) if sight.held_out else None,
                gap_error=_floats(_error(gap)) if sight.held_out else None,
            )
        return answers


class _Bent(NamedTuple):
    """Products of H with the optimiser's steps at some λ, then with g_d and g_t of the batch."""

    products: Tensor
    """[2, K, P]"""
    places: list[int]
    distill: Tensor
    task: Tensor

    def along(self, kind: StepKind, deltas: Tensor, weights: Sequence[float]) -> Tensor:
        """Return ΔᵀHΔ of the three losses, [W, 3]; NaN where it is not known."""
        found = deltas.new_full((len(deltas), 2), math.nan)
        if kind == "optimizer":
            for place, product in zip(self.places, self.products[:, : len(self.places)].unbind(1), strict=True):
                found[place] = product @ deltas[place]
        else:
            # The steps lie in the plane of g_d and g_t, so three products suffice.
            along_distill, along_task = self.products[:, -2], self.products[:, -1]
            aa, bb, ab = along_distill @ self.distill, along_task @ self.task, along_distill @ self.task
            lam = torch.tensor(weights, dtype=deltas.dtype, device=deltas.device)[:, None]
            mixed = lam * self.distill + (1.0 - lam) * self.task
            scale = _ratios(deltas.norm(dim=1), mixed.norm(dim=1))[:, None]
            found = scale**2 * (lam**2 * aa + 2.0 * lam * (1.0 - lam) * ab + (1.0 - lam) ** 2 * bb)
        return torch.cat([found, found.mean(1, keepdim=True)], dim=1)


def _held_out(data: DeviceAssets, most: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield validation pictures as a student's input, the same for every seed: chunks of (images, labels, logits)."""
    pictures = data.validation
    chosen = np.random.default_rng(_HELD_OUT_SEED).permutation(len(pictures))[:most]
    for part in np.array_split(np.sort(chosen), math.ceil(len(chosen) / _CHUNK)):
        places = torch.from_numpy(part).to(pictures.labels.device)
        yield data.prepare(pictures.images[places]), pictures.labels[places], pictures.teacher_logits[places]


def _angle(distill: Tensor, task: Tensor) -> Angle:
    return Angle(
        cosine=_cosine(distill, task),
        norm_ratio=_ratio(float(distill.norm()), float(task.norm())),
        task_norm=float(task.norm()),
    )


def _cosine(one: Tensor, other: Tensor) -> float:
    return _ratio(float(one @ other), float(one.norm() * other.norm()))


def _ratio(one: float, other: float) -> float:
    return one / other if other > 0.0 else math.nan


def _ratios(one: Tensor, other: Tensor) -> Tensor:
    return one / other.clamp_min(torch.finfo(other.dtype).tiny)


def _error(values: Tensor) -> Tensor:
    """Return the standard error of the mean over the last dimension."""
    return values.std(-1) / math.sqrt(values.shape[-1])


def _floats(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())
