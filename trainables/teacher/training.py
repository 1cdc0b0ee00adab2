"""Trains a teacher, and keeps it in a file."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import TeacherSettings
from trainables.device import Compute
from trainables.errors import CheckpointError, ModelError
from trainables.files import whole_file
from trainables.models import check_batch_of_one
from trainables.pictures import Dataset, as_tensor, gather, normalise, on_device
from trainables.teacher.network import create_teacher
from trainables.teacher.progress import TeacherProgress
from trainables.training import compute_views, create_optimizer, create_schedule, create_views, parameter_groups

if TYPE_CHECKING:
    from trainables.teacher.progress import TeacherListener

_REPORT_SECONDS = 1.0
_WORK_FOR_THREADS = 2**28
"""The work of a batch from which on several threads pay: parameters times pixels times pictures, an upper bound of the
multiplications of its forward pass. For the teacher of digits-quick, 1.2e8, threads wait for each other for longer than
they work, and one is up to twice as fast. For that of fashion-mnist, 3.1e10, two take 0.7 of one's time."""


def trained_module(
    settings: TeacherSettings, dataset: Dataset, path: Path, compute: Compute, progress: TeacherListener | None
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the teacher that `path` holds, or train one and write it there; with remarks as `create_teacher` has them.

    Raises:
        CheckpointError: the folder of `path` cannot be written, or as `create_teacher`.
        ModelError: training diverges, or as `create_teacher`.
    """
    listen = progress or _ignore
    device = compute.device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.seed)
        module, remarks = create_teacher(settings, dataset)
        kept = _load(path, module)
        if kept is not None:
            listen(kept)
            return module.to(device), remarks
        with _writable_folder(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
            _threads(module, settings, dataset),
        ):
            last = _train(module, settings, dataset, compute, listen)
    with _writable_folder(path):
        _save(path, module, last)
    return module, remarks


@contextlib.contextmanager
def _threads(module: nn.Module, settings: TeacherSettings, dataset: Dataset) -> Iterator[None]:
    """Let PyTorch use one thread where more do not pay, within the block and for this thread only."""
    assert settings.training is not None
    usual = torch.get_num_threads()
    parameters = sum(parameter.numel() for parameter in module.parameters())
    if parameters * math.prod(dataset.image_shape[1:]) * settings.training.batch_size < _WORK_FOR_THREADS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _train(
    module: nn.Module, settings: TeacherSettings, dataset: Dataset, compute: Compute, listen: TeacherListener
) -> TeacherProgress:
    """Train in place; return the progress after the last epoch."""
    training = settings.training
    assert training is not None
    device = compute.device
    seen = _seen_pictures(settings, dataset)
    batches = math.ceil(len(seen) / training.batch_size)
    if len(seen) // batches == 1:
        check_batch_of_one(module, dataset.image_shape, section="teacher.model", training="teacher.training")
    module.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    images, labels = on_device(dataset.pool.images, device), as_tensor(dataset.pool.labels).to(device)
    mean, std = as_tensor(dataset.mean).to(device), as_tensor(dataset.std).to(device)
    own = None
    if settings.augmentation.function is not None:
        own = compute_views(settings.augmentation, dataset.pool.images)
    views = create_views(settings.augmentation, len(images), own, mean=dataset.mean, device=device)
    optimizer = create_optimizer(parameter_groups(module, training), training)
    schedule = create_schedule(optimizer, training, training.epochs * batches)
    loss_function = nn.CrossEntropyLoss(label_smoothing=training.label_smoothing)
    order = torch.Generator().manual_seed(settings.seed)
    clock = _Clock(training.epochs, listen)
    for epoch in range(training.epochs):
        totals = torch.zeros(3, device=device)  # loss, hits and pictures of this epoch
        shuffled = seen[torch.randperm(len(seen), generator=order)]
        there = shuffled.to(device)
        # Parts that differ by one picture at most: a remainder of one would break batch normalisation.
        parts = zip(shuffled.tensor_split(batches), there.tensor_split(batches), strict=True)
        for number, (here, indices) in enumerate(parts, start=1):
            batch = views.apply(gather(images, here, indices), indices, epoch % views.views)
            inputs = normalise(batch, mean, std).contiguous(memory_format=torch.channels_last)
            with compute.autocast():
                logits = module(inputs)
            logits = logits.float()
            loss = loss_function(logits, labels[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            totals += _totals(loss, logits, labels[indices])
            clock.report(epoch + number / batches, totals, always=number == batches)
    return clock.last


def _seen_pictures(settings: TeacherSettings, dataset: Dataset) -> Tensor:
    """Find the pool's pictures that the teacher learns from, int64: all but those of its `unseen_classes`."""
    unseen = [number for number, name in enumerate(dataset.classes) if name in settings.unseen_classes]
    return torch.from_numpy(np.flatnonzero(~np.isin(dataset.pool.labels, unseen)))


def _totals(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        hits = (logits.argmax(dim=1) == labels).sum()
        return torch.stack([loss.detach() * len(labels), hits.float(), hits.new_tensor(len(labels)).float()])


class _Clock:
    """Sends progress only now and then, because reading the totals makes a GPU wait."""

    def __init__(self, epochs: int, listen: TeacherListener) -> None:
        self._epochs = epochs
        self._listen = listen
        self._start = self._sent = time.perf_counter()
        self.last = TeacherProgress(epoch=0, epochs=epochs, loss=math.nan, accuracy=0.0, seconds=0.0, cached=False)

    def report(self, epoch: float, totals: Tensor, *, always: bool) -> None:
        now = time.perf_counter()
        if not always and now - self._sent < _REPORT_SECONDS:
            return
        loss, hits, count = totals.tolist()
        if not math.isfinite(loss):
            raise ModelError(
                f"the teacher's loss must stay finite, but became {loss} in epoch {math.ceil(epoch)} of {self._epochs};"
                " lower the `learning_rate` of its `training`."
            )
        self._sent = now
        self.last = TeacherProgress(
            epoch=epoch,
            epochs=self._epochs,
            loss=loss / count,
            accuracy=hits / count,
            seconds=now - self._start,
            cached=False,
        )
        self._listen(self.last)


def _load(path: Path, module: nn.Module) -> TeacherProgress | None:
    """Load `module` from the cache; return None, with `module` unchanged, if there is no sound file."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        last = TeacherProgress(**{**content["progress"], "cached": True})
        weights: dict[str, Tensor] = content["state_dict"]
        shapes = {name: tensor.shape for name, tensor in weights.items()}
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError):
        return None
    if shapes != {name: tensor.shape for name, tensor in module.state_dict().items()}:
        return None
    module.load_state_dict(weights)
    return last


def _save(path: Path, module: nn.Module, last: TeacherProgress) -> None:
    weights = {name: tensor.cpu() for name, tensor in module.state_dict().items()}
    content = {"state_dict": weights, "progress": dataclasses.asdict(last)}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


@contextlib.contextmanager
def _writable_folder(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"the trained teacher cannot be stored in {str(path.parent)!r} ({error.strerror or error}); make the folder"
            " writable, or give another one with --cache."
        ) from error


def _ignore(_: TeacherProgress) -> None:
    """Ignore progress: the listener for a caller that gave none."""
