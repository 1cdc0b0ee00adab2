"""`LossBalancer` runs a λ policy in any PyTorch training loop.

    balancer = LossBalancer.from_file("policy.json", student, total_steps=epochs * len(loader))
    ...
    balancer.backward(task_loss, distill_loss)  # where loss.backward() stood
    optimizer.step()

The search trains its students through this same class.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterable
from typing import Any, Literal, Protocol, overload

import torch
from torch import Tensor, nn

from policies.document import read_document
from policies.errors import PolicyError
from policies.guard import Guard
from policies.losses import distillation_loss
from policies.policy import BatchPolicy, Given, Measurement, Policy
from policies.registry import create_policy
from policies.sample import SamplePolicy
from policies.update.arguments import check_decide_on, check_guard, check_policy, check_temperature, check_total_steps
from policies.update.base import DecideOn, Plan, Step, Update
from policies.update.batch import BatchUpdate
from policies.update.fallback import FallBack, FallBackPolicy
from policies.update.logits import LogitPair
from policies.update.misuse import FAILURES, check_logits_train, check_losses_train, explain_logits, explain_losses
from policies.update.objective import Factor, LossPair, Objective
from policies.update.outputs import OutputPair
from policies.update.ranks import Group
from policies.update.reliability import ReliabilityTable
from policies.update.sample import SampleUpdate
from policies.update.student import Student
from policies.update.two_passes import allow_two_passes, check_graph

__all__ = ["LossBalancer", "Step"]

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Notes each update of a balancer; its state is part of the balancer's."""

    def note(self, step: Step) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class LossBalancer:
    """Adds the gradient of two losses, weighted by a policy, to `.grad`.

    Args:
        policy: decides λ at each step.
        student: the module, or all parameters that the losses train (the student's and, say, a projector's). Those that
            require no gradient are ignored. A `DistributedDataParallel` module also gives its process group.
        total_steps: the number of updates in the training. Policies that look at progress need it. With such a policy,
            a warning is logged when the training continues beyond it.
        temperature: T of the distillation loss; `from_file` takes it from the policy file.
        guard: reviews every decision; None for no guard.
        grad_scaler: the `torch.amp.GradScaler` of the loop, if it has one; pass the losses unscaled.
        last_block: the module that the tier `last_block` measures; by default the student's last layer with weights.
        process_group: the processes whose gradients and readings are averaged, needed where `student` does not show
            them; "alone" for this process only.
        decide_on: the micro-batches that decide λ of an accumulated update. With "update" all of them decide, as if
            they were one batch. In steps in which the policy looks at anything, this costs a second backward pass and
            memory for two gradients. With "first" the first one decides alone, at no cost but a noisier reading. A
            policy that measures the whole student always decides on all. With "first", the losses given to `backward`
            are read as they are, divided. Of the rules here, only `uncertainty` looks at more of them than ratios.

    Raises:
        PolicyError: an argument is of a wrong type or range, or `total_steps` is missing where the policy needs it. No
            parameter can be trained, or `last_block` is no part of the student. It is not known which processes train
            the student together. The policy measures gradients that cannot be taken separately (a sharded student, DDP
            with a static graph).
    """

    def __init__(
        self,
        policy: Policy,
        student: nn.Module | Iterable[Tensor],
        *,
        total_steps: int | None = None,
        temperature: float = 4.0,
        guard: Guard | Literal["default"] | None = "default",
        grad_scaler: torch.amp.GradScaler | None = None,
        last_block: nn.Module | None = None,
        process_group: Group = None,
        decide_on: DecideOn = "update",
    ) -> None:
        check_policy(policy)
        check_temperature(temperature)
        check_guard(guard)
        check_decide_on(decide_on)
        self.policy = policy
        self.total_steps = check_total_steps(total_steps, policy)
        self._warn_at = self.total_steps if "progress" in policy.needs else None
        self.temperature = temperature
        self.guard = Guard() if guard == "default" else guard
        self.step = 0
        self.document: dict[str, Any] | None = None
        """The contents of the `policy.json` that it was created from; None without one."""
        self._fall_back: FallBack | None = None
        self._rule_temperature = temperature
        self._listener: Listener | None = None
        self._listener_state: dict[str, Any] | None = None
        self._student = Student(student, last_block=last_block, process_group=process_group)
        self._scaler = grad_scaler
        self._decide_on: DecideOn = decide_on
        self._update: Update | None = None
        by_batch = isinstance(policy, BatchPolicy)
        self._chosen = not by_batch or bool(policy.needs - {"progress"})
        self._compared = by_batch and bool(policy.needs & {"geometry", "losses"})
        self._graph_checked = False
        self._trains = False
        self.reliability = ReliabilityTable(self._student.ranks) if "reliability" in policy.needs else None
        """The counts of how often teacher and label agreed so far; None if the policy does not look at them."""
        if isinstance(policy, BatchPolicy) and "geometry" in policy.needs:
            self._prepare(policy.family, policy.measurement, student)

    def _prepare(self, family: str, how: Measurement, student: object) -> None:
        """Check and prepare what a policy that measures needs of the student."""
        if how.tier == "logit":
            return
        self._student.check_two_gradients(
            (f"`{family}` measures the gradients of parameters", 'set `tier` = "logit", or use a rule on samples')
        )
        if how.tier == "last_block" and not self._student.has_block:
            raise PolicyError(
                f"`{family}` measures the last block; pass the student's module, or the block as `last_block`."
            )
        if how.tier == "last_block" and not self._student.block:
            raise PolicyError(
                f"`{family}` measures the last block, but no parameter of `last_block` requires a gradient; unfreeze"
                " it, or pass another."
            )
        allow_two_passes(student)

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters that are trained now; layers may be frozen and unfrozen during the training."""
        return self._student.parameters

    @classmethod
    def from_file(
        cls,
        path: str | pathlib.Path,
        student: nn.Module | Iterable[Tensor],
        *,
        total_steps: int | None = None,
        policies: Iterable[type[Policy]] = (),
        **more: Any,
    ) -> LossBalancer:
        """Create a balancer for the policy in a `policy.json`.

        Args:
            path: the file.
            student: as for the class.
            total_steps: as for the class.
            policies: your own rule classes, if the file holds a rule of one of them.
            more: `guard`, `grad_scaler`, `last_block`, `process_group`, `decide_on`, as for the class.

        Raises:
            PolicyError: the file is unreadable or invalid, a temperature is given, or a reason given for the class.
        """
        if "temperature" in more:
            raise PolicyError(
                "`from_file` takes the temperature that the policy was found with from the file; for another one, call"
                f" `LossBalancer(load_policy(path), student, temperature={more['temperature']!r})`."
            )
        document = read_document(path, policies)
        policy = create_policy(document["family"], document["parameters"])
        balancer = cls(policy, student, total_steps=total_steps, temperature=float(document["temperature"]), **more)
        balancer.document = document
        return balancer

    def attach(self, listener: Listener) -> None:
        """Let a `policies.monitoring.Monitor` note each update; it calls this itself.

        Raises:
            PolicyError: another one is attached.
        """
        if self._listener is not None:
            raise PolicyError("the balancer has a monitor already; pass several sinks to one monitor as a list `to`.")
        self._listener = listener
        if self._listener_state is not None:
            listener.load_state_dict(self._listener_state)

    @property
    def fallen_back(self) -> FallBack | None:
        """λ, temperature and reason of the fall-back; None while the rule decides."""
        return self._fall_back

    def fall_back(self, weight: float, *, reason: str, temperature: float | None = None) -> None:
        """Train with a constant λ from the next update on, in place of the rule, until `follow_rule`.

        The rule is not asked, and nothing is measured for it. `state_dict` keeps the fall-back.

        Args:
            weight: λ, in [0, 1].
            reason: the reason, for the log of decisions.
            temperature: T of the distillation loss from then on; None for the present one. It has no effect on losses
                that you compute yourself without `distillation_loss`.

        Raises:
            PolicyError: a number is out of range.
        """
        if not 0.0 <= weight <= 1.0:
            raise PolicyError(f"`weight` must be in [0, 1], but got {weight!r}.")
        if temperature is not None:
            check_temperature(temperature)
        self._change_to(FallBack(weight, self.temperature if temperature is None else temperature, reason))

    def follow_rule(self) -> None:
        """Let the rule decide again, at its own temperature; it remembers what it knew before the fall-back."""
        self._change_to(None)

    def _set_fall_back(self, fall_back: FallBack | None) -> None:
        self._fall_back = fall_back
        self.temperature = self._rule_temperature if fall_back is None else fall_back.temperature

    def _change_to(self, fall_back: FallBack | None) -> None:
        before = self.temperature
        self._set_fall_back(fall_back)
        if self.temperature != before and self.guard is not None:
            self.guard.restart_alarm()

    @property
    def _acting(self) -> Policy:
        """The policy that decides now."""
        if self._fall_back is None:
            return self.policy
        return FallBackPolicy(weight=self._fall_back.weight, reason=self._fall_back.reason)

    def distillation_loss(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return `policies.losses.distillation_loss` at this balancer's temperature."""
        return distillation_loss(student_logits, teacher_logits, self.temperature)

    @overload
    def backward(
        self, task_loss: Tensor, distill_loss: Tensor, *, update: Literal[True] = True, measure_now: bool = False
    ) -> Step: ...
    @overload
    def backward(
        self, task_loss: Tensor, distill_loss: Tensor, *, update: bool, measure_now: bool = False
    ) -> Step | None: ...
    def backward(
        self, task_loss: Tensor, distill_loss: Tensor, *, update: bool = True, measure_now: bool = False
    ) -> Step | None:
        """Add the gradient of s·(λ·distill_loss + (1-λ)·task_loss) to `.grad`, and count one step.

        Args:
            task_loss: scalar.
            distill_loss: scalar over the same graph. A loss without a graph, such as a constant 0 where no teacher was
                asked, raises an error under all rules. There is nothing to weigh then; call `task_loss.backward()`.
            update: True if an optimiser step follows; False for all but the last micro-batch of an accumulated update.
                Divide its losses by the number of micro-batches, as usual.
            measure_now: measure the whole student's geometry for the returned step, even if the policy does not ask
                for it. The policy does not see it. The value must be the same for all micro-batches of an update.

        Returns:
            The record of the update, or None if no update follows.

        Raises:
            PolicyError: the policy looks at more than two losses; call `backward_on_logits` or
                `backward_on_outputs`. Or a loss is not one number or has no graph. Or, at the first call, neither loss
                depends on what the balancer was made to train.

        A step costs one backward pass, or two if gradients of parameters are measured. Do not call it from a closure
        that the optimiser runs several times a step, as LBFGS does: each call counts as an update.
        """
        self._refuse_more_than("losses")
        objective = LossPair(task_loss, distill_loss)
        if not self._trains:
            check_losses_train(self._student, task_loss, distill_loss)
            self._trains = True
        try:
            return self._take(objective, (task_loss, distill_loss), 1.0, update, measure_now)
        except FAILURES as error:
            explain_losses(error)
            raise

    @overload
    def backward_on_logits(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        label_smoothing: float = 0.0,
        share: float = 1.0,
        update: Literal[True] = True,
        measure_now: bool = False,
    ) -> Step: ...
    @overload
    def backward_on_logits(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        label_smoothing: float = 0.0,
        share: float = 1.0,
        update: bool,
        measure_now: bool = False,
    ) -> Step | None: ...
    def backward_on_logits(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        label_smoothing: float = 0.0,
        share: float = 1.0,
        update: bool = True,
        measure_now: bool = False,
    ) -> Step | None:
        """Do the same as `backward`, with cross entropy as the task loss and T²·KL as the distillation loss.

        Every policy works with it, also those that weigh each sample. The losses' gradients in the logits are known in
        closed form, so no graph of the losses is built.

        Args:
            student_logits: [N, C], with their graph; C ≥ 2. A batch with N = 0 is skipped, or adds nothing to an
                accumulated update. On one rank of several its gradients are 0, so that no rank waits.
            teacher_logits: [N, C].
            labels: [N] whole numbers in [0, C), or [N, C] probabilities, which may be multiplied by a weight of the
                sample. Leave out samples without a label (PyTorch's -100).
            label_smoothing: share of the label's mass that is spread over all classes.
            share: this micro-batch's samples as a share of its update's: 1/k for k of equal size.
            update: as for `backward`.
            measure_now: as for `backward`.

        Raises:
            PolicyError: the shapes do not fit, or an output is one number (call `backward` with two losses). The
                student's logits have no graph. A label (on a GPU PyTorch raises its own error), `share` or
                `label_smoothing` is out of range. At the first call, the student's logits do not depend on what the
                balancer was made to train.
        """
        _check_share(share)
        try:
            if not self._trains:
                self._trains = check_logits_train(self._student, student_logits, teacher_logits)
            objective = LogitPair(
                student_logits,
                teacher_logits,
                labels,
                temperature=self.temperature,
                label_smoothing=label_smoothing,
                table=self.reliability,
            )
            return self._take(objective, (student_logits,), share, update, measure_now)
        except FAILURES as error:
            explain_logits(error, student_logits, teacher_logits, labels)
            raise

    @overload
    def backward_on_outputs(
        self,
        outputs: object,
        task_losses: Tensor,
        distill_losses: Tensor,
        *,
        share: float = 1.0,
        update: Literal[True] = True,
        measure_now: bool = False,
    ) -> Step: ...
    @overload
    def backward_on_outputs(
        self,
        outputs: object,
        task_losses: Tensor,
        distill_losses: Tensor,
        *,
        share: float = 1.0,
        update: bool,
        measure_now: bool = False,
    ) -> Step | None: ...
    def backward_on_outputs(
        self,
        outputs: object,
        task_losses: Tensor,
        distill_losses: Tensor,
        *,
        share: float = 1.0,
        update: bool = True,
        measure_now: bool = False,
    ) -> Step | None:
        """Do the same as `backward`, with losses of your own that have one value for each sample.

        Rules that weigh each sample work with it, as does `tier` = "logit", which is measured at `outputs`. Rules that
        look at the teacher's answers need `backward_on_logits`. The gradients in the outputs are computed only where a
        rule looks at them; this costs two passes through the losses, and none through the student.

        Args:
            outputs: what the student returned and both losses are computed from, with its graph: a tensor [N, ...], or
                such tensors in tuples, lists or dicts. Tensors without a graph among them are ignored.
            task_losses: [N].
            distill_losses: [N], over the same graph.
            share: this micro-batch's samples as a share of its update's: 1/k for k of equal size.
            update: as for `backward`.
            measure_now: as for `backward`.

        Raises:
            PolicyError: the policy looks at the teacher's answers. The shapes do not fit, or something has no graph.
                `share` is out of range. A loss does not depend on `outputs`, or, at the first call, on what the
                balancer was made to train.
        """
        self._refuse_more_than("outputs")
        _check_share(share)
        objective = OutputPair(outputs, task_losses, distill_losses)
        if not self._trains:
            check_losses_train(self._student, task_losses, distill_losses)
            self._trains = True
        try:
            return self._take(objective, (task_losses, distill_losses), share, update, measure_now)
        except FAILURES as error:
            explain_losses(error)
            raise

    def _refuse_more_than(self, given: Given) -> None:
        """Raise PolicyError if the policy looks at more than a call gives it."""
        least = self.policy.looks_at
        if least == "losses" or least == given:
            return
        calls = "`backward_on_logits(student_logits, teacher_logits, labels)` instead"
        if least == "outputs":
            raise PolicyError(
                f"`{self.policy.family}` looks at each sample's losses and outputs, which two losses do not show; call"
                f" {calls}, or `backward_on_outputs(outputs, task_losses, distill_losses)` with losses of your own."
            )
        what = "two losses do" if given == "losses" else "losses of your own do"
        raise PolicyError(f"`{self.policy.family}` looks at logits and labels, which {what} not show; call {calls}.")

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a checkpoint must hold so that a resumed training continues exactly.

        Raises:
            PolicyError: an accumulated update has begun, and its last micro-batch is still missing.
        """
        if self._update is not None:
            raise PolicyError(
                "the balancer is in the middle of an accumulated update, whose gradients its state does not hold; call"
                " `state_dict` after the micro-batch with `update=True`."
            )
        guard = {} if self.guard is None else self.guard.state_dict()
        state = {"step": self.step, "rule": self._rule, "policy": self.policy.state_dict(), "guard": guard}
        if self.reliability is not None:
            state["reliability"] = self.reliability.state_dict()
        if self._fall_back is not None:
            state["fall_back"] = self._fall_back._asdict()
        if self._listener is not None:
            state["monitor"] = self._listener.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`; drop an update that has begun.

        Raises:
            PolicyError: it is not the state of a balancer, or it is of another rule, whose values mean something else.
        """
        _check_state(state)
        if state["rule"] != self._rule:
            raise PolicyError(
                f"the state comes from a training under {_told(state['rule'])}, but this balancer's rule is"
                f" {_told(self._rule)}; create the balancer from the policy that the training began with."
            )
        self.step = int(state["step"])
        self.policy.load_state_dict(state["policy"])
        if self.guard is not None and state["guard"]:
            self.guard.load_state_dict(state["guard"])
        if self.reliability is not None:
            self.reliability.load_state_dict(state.get("reliability"))
        fall_back = state.get("fall_back")
        self._set_fall_back(None if fall_back is None else FallBack(**fall_back))
        self._listener_state = state.get("monitor")
        if self._listener is not None and self._listener_state is not None:
            self._listener.load_state_dict(self._listener_state)
        self._update = None

    @property
    def _rule(self) -> dict[str, Any]:
        return {"family": self.policy.family, "parameters": self.policy.values()}

    def _take(
        self, objective: Objective, outputs: tuple[Tensor, ...], share: float, last: bool, probe: bool
    ) -> Step | None:
        """Process one micro-batch; return the record of the update if it is the update's last."""
        if self._update is None and self.reliability is not None:
            self.reliability.begin()
        update = self._update or self._begin(probe, several=not last)
        if update.plan.probe != probe:
            raise PolicyError("`measure_now` must be the same for all micro-batches of an update.")
        self._update = None  # a failed update is not continued
        if update.takes_gradients_apart and not self._graph_checked:
            check_graph(*outputs)
            self._graph_checked = True
        update.add(objective, share=share, factor=self._loss_scale(objective.task_loss.device), last=last)
        if self.reliability is not None and isinstance(objective, LogitPair):
            self.reliability.note(objective.answers)
        if not last:
            self._update = update
            return None
        self.step += 1
        if self.reliability is not None:
            self.reliability.close()
        step = update.finish()
        if self._listener is not None:
            self._listener.note(step)
        return step

    def plan(self, *, probe: bool, several: bool = False) -> Plan:
        """Plan how the next update is carried out.

        Args:
            probe: True if the whole student's geometry is wanted for the record.
            several: True if further micro-batches follow the first.
        """
        policy, step, follows = self._acting, self.step, self._fall_back is None
        if step == self._warn_at:
            _log.warning(
                "update %d begins, but `total_steps` is %d: progress stays at 1 from here on; `total_steps` counts"
                " updates (optimiser's steps), epochs times updates per epoch",
                step + 1,
                self.total_steps,
            )
        reads = policy.needs if isinstance(policy, BatchPolicy) and policy.measures_at(step) else frozenset()
        return Plan(
            step=step,
            progress=min(1.0, step / self.total_steps) if self.total_steps else 0.0,
            reads=reads - {"progress"},
            guard=self.guard,
            probe=probe,
            several=several,
            scaled=self._scaler is not None and self._scaler.is_enabled(),
            chosen=self._chosen and follows,
            compared=self._compared and follows,
        )

    def _begin(self, probe: bool, *, several: bool) -> Update:
        policy, plan = self._acting, self.plan(probe=probe, several=several)
        if isinstance(policy, SamplePolicy):
            return SampleUpdate(policy, plan, self._student)
        assert isinstance(policy, BatchPolicy)
        return BatchUpdate(policy, plan, self._student, self._decide_on)

    def _loss_scale(self, device: torch.device) -> Factor:
        """Return the factor of the gradient scaler; `scale` is called so that the scaler can initialise itself."""
        if self._scaler is None or not self._scaler.is_enabled():
            return 1.0
        scale: Tensor = self._scaler.scale(torch.ones((), device=device))
        return scale


def _check_share(share: float) -> None:
    if not 0.0 < share <= 1.0:
        raise PolicyError(f"`share` must be in (0, 1]: 1/k for k micro-batches of equal size, but got {share!r}.")


def _check_state(state: object) -> None:
    needed = ("step", "rule", "policy", "guard")
    if isinstance(state, dict) and all(key in state for key in needed):
        return
    found = (
        f"a dict with {', '.join(map(repr, state)) or 'nothing in it'}"
        if isinstance(state, dict)
        else type(state).__name__
    )
    raise PolicyError(
        f"a balancer's state must be a dict with {', '.join(map(repr, needed))}, but got {found}; pass the result of"
        " the balancer's own `state_dict()`."
    )


def _told(rule: dict[str, Any]) -> str:
    return f"`{rule['family']}` ({', '.join(f'{name}={value!r}' for name, value in rule['parameters'].items())})"
