"""What keeps a training safe from a rule, and from what a rule is told."""

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
        " (a rule that favours the smaller loss or the shorter gradient may return there; bounds on λ, such as"
        " `Guard(lowest=0.05, highest=0.95)`, prevent it)"
    )
}
_STILL = "for 50 steps the rule (λ = {:.4g}) has followed almost only a loss that has hardly anything left to lower"


class Verdict(NamedTuple):
    """What the guard makes of a decision.

    `replaced` is whether `decision` is another than the policy's, `skip` whether the step is not taken. `intervention`
    says why, or what else there is to tell.
    """

    decision: Decision
    skip: bool = False
    intervention: str | None = None
    replaced: bool = False


class Guard:
    """Reviews every decision. What it is by default changes nothing in a training that is well.

    The first intervention of each kind is logged as a warning, and so is what the divergence alarm tells.

    A loss without a gradient, such as the distillation loss of a student that is a copy of its teacher, stops a
    training if it has all the weight. `admit` keeps such readings from the rule, so that its λ stands, and `review`
    gives both losses equal shares, λ = ½, where that λ would still leave nothing to the other loss. A λ that no reading
    has chosen, such as a constant 1, is the user's own: it is kept, and a warning says that the student stands still.

    It sees to the parameters. What a forward pass has left in buffers, such as the running statistics of batch
    normalisation, it does not mend: after a batch of NaN these stay NaN, also if the step was skipped.

    Args:
        lowest: least λ.
        highest: greatest λ.
        check_every: steps between two looks at the losses and gradients, each of which waits for the device. Between
            them a loss that is not finite does its harm unseen.
        learning_rate: limits how far λ moves in a step (`policies.guarding.rate_limit`), if given: a number, a
            function of nothing, or the optimiser, whose first group is asked. Only rules that measure gradients are
            limited, by what was measured last. Off by default, since a rule that switches may well be meant to.

    Attributes:
        skipped: steps not taken.
        counts: interventions by kind.

    Raises:
        PolicyError: bounds outside [0, 1], or a period or a learning rate that is not positive.
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

    @property
    def interventions(self) -> int:
        """Of all kinds."""
        return sum(self.counts.values())

    def within(self, weight: float) -> float:
        """λ, or the bound that it lies beyond; NaN stays."""
        return min(max(weight, self.lowest), self.highest)

    def alone(self, weight: float) -> bool:
        """Whether λ leaves nothing to one of the losses, so that a step hangs on the gradient of the other."""
        return self._vanished.alone(weight)

    def checks_at(self, step: int) -> bool:
        """Whether the losses are wanted on the host at this step."""
        return step % self.check_every == 0

    def admit(self, observation: Observation, *, chosen: bool = True, compared: bool = True) -> Observation:
        """What of an observation a rule is shown: NaN for readings of a loss that has no gradient.

        Called once a step, before the rule is asked and the decision reviewed.

        Args:
            observation: as for `review`.
            chosen: whether the rule looks at more than progress, so that λ is not simply what the user wrote down.
            compared: whether it looks at the losses or their gradients.
        """
        self._chosen, self._compared = chosen, compared
        return self._vanished.look(observation, compared=compared)

    def review(self, observation: Observation, decision: Decision, mixed_loss: float | None = None) -> Verdict:
        """What is to be done in place of a decision.

        Args:
            observation: what is known at this step, without what was only measured to be recorded; the losses at the
                steps of `checks_at`.
            decision: the policy's.
            mixed_loss: what is trained, where it is not λ·L_distill + (1-λ)·L_task.
        """
        self._step = observation.step
        verdict = self._review(observation, decision)
        if verdict.intervention is not None:
            self._count(verdict.intervention)
        self.skipped += verdict.skip
        task, distill = observation.task_loss, observation.distill_loss
        # A start with a loss of 0 would make the alarm take what follows for a rise.
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
        """Withdraw a step's gradients if one is not finite: `.grad` = None makes optimisers pass the parameter by.

        Returns:
            The reason of an intervention, which may also be that one loss has all the weight and no gradient.
        """
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients or self.all_finite(gradients):
            return self._of_nothing(gradients)
        for parameter in parameters:
            parameter.grad = None
        return self.refuse(Intervention.GRADIENT)

    def _of_nothing(self, gradients: list[Tensor]) -> str | None:
        """The reason to warn that the one loss with all the weight has no gradient, whatever its value.

        Looked for at the 1st, 2nd, 4th, 8th … step with such a weight, until it has been told.
        """
        weight = self._weight
        if weight is None or Intervention.VANISHED in self.counts or not VanishedGradient.alone(weight):
            return None
        self._alone_for += 1
        if self._alone_for & (self._alone_for - 1) or any(g.is_sparse or bool(g.any()) for g in gradients):
            return None
        loss = "the distillation loss" if weight > 0.5 else "the task loss"
        reason = Intervention.VANISHED.because(f"{loss}, so the student stands still at λ = {weight:.4g}")
        self._count(reason)
        return reason

    def refuse(self, kind: Intervention, step: int | None = None) -> str:
        """Count a step that is not taken; the reason.

        Args:
            kind: why.
            step: which, if its decision has not been reviewed.
        """
        self._step = self._step if step is None else step
        self.skipped += 1
        reason = kind.because("step skipped")
        self._count(reason)
        return reason

    def all_finite(self, gradients: list[Tensor]) -> bool:
        """Whether gradients are finite: one pass over all and one look at the device.

        Gradient scaling's own kernel takes a third of the time that norms take, which matters for small students; it
        multiplies by 1. What it cannot take (sparse gradients, some types of number) goes through norms.
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
        """What the guard remembers, as JSON numbers."""
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
        self.skipped = int(state["skipped"] or 0)
        self._still_told = bool(state.get("still_told"))
        self.counts = {kind: int(n) for kind in Intervention if (n := state.get(f"count_{kind.name}"))}
        for prefix, part in (("alarm_", self._alarm), ("vanished_", self._vanished)):
            part.load_state_dict({n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)})
        numbers = {name: state[name] for name in ("weight", "loss_gap", *Geometry._fields)}
        floats = {name: None if number is None else float(number) for name, number in numbers.items()}
        self._weight, self._loss_gap = floats["weight"], floats["loss_gap"]
        distill_sq, task_sq, inner = (floats[name] for name in Geometry._fields)
        measured = distill_sq is not None and task_sq is not None and inner is not None
        self._geometry = Geometry(distill_sq, task_sq, inner) if measured else None  # type: ignore[arg-type]

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
        """A verdict that leaves something to the loss that still has a gradient, where the other has none."""
        decision, lost = verdict.decision, self._vanished.in_words()
        if self._vanished.stands_still(decision.weight):
            shared = self.within(0.5)
            if self._chosen and not self._vanished.stands_still(shared):
                deed = f"{lost}, so λ = {decision.weight:.4g} became {shared:.4g}"
                return _replaced(decision, shared, Intervention.VANISHED, deed)
            owner = "the guard's bounds" if self._chosen else "the rule"
            deed = f"{lost}, so the student stands still at λ = {decision.weight:.4g}, which {owner} sets"
        elif self._compared:
            deed = f"{lost}, so its readings are kept from the rule and λ = {decision.weight:.4g} stands"
        else:
            return verdict
        return verdict._replace(intervention=verdict.intervention or Intervention.VANISHED.because(deed))

    def _limited(self, observation: Observation, verdict: Verdict) -> Verdict:
        geometry, task, distill = observation.geometry, observation.task_loss, observation.distill_loss
        if geometry is not None and geometry.finite and task is not None and distill is not None:
            # Both of one measurement: only then are the losses those of all micro-batches of an update.
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
        assert rate is not None  # the caller has asked
        return float(rate() if callable(rate) else rate)

    def _count(self, reason: str) -> None:
        kind = Intervention(intervention_kind(reason))
        if kind not in self.counts and kind is not Intervention.DIVERGENCE:  # of which the alarm has told
            _log.warning(
                "step %d: %s%s; further interventions of this kind are only counted",
                self._step,
                reason,
                _MORE.get(kind, ""),
            )
        self.counts[kind] = self.counts.get(kind, 0) + 1


def _replaced(decision: Decision, weight: float, kind: Intervention, deed: str) -> Verdict:
    """Another λ, and s = 1 if the rule's is none, as one that was made of the losses is where a loss is broken."""
    reason = kind.because(deed)
    scale = decision.scale if 0.0 < decision.scale < math.inf else 1.0
    return Verdict(decision._replace(weight=weight, scale=scale, reason=reason), intervention=reason, replaced=True)


def _mixed(weight: float, task_loss: float, distill_loss: float) -> float:
    """λ·L_distill + (1-λ)·L_task, in which a loss without weight takes no part."""
    if weight == 0.0:
        return task_loss
    return distill_loss if weight == 1.0 else weight * distill_loss + (1.0 - weight) * task_loss
