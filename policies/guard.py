"""Protects a training from unsafe decisions of a rule, and the rule from misleading readings."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.guarding.divergence import DivergenceAlarm
from policies.guarding.intervention import Intervention, intervention_kind
from policies.guarding.rate_limit import limited_weight
from policies.guarding.vanishing import VanishedGradient, vanishes
from policies.policy import Decision, Observation, State

LearningRate: TypeAlias = float | Callable[[], float] | torch.optim.Optimizer

_log = logging.getLogger(__name__)

_MORE = {
    Intervention.VANISHED: (
        " (a rule that favours the smaller loss or the shorter gradient may do so again; bounds on λ, such as"
        " `Guard(lowest=0.05, highest=0.95)`, prevent it)"
    )
}
_STILL = "for 50 steps the rule (λ = {:.4g}) has given almost all weight to a loss that can hardly get lower"


class Verdict(NamedTuple):
    """The guard's answer to a decision.

    `replaced` is True if `decision` is not the policy's own, `skip` if the step is not taken. `intervention` gives the
    reason, or what else there is to report.
    """

    decision: Decision
    skip: bool = False
    intervention: str | None = None
    replaced: bool = False


class Guard:
    """Reviews every decision. By default it changes nothing in a healthy training.

    The first intervention of each kind is logged as a warning, and so is what the divergence alarm reports.

    A loss may have no gradient, like the distillation loss of a student that is a copy of its teacher. If such a loss
    has all the weight, the training stops. `admit` hides such readings from the rule, so that its λ does not change. If
    that λ leaves nothing to the other loss, `review` gives both losses equal shares, λ = ½. A λ that no reading has
    chosen, such as a constant 1, is the user's own. It is kept, and a warning says that the student stands still.

    The guard protects parameters only. It does not repair buffers, such as the running statistics of batch
    normalisation. After a batch of NaN these stay NaN, even if the step was skipped.

    Args:
        lowest: least λ.
        highest: greatest λ.
        check_every: steps between two checks of the losses and gradients, each of which waits for the device. Between
            two checks, a loss that is not finite takes effect undetected.
        learning_rate: if given, limits how far λ moves in a step (`policies.guarding.rate_limit`). It is a number, a
            function without arguments, or the optimiser, whose first group is read. It limits only rules that measure
            gradients, by the latest measurement. It is off by default, since a rule may switch on purpose.

    Attributes:
        skipped: the number of skipped steps.
        counts: the number of interventions by kind.

    Raises:
        PolicyError: a bound is outside [0, 1], or a period or a learning rate is not positive.
    """

    def __init__(
        self,
        *,
        lowest: float = 0.0,
        highest: float = 1.0,
        check_every: int = 1,
        learning_rate: LearningRate | None = None,
    ) -> None:
        if not 0.0 <= lowest <= highest <= 1.0:
            raise PolicyError(f"`lowest` <= `highest` must lie in [0, 1], but got {lowest} and {highest}.")
        if check_every < 1:
            raise PolicyError(f"`check_every` must be at least 1, but got {check_every}.")
        if isinstance(learning_rate, int | float) and not 0.0 < learning_rate < math.inf:
            raise PolicyError(f"`learning_rate` must be positive and finite, but got {learning_rate}.")
        self.lowest, self.highest, self.check_every = lowest, highest, check_every
        self.skipped = 0
        self.counts: dict[Intervention, int] = {}
        self._learning_rate = learning_rate
        self._alarm = DivergenceAlarm()
        self._vanished = VanishedGradient()
        self._chosen = self._compared = True
        self._alone_for = 0
        self._still_told = False
        self._step = 0
        self._weight: float | None = None
        self._geometry: Geometry | None = None
        self._loss_gap: float | None = None
        self._flags: tuple[Tensor, Tensor] | None = None

    def restart_alarm(self) -> None:
        """Forget the start of the training: a temperature that changes scales the distillation loss anew."""
        self._alarm = DivergenceAlarm(told=self._alarm.told)

    @property
    def interventions(self) -> int:
        """The number of interventions of all kinds."""
        return sum(self.counts.values())

    def within(self, weight: float) -> float:
        """Clip λ to the bounds; NaN stays NaN."""
        return min(max(weight, self.lowest), self.highest)

    def alone(self, weight: float) -> bool:
        """Tell whether λ leaves nothing to one of the losses, so that a step depends on the other's gradient alone."""
        return self._vanished.alone(weight)

    def checks_at(self, step: int) -> bool:
        """Tell whether the losses are needed on the host at this step."""
        return step % self.check_every == 0

    def admit(self, observation: Observation, *, chosen: bool = True, compared: bool = True) -> Observation:
        """Return the observation that a rule is shown: NaN for readings of a loss that has no gradient.

        It is called once a step, before the rule decides and the decision is reviewed.

        Args:
            observation: as for `review`.
            chosen: True if the rule looks at more than progress, so that λ is not simply what the user wrote.
            compared: True if the rule looks at the losses or their gradients.
        """
        self._chosen, self._compared = chosen, compared
        return self._vanished.look(observation, compared=compared)

    def review(self, observation: Observation, decision: Decision, mixed_loss: float | None = None) -> Verdict:
        """Review a decision and return the verdict on it.

        Args:
            observation: the readings of this step, without those measured only for the record. It has the losses at the
                steps of `checks_at`.
            decision: the policy's.
            mixed_loss: the loss that is trained, if it is not λ·L_distill + (1-λ)·L_task.
        """
        self._step = observation.step
        verdict = self._review(observation, decision)
        if verdict.intervention is not None:
            self._count(verdict.intervention)
        self.skipped += verdict.skip
        task, distill = observation.task_loss, observation.distill_loss
        # After a start with a loss of 0, the alarm would take any later loss for a rise.
        if task is not None and distill is not None and not (vanishes(task, distill) or vanishes(distill, task)):
            weight = verdict.decision.weight
            if mixed_loss is None or verdict.replaced:
                mixed_loss = _mixed(weight, task, distill)
            if (reason := self._alarm.update(weight, task, distill, mixed_loss)) is not None:
                _log.warning("step %d: %s", observation.step, reason)
                if intervention_kind(reason) == Intervention.DIVERGENCE:
                    self._count(reason)
                    return verdict._replace(intervention=reason)
        return verdict

    def inspect(self, parameters: Sequence[Tensor]) -> str | None:
        """Drop a step's gradients if one is not finite: optimisers skip a parameter whose `.grad` is None.

        Returns:
            The reason of an intervention, else None. The reason may also be that one loss has all the weight and no
            gradient.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients or self.all_finite(gradients):
            return self._of_nothing(gradients)
        for parameter in parameters:
            parameter.grad = None
        return self.refuse(Intervention.GRADIENT)

    def _of_nothing(self, gradients: list[Tensor]) -> str | None:
        """Return the reason to warn that the one loss with all the weight has no gradient, whatever its value.

        The gradients are checked at the 1st, 2nd, 4th, 8th … step with such a weight, until the warning has been given.
        """
        weight = self._weight
        if weight is None or Intervention.VANISHED in self.counts or not VanishedGradient.alone(weight):
            return None
        self._alone_for += 1
        if self._alone_for & (self._alone_for - 1) or any(g.is_sparse or bool(g.any()) for g in gradients):
            return None
        loss = "the distillation loss" if weight > 0.5 else "the task loss"
        reason = Intervention.VANISHED.because(f"{loss}, so the student learns nothing at λ = {weight:.4g}")
        self._count(reason)
        return reason

    def refuse(self, kind: Intervention, step: int | None = None) -> str:
        """Count a skipped step and return the reason.

        Args:
            kind: the kind of intervention.
            step: the number of the step, if its decision has not been reviewed.
        """
        self._step = self._step if step is None else step
        self.skipped += 1
        reason = kind.because("step skipped")
        self._count(reason)
        return reason

    def all_finite(self, gradients: list[Tensor]) -> bool:
        """Tell whether gradients are finite, with one pass over all and one transfer from the device.

        Gradient scaling's own kernel, with the factor 1, takes a third of the time that norms take. This matters for
        small students. Gradients that the kernel does not support (sparse ones, some dtypes) are checked through norms.
        """
        device = gradients[0].device
        if self._flags is None or self._flags[0].device != device:
            self._flags = torch.zeros((), device=device), torch.ones((), device=device)
        found, one = self._flags
        try:
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, found, one)
            if found.item() == 0.0:
                return True
        except RuntimeError:
            found.zero_()  # it may have found something before it failed
            return bool(torch.stack(torch._foreach_norm(gradients)).isfinite().all())
        found.zero_()
        return False

    def state_dict(self) -> State:
        """Return the guard's state as JSON values."""
        state: State = {"skipped": self.skipped, "weight": self._weight, "loss_gap": self._loss_gap}
        state["still_told"] = self._still_told
        state |= {f"count_{kind.name}": self.counts.get(kind, 0) for kind in Intervention}
        state |= {f"alarm_{name}": value for name, value in self._alarm.state_dict().items()}
        state |= {f"vanished_{name}": value for name, value in self._vanished.state_dict().items()}
        for name in Geometry._fields:
            state[name] = None if self._geometry is None else getattr(self._geometry, name)
        return state

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        self.skipped, self._still_told = state["skipped"], state.get("still_told", False)
        self.counts = {kind: n for kind in Intervention if (n := state.get(f"count_{kind.name}"))}
        for prefix, part in (("alarm_", self._alarm), ("vanished_", self._vanished)):
            part.load_state_dict({n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)})
        self._weight, self._loss_gap = state["weight"], state["loss_gap"]
        numbers = [state[name] for name in Geometry._fields]
        self._geometry = None if None in numbers else Geometry(*numbers)

    def _review(self, observation: Observation, decision: Decision) -> Verdict:
        task, distill = observation.task_loss, observation.distill_loss
        broken_task = task is not None and not math.isfinite(task)
        broken_distill = distill is not None and not math.isfinite(distill)
        if broken_task and broken_distill:
            return Verdict(decision, skip=True, intervention=Intervention.BOTH_LOSSES.because("step skipped"))
        if broken_task:
            return _replaced(decision, 1.0, Intervention.TASK_LOSS, "λ = 1")
        if broken_distill:
            return _replaced(decision, 0.0, Intervention.DISTILL_LOSS, "λ = 0")
        weight, scale = decision.weight, decision.scale
        if not math.isfinite(weight) or not 0.0 < scale < math.inf:
            kept = self.within(0.5 if self._weight is None else self._weight)
            deed = f"λ = {weight}, s = {scale} became λ = {kept:.4g}, s = 1"
            return _replaced(decision._replace(scale=1.0), kept, Intervention.INVALID, deed)
        verdict = Verdict(decision)
        if (bounded := self.within(weight)) != weight:
            deed = f"{weight:.4g} became {bounded:.4g}, the bounds being {self.lowest:g} and {self.highest:g}"
            verdict = _replaced(decision, bounded, Intervention.BOUNDS, deed)
        if self._learning_rate is not None:
            verdict = self._limited(observation, verdict)
        if self._vanished.distill or self._vanished.task:
            verdict = self._kept_moving(verdict)
        self._weight = weight = verdict.decision.weight
        if self._chosen and self._vanished.nearly_still(observation, weight) and not self._still_told:
            self._still_told = True
            if Intervention.VANISHED not in self.counts:
                _log.warning("step %d: %s%s", self._step, _STILL.format(weight), _MORE[Intervention.VANISHED])
        return verdict

    def _kept_moving(self, verdict: Verdict) -> Verdict:
        """Give some weight to the loss that still has a gradient, or keep λ and add the reason to the verdict."""
        decision, lost = verdict.decision, self._vanished.in_words()
        if self._vanished.stands_still(decision.weight):
            shared = self.within(0.5)
            if self._chosen and not self._vanished.stands_still(shared):
                deed = f"{lost}, so λ = {decision.weight:.4g} became {shared:.4g}"
                return _replaced(decision, shared, Intervention.VANISHED, deed)
            owner = "the guard's bounds" if self._chosen else "the rule"
            deed = f"{lost}, so the student learns nothing at λ = {decision.weight:.4g}, which {owner} sets"
        elif self._compared:
            deed = f"{lost}, so the rule does not see its readings and λ stays at {decision.weight:.4g}"
        else:
            return verdict
        return verdict._replace(intervention=verdict.intervention or Intervention.VANISHED.because(deed))

    def _limited(self, observation: Observation, verdict: Verdict) -> Verdict:
        geometry, task, distill = observation.geometry, observation.task_loss, observation.distill_loss
        if geometry is not None and geometry.finite and task is not None and distill is not None:
            # Both must be of one measurement: only then are the losses those of all micro-batches of an update.
            self._geometry, self._loss_gap = geometry, distill - task
        decision, current = verdict.decision, self._weight
        if current is None or self._geometry is None or self._loss_gap is None:
            return verdict
        rate = self._rate() * decision.scale
        allowed = limited_weight(current, decision.weight, self._geometry, self._loss_gap, rate)
        if allowed == decision.weight:
            return verdict
        deed = f"{decision.weight:.4g} became {allowed:.4g} after {current:.4g}, beyond which the mixed loss would rise"
        return _replaced(decision, allowed, Intervention.RATE, deed)

    def _rate(self) -> float:
        rate = self._learning_rate
        if isinstance(rate, torch.optim.Optimizer):
            return float(rate.param_groups[0]["lr"])
        assert rate is not None  # the caller has checked
        return float(rate() if callable(rate) else rate)

    def _count(self, reason: str) -> None:
        kind = Intervention(intervention_kind(reason))
        if kind not in self.counts and kind is not Intervention.DIVERGENCE:  # logged with the alarm's reason
            _log.warning(
                "step %d: %s%s; further interventions of this kind are only counted",
                self._step,
                reason,
                _MORE.get(kind, ""),
            )
        self.counts[kind] = self.counts.get(kind, 0) + 1


def _replaced(decision: Decision, weight: float, kind: Intervention, deed: str) -> Verdict:
    """Replace λ, and set s = 1 if the rule's s is not valid.

    A rule that computes s from the losses gives such an s if a loss is broken.
    """
    reason = kind.because(deed)
    scale = decision.scale if 0.0 < decision.scale < math.inf else 1.0
    return Verdict(decision._replace(weight=weight, scale=scale, reason=reason), intervention=reason, replaced=True)


def _mixed(weight: float, task_loss: float, distill_loss: float) -> float:
    """Return λ·L_distill + (1-λ)·L_task; a loss without weight is left out."""
    if weight == 0.0:
        return task_loss
    return distill_loss if weight == 1.0 else weight * distill_loss + (1.0 - weight) * task_loss
