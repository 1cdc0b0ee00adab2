"""Favours the loss that fell less from one stretch of the training to the next."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.loss_based import bounded, logistic
from policies.measuring import steps_between
from policies.parameter import real
from policies.policy import AS_BEFORE, BatchPolicy, Decision, Observation, State


@dataclasses.dataclass
class _Stretch:
    """The mean losses of one stretch of the training."""

    index: int = 0
    readings: int = 0
    distill: float = 0.0
    task: float = 0.0

    def add(self, distill: float, task: float) -> None:
        """Add one reading."""
        self.readings += 1
        self.distill += (distill - self.distill) / self.readings
        self.task += (task - self.task) / self.readings


@dataclasses.dataclass(kw_only=True, eq=False)
class DynamicWeightAverage(BatchPolicy):
    """w_i = 2·softmax(r_i/T), r_i = L_i(e−1)/L_i(e−2): mean losses of the last two stretches of the training.

    A stretch is a share `period` of the training. It stands for the published epoch, so that the rule does not change
    with the size of the data set. λ is ½ in the first two stretches. The published s is 2 throughout.

    Source: Liu, Johns and Davison 2019 (arXiv 1803.10704), equation 7.
    """

    family: ClassVar[str] = "dwa"
    source: ClassVar[str] = "DWA, arXiv 1803.10704"

    temperature: float = real(
        2.0, low=1e-3, high=1e3, search=(1.0, 4.0), meaning="T: the larger, the nearer λ stays to one half"
    )
    period: float = real(
        0.05, low=1e-4, high=0.5, search=(0.02, 0.2), log=True, meaning="length of a stretch as a share of the training"
    )
    measure_every: int = steps_between(1, "readings")

    needs = frozenset({"progress", "losses"})

    def _begin(self) -> None:
        self._decision = Decision(0.5, reason="nothing to compare yet")
        self._running = _Stretch()
        self._before: _Stretch | None = None

    def measures_at(self, step: int) -> bool:
        return step % self.measure_every == 0

    def decide(self, observation: Observation) -> Decision:
        if self.measures_at(observation.step):
            distill, task = bounded(observation.distill_loss), bounded(observation.task_loss)
            if math.isfinite(distill) and math.isfinite(task):
                self._take(observation.progress, distill, task)
        return self._decision

    def _take(self, progress: float, distill: float, task: float) -> None:
        # The addend keeps a progress such as 3 · 0.05 from falling a rounding error short of its stretch.
        index = int(progress / self.period + 1e-9)
        if index > self._running.index and self._running.readings:
            if self._before is not None:
                self._decision = self._compared(self._before, self._running)
            self._before, self._running = self._running, _Stretch(index)
        self._running.index = index
        self._running.add(distill, task)

    def _compared(self, before: _Stretch, after: _Stretch) -> Decision:
        distill, task = after.distill / before.distill, after.task / before.task
        reason = f"distillation loss at {distill:.3g} of the stretch before, task loss at {task:.3g}"
        return Decision(logistic((distill - task) / self.temperature), reason=reason)

    def rule(self) -> str:
        return (
            "λ = 1/(1 + exp((q_task - q_distill)/T)), q = a loss's mean over the last"
            f" {self.period:.3g} of the training over its mean before, T = {self.temperature:.3g}."
        )

    def state_dict(self) -> State:
        state: State = {"weight": self._decision.weight, "has_before": self._before is not None}
        for name, stretch in (("running", self._running), ("before", self._before or _Stretch())):
            state |= {f"{name}_{field}": value for field, value in dataclasses.asdict(stretch).items()}
        return state

    def load_state_dict(self, state: State) -> None:
        self._decision = Decision(state["weight"], reason=AS_BEFORE)
        self._running = _restored(state, "running")
        self._before = _restored(state, "before") if state["has_before"] else None


def _restored(state: State, name: str) -> _Stretch:
    return _Stretch(**{field.name: state[f"{name}_{field.name}"] for field in dataclasses.fields(_Stretch)})
