"""Gathers the readings that λ depends on, over an update's micro-batches and over the ranks.

A micro-batch of share w in its update adds w times its losses. It adds w² times its geometry if no other micro-batch
has gradients of its samples, as at the outputs.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from policies.geometry import Geometry
from policies.policy import MEASURED, Measurement, Need
from policies.update.meter import add_gradients, geometry_tensor, pair
from policies.update.objective import Factor, Gradients, Objective, mean_of
from policies.update.ranks import Ranks
from policies.update.sampled import SampledPair
from policies.update.student import Student
from policies.update.two_passes import two_passes


class PairSum:
    """g_d and g_t in some parameters, summed over micro-batches.

    Args:
        parameters: the tensors to differentiate by, the same for all micro-batches.
        how: the samples that are measured.
        ranks: the processes to average over.
    """

    def __init__(self, parameters: list[Tensor], how: Measurement, ranks: Ranks) -> None:
        self.parameters, self._how, self._ranks = parameters, how, ranks
        self.distill: Gradients = ()
        self.task: Gradients = ()
        self._shared_noise: Tensor | None = None
        self._count = 0

    def add(self, objective: Objective, *, factor: Factor, retain: bool, last: bool) -> None:
        """Add one micro-batch.

        Args:
            objective: its losses.
            factor: multiplies them.
            retain: True if its graph is walked again.
            last: True if no other follows; autograd's tensors, which may share memory, need no copy then.
        """
        with two_passes():
            distill, task, noise = pair(objective, self.parameters, self._how, factor=factor, retain=retain)
        if self._count == 0 and last and self._ranks.count == 1:
            self.distill, self.task = distill, task
        else:
            self.distill = add_gradients(self.distill if self._count else None, distill)
            self.task = add_gradients(self.task if self._count else None, task)
        if noise is not None:
            self._shared_noise = noise if self._shared_noise is None else self._shared_noise + noise
        self._count += 1

    def geometry(self, factor: Factor) -> Tensor:
        """Average both gradients over the ranks; return their geometry, [3], without a factor that multiplied both."""
        self.distill = tuple(self._ranks.average_gradients(self.distill, self.parameters))
        self.task = tuple(self._ranks.average_gradients(self.task, self.parameters))
        noise = self._shared_noise
        if noise is not None:  # a mean over R ranks has 1/R of one rank's noise
            noise = self._ranks.average(noise.clone()) / self._ranks.count
        return geometry_tensor(self.distill, self.task, noise) / factor**2


class Readings:
    """Sums of readings over an update's micro-batches, brought to the host in one transfer.

    Args:
        wanted: the needs whose readings to gather; the geometry is not the whole student's then.
        how: the place and the samples of the geometry's measurement, unless it is in the whole student.
        student: the student that is measured.
    """

    _averaged = frozenset({*MEASURED["teacher"], *MEASURED["reliability"]})
    """Readings that are means over samples; a rank without samples adds nothing to them."""

    def __init__(self, wanted: frozenset[Need], how: Measurement, student: Student) -> None:
        self._wanted, self._ranks, self._student = wanted, student.ranks, student
        in_block = "geometry" in wanted and how.tier == "last_block"
        self._at_logits = "geometry" in wanted and how.tier == "logit"
        self._block = PairSum(student.block, how, student.ranks) if in_block else None
        self._sums: dict[str, Tensor] = {}
        self._present = 0.0
        self._factor: Factor = 1.0

    def add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None:
        """Add one micro-batch, whose graph is kept.

        Args:
            objective: its losses.
            share: its weight in the sums.
            factor: the number that a gradient scaler multiplies the losses by.
            last: True if no other follows.
        """
        self._factor = factor
        if self._block is not None:
            self._block.add(objective, factor=share * factor, retain=True, last=last)
        if "losses" in self._wanted:
            self._sum("task_loss", objective.task_loss, share)
            self._sum("distill_loss", objective.distill_loss, share)
        if isinstance(objective, SampledPair):
            if self._at_logits:
                self._sum("geometry", objective.output_geometry(), share * share / self._ranks.count)
            for need in sorted(self._wanted - {"geometry", "losses"}):  # in one order on all ranks
                for name, values in objective.signals(need).items():
                    self._sum(name, mean_of(values), share)
            self._present += 0.0 if objective.empty else share

    def transfer(self, **more: Tensor) -> dict[str, Any]:
        """Bring all sums to the host, averaged over the ranks.

        Args:
            more: further tensors: scalars, to be averaged too, or geometries, [3], which are averaged already.

        Returns:
            Scalars and geometries by name; the policy's own geometry is `geometry`.
        """
        named = self._sums | more
        if self._ranks.count > 1 and self._averaged & named.keys():  # some ranks may have no sample
            named["present"] = torch.tensor(self._present)
        if self._block is not None:
            named["geometry"] = self._block.geometry(self._factor)
            self._student.confirm_block((*self._block.distill, *self._block.task))
        if not named:
            return {}
        numbers = iter(self._on_host(list(named.values())))
        known: dict[str, Any] = {
            name: Geometry(next(numbers), next(numbers), next(numbers)) if value.ndim else next(numbers)
            for name, value in named.items()
        }
        present = known.pop("present", self._present)
        for name in self._averaged & known.keys():
            known[name] = known[name] / present if present else math.nan
        return known

    def _on_host(self, values: list[Tensor]) -> list[float]:
        if self._ranks.count == 1 and all(value.is_cpu for value in values):
            return [number for value in values for number in (value.tolist() if value.ndim else [value.item()])]
        device = values[0].device
        together = torch.cat([value.detach().reshape(-1).to(device, torch.float64) for value in values])
        numbers: list[float] = self._ranks.average(together).tolist()
        return numbers

    def _sum(self, name: str, value: Tensor, share: float) -> None:
        if share != 1.0:  # beside a small student's step even a scalar's product takes time
            value = value * share
        self._sums[name] = self._sums[name] + value if name in self._sums else value
