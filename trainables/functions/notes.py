"""Keeps what one call of a user's function did: its steps, its reports, and what it leaves behind."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from policies.balancer import LossBalancer, Step
from policies.policy import Given
from trainables.config import Measured
from trainables.training import ConductLog, DecisionLog, ProbedStep, spread_evenly

_FEWEST_PROBES = 10
_STEPS_A_PROBE = 100


@dataclasses.dataclass
class Report:
    """One report: the metrics, and the means over the steps since the last one."""

    epoch: int
    """The number of epochs that are over, or of reports where the function does not use `run.epochs`."""
    metrics: dict[str, float]
    weight: float
    task_loss: float
    distill_loss: float
    seconds: float


@dataclasses.dataclass
class Tested:
    """The results of a student on the test samples."""

    metrics: dict[str, float]
    samples: dict[str, Measured]
    """Values on each sample by metric, in the order of the samples' ids."""
    ids: str
    """A digest of the samples' ids; empty without values on each sample."""
    count: int | None
    """The number of test samples; None if it is not known."""


@dataclasses.dataclass
class Kept:
    """The student that a function kept."""

    state: dict[str, Tensor]
    module: bytes | None
    """The module and an example of its inputs, pickled; None if they cannot be, or were not asked for."""


class Notes:
    """The notes on one seed.

    Args:
        seed: the seed.
        epochs: the number of epochs of a whole training, unless the function says another.
        points: the number of steps at which the geometry is recorded, evenly spread; fewer in a short training.
        kept: the most entries of the decision log.
    """

    def __init__(self, seed: int, *, epochs: int, points: int, kept: int) -> None:
        self.seed = seed
        self.epochs = epochs
        self.epoch = 0
        """The number of epochs that are over."""
        self.total_steps = 0
        self.steps = 0
        self.updates = 0
        """The number of optimiser's steps that were made when the function ended or was stopped."""
        self.reports: list[Report] = []
        self.probed: dict[int, ProbedStep] = {}
        self.probes: frozenset[int] = frozenset()
        self.log = DecisionLog(seed, kept)
        self.conduct: ConductLog | None = None
        self.interventions: dict[str, int] = {}
        self.skipped = 0
        self.parameters = 0
        self.finite = True
        self.given: Given | None = None
        """The form of what the balancer was given last; None before the first step."""
        self.read: set[str] = set()
        """The names of the run's settings that the function has read."""
        self.changed: list[str] = []
        """The settings of the process that the function left changed."""
        self.tested: Tested | None = None
        self.student: Kept | None = None
        self.digest = ""
        """A digest of the trained parameters when the function ended or was stopped."""
        self.returned = False
        """True if the function has come to its own end."""
        self.early = ""
        """The digest after the first few updates, in a rehearsal; empty if there are no more steps."""
        self.first_step: float | None = None
        """The time of the first step on the run's clock, in seconds; so is `last_step`."""
        self.last_step = 0.0
        self._points = points
        self._task_losses: list[Tensor] = []
        self._distill_losses: list[Tensor] = []
        self._weight = 0.0
        self._since = 0.0

    def begin(self, balancer: LossBalancer, total_steps: int) -> None:
        """Note the balancer, before its first step."""
        self.total_steps = total_steps
        self.parameters = sum(parameter.numel() for parameter in balancer.parameters)
        self.probes = self._places()
        self.conduct = ConductLog(total_steps)

    @property
    def last_metrics(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: value for report in self.reports for name, value in report.metrics.items()}

    @property
    def steps_per_epoch(self) -> float:
        """The number of steps of an epoch; the step's place in epochs is measured by it."""
        return max(1.0, self.total_steps / max(1, self.epochs))

    def note(self, step: Step, now: float) -> None:
        """Note the next step, without waiting for a device unless the step is a probe."""
        assert self.conduct is not None
        if self.first_step is None:
            self.first_step = self._since = now
        self.last_step = now
        self.steps = step.step + 1
        self._task_losses.append(step.task_loss)
        self._distill_losses.append(step.distill_loss)
        self._weight += step.decision.weight
        if step.step in self.probes and step.geometry is not None:
            self.probed[step.step] = ProbedStep.of(step)
        self.log.note(step, self.steps_per_epoch)
        self.conduct.note(step)

    def report(self, metrics: dict[str, float], now: float) -> None:
        """Note a report. Metrics that are reported without a step in between belong to the report before."""
        self.end_epoch()
        steps = len(self._task_losses)
        if not steps and self.reports:
            last = self.reports[-1]
            last.metrics.update(metrics)
            last.seconds += now - self._since
        else:
            nothing = float("nan")
            self.reports.append(
                Report(
                    epoch=self.epoch or len(self.reports) + 1,
                    metrics=metrics,
                    weight=self._weight / steps if steps else nothing,
                    task_loss=float(torch.stack(self._task_losses).double().mean()) if steps else nothing,
                    distill_loss=float(torch.stack(self._distill_losses).double().mean()) if steps else nothing,
                    seconds=now - self._since,
                )
            )
        self._task_losses, self._distill_losses, self._weight, self._since = [], [], 0.0, now

    def _places(self) -> frozenset[int]:
        """Return the steps at which the geometry is recorded. Each costs a second backward pass, so they are few."""
        most = max(_FEWEST_PROBES, self.total_steps // _STEPS_A_PROBE)
        return frozenset(spread_evenly(self.total_steps, min(self._points, most)) if self.total_steps else ())

    def end_epoch(self) -> None:
        """Read the λ of single samples; this waits for the device."""
        if self.conduct is not None:
            self.conduct.end_epoch()

    def end(self, balancer: LossBalancer | None) -> None:
        """Note what the function left when it ended or was stopped."""
        self.end_epoch()
        self._task_losses, self._distill_losses = [], []
        if balancer is None:
            return
        self.see(balancer)
        self.digest = digest_of(balancer.parameters)
        self.finite = all(bool(parameter.isfinite().all()) for parameter in balancer.parameters)

    def see(self, balancer: LossBalancer) -> None:
        """Note the guard's counts."""
        if balancer.guard is not None:
            self.interventions = {kind.value: count for kind, count in balancer.guard.counts.items()}
            self.skipped = balancer.guard.skipped

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs, in plain values."""
        self.end_epoch()
        return {
            "epoch": self.epoch,
            "epochs": self.epochs,
            "total_steps": self.total_steps,
            "steps": self.steps,
            "parameters": self.parameters,
            "reports": [dataclasses.asdict(report) for report in self.reports],
            "probed": {step: tuple(probed) for step, probed in self.probed.items()},
            "log": self.log.state_dict(),
            "conduct": None if self.conduct is None else self.conduct.state_dict(),
            "interventions": self.interventions,
            "skipped": self.skipped,
            "finite": self.finite,
            "given": self.given,
            "sums": (
                [float(loss) for loss in self._task_losses],
                [float(loss) for loss in self._distill_losses],
                self._weight,
            ),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        for name in ("epoch", "epochs", "total_steps", "steps", "parameters", "skipped", "finite"):
            setattr(self, name, state[name])
        self.given = state.get("given")
        self.probes = self._places()
        self.interventions = dict(state["interventions"])
        self.reports = [Report(**report) for report in state["reports"]]
        self.probed = {step: ProbedStep(*probed) for step, probed in state["probed"].items()}
        self.log.load_state_dict(state["log"])
        if state["conduct"] is not None:
            self.conduct = ConductLog(self.total_steps)
            self.conduct.load_state_dict(state["conduct"])
        task_losses, distill_losses, self._weight = state["sums"]
        self._task_losses = [torch.tensor(loss) for loss in task_losses]
        self._distill_losses = [torch.tensor(loss) for loss in distill_losses]


def digest_of(tensors: Iterable[Tensor]) -> str:
    """Return a digest of tensors' values, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
