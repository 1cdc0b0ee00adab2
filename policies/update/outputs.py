"""Holds losses of one's own, one value a sample, and their gradients in the student's outputs.

N: samples; D: outputs of a sample. Rules that weigh samples, and the geometry at the outputs, need no more than this.
The gradients are autograd's through the losses alone, so no further pass through the student is made.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.policy import Need
from policies.update.objective import Factor, Gradients, LossPair, mean_of, times
from policies.update.sampled import SampledPair, middle_of, wide


class OutputPair(SampledPair):
    """Two losses of each sample over one graph, and the outputs of the student that they are computed from.

    v_d and v_t of a sample are the gradients of the batch's summed losses in the sample's outputs. They are those of
    its own losses if no loss of another sample looks at its outputs.

    Args:
        outputs: a tensor [N, ...] of the losses' graph, or tensors in tuples, lists or dicts.
        task_losses: [N], with their graph.
        distill_losses: likewise.

    Raises:
        PolicyError: the shapes do not fit, or something has no graph.
    """

    shows = "outputs"

    def __init__(self, outputs: object, task_losses: Tensor, distill_losses: Tensor) -> None:
        for name, losses in (("task_losses", task_losses), ("distill_losses", distill_losses)):
            _check_losses(name, losses)
        if len(task_losses) != len(distill_losses):
            raise PolicyError(
                "`task_losses` and `distill_losses` must be of the same samples, but have shapes"
                f" {list(task_losses.shape)} and {list(distill_losses.shape)}."
            )
        self._outputs = _rows_of(outputs, len(task_losses))
        self._task, self._distill = task_losses, distill_losses
        self._means = LossPair(mean_of(task_losses), mean_of(distill_losses))
        self.task_loss, self.distill_loss = self._means.task_loss, self._means.distill_loss
        self.empty = len(task_losses) == 0

    @functools.cached_property
    def task_losses(self) -> Tensor:
        return wide(self._task.detach())

    @functools.cached_property
    def distill_losses(self) -> Tensor:
        return wide(self._distill.detach())

    @functools.cached_property
    def task_gradients(self) -> Tensor:
        return self._in_outputs("task_losses", self._task)

    @functools.cached_property
    def distill_gradients(self) -> Tensor:
        return self._in_outputs("distill_losses", self._distill)

    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        return self._means.gradients(parameters, factor=factor, retain=retain)

    def gradients_of_halves(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[tuple[Gradients, Gradients], tuple[Gradients, Gradients]]:
        middle = middle_of(len(self._task))
        first = LossPair(mean_of(self._task[:middle]), mean_of(self._distill[:middle]))
        second = LossPair(mean_of(self._task[middle:]), mean_of(self._distill[middle:]))
        return (
            first.gradients(parameters, factor=factor, retain=True),
            second.gradients(parameters, factor=factor, retain=retain),
        )

    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        self._means.backward(distill_weight, task_weight, factor=factor)

    def backward_weighted(self, weights: Tensor, *, factor: Factor = 1.0) -> None:
        weights = weights.detach()
        torch.autograd.backward(times(mean_of(weights * self._distill + (1.0 - weights) * self._task), factor))

    def signals(self, need: Need) -> dict[str, Tensor]:
        raise PolicyError(f"losses of one's own do not show the readings of `{need}`.")

    def _in_outputs(self, name: str, losses: Tensor) -> Tensor:
        """Return the gradient of the sum of losses in each sample's outputs: [N, D]."""
        found = torch.autograd.grad(losses.sum(), self._outputs, retain_graph=True, allow_unused=True)
        if all(part is None for part in found):
            raise PolicyError(
                f"`{name}` do not depend on `outputs`; pass the student's outputs that both losses are computed from,"
                " with their graph."
            )
        parts = [
            torch.zeros_like(output) if part is None else part
            for part, output in zip(found, self._outputs, strict=True)
        ]
        return torch.cat([wide(part).reshape(len(losses), math.prod(part.shape[1:])) for part in parts], dim=1)


def shows_samples(outputs: object, task_losses: Tensor, distill_losses: Tensor) -> bool:
    """Tell whether two losses, with the outputs that they are computed from, make an `OutputPair`."""
    if task_losses.ndim != 1 or task_losses.shape != distill_losses.shape:
        return False
    rows = [leaf.ndim > 0 and len(leaf) == len(task_losses) for leaf in _leaves(outputs)]
    return bool(rows) and all(rows)


def _check_losses(name: str, losses: object) -> None:
    if not isinstance(losses, Tensor):
        raise PolicyError(f"`{name}` must be a tensor with its graph, but got {type(losses).__name__}.")
    if losses.ndim != 1:
        raise PolicyError(
            f"`{name}` must be one value a sample, [samples], but has shape {list(losses.shape)}; take each sample's"
            " mean over further dimensions, and none over the samples (`reduction='none'`). Two numbers go to"
            " `backward`."
        )


def _rows_of(outputs: object, count: int) -> tuple[Tensor, ...]:
    """Return the tensors among a student's outputs that have a graph.

    Raises:
        PolicyError: there is none, or one has not one row a sample.
    """
    found = tuple(_leaves(outputs))
    if not found:
        raise PolicyError(
            "`outputs` must be what the student returned, with its graph: a tensor [samples, ...], or tensors in a"
            f" tuple, list or dict, but got {_told(outputs)}."
        )
    for leaf in found:
        if leaf.ndim == 0 or len(leaf) != count:
            raise PolicyError(
                f"`outputs` must have one row for each of the {count} losses, but have shape {list(leaf.shape)}."
            )
    return found


def _leaves(outputs: object) -> Iterator[Tensor]:
    """Yield the tensors with a graph among nested outputs."""
    if isinstance(outputs, Tensor):
        if outputs.requires_grad:
            yield outputs
    elif isinstance(outputs, Mapping):
        for value in outputs.values():
            yield from _leaves(value)
    elif isinstance(outputs, tuple | list):
        for value in outputs:
            yield from _leaves(value)


def _told(outputs: object) -> str:
    if isinstance(outputs, Tensor):
        return f"a tensor {list(outputs.shape)} without a graph"
    return f"a {type(outputs).__name__} without such a tensor"
