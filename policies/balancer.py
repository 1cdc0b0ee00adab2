"""`LossBalancer`: a λ policy in anybody's training loop.

    balancer = LossBalancer.from_file("policy.json", student, total_steps=epochs * len(loader))
    ...
    balancer.backward(task_loss, distill_loss)  # where loss.backward() stood
    optimizer.step()

The search trains its students through this very object.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, overload

import torch
from torch import Tensor, nn

from policies.document import read_document
from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.guard import Guard, Verdict
from policies.losses import distillation_loss
from policies.meter import accumulate, add_gradients, geometry_tensor, last_block, pair
from policies.objective import Factor, Gradients, LogitPair, LossPair, Objective
from policies.policy import BatchPolicy, Decision, Measurement, Observation, Policy
from policies.ranks import Ranks, is_sharded
from policies.registry import create_policy
from policies.sample import SamplePolicy

_GEOMETRY = ("distill_sq", "task_sq", "inner")
_EXACT = Measurement()


class Step(NamedTuple):
    """What one update's calls of `backward` did.

    `observation` is all that was known on the host. `decision` is the one that was carried out; for a rule of sample
    scope its weight is the mean of `weights`, λ for each sample of the last micro-batch ([N]). `geometry` is that of
    the whole student where both gradients were taken. Losses are detached scalars, summed over the micro-batches.
    """

    observation: Observation
    decision: Decision
    geometry: Geometry | None
    task_loss: Tensor
    distill_loss: Tensor
    weights: Tensor | None = None
    intervention: str | None = None

    @property
    def step(self) -> int:
        """Updates before this one."""
        return self.observation.step


class _Pending:
    """What is known of an update whose micro-batches are not all here yet."""

    def __init__(self) -> None:
        self.count = 0
        self.losses: Tensor | None = None
        self.distill: Gradients | None = None
        self.task: Gradients | None = None
        self.shared_noise: Tensor | None = None
        self.observation: Observation | None = None
        self.verdict: Verdict | None = None
        self.geometry: Geometry | None = None
        self.weights: Tensor | None = None

    def add_pair(self, distill: Gradients, task: Gradients, shared_noise: Tensor | None, *, last: bool) -> None:
        """Take in one micro-batch's gradients; copied only if others are to be added to them."""
        if last and self.distill is None:
            self.distill, self.task = distill, task
        else:
            self.distill = add_gradients(self.distill, distill)
            self.task = add_gradients(self.task, task)
        if shared_noise is not None:
            self.shared_noise = shared_noise if self.shared_noise is None else self.shared_noise + shared_noise


class LossBalancer:
    """Turns two losses into `.grad` under a policy.

    Args:
        policy: decides λ at each step.
        student: the module, or all parameters that the losses train (the student's and, say, a projector's); those that
            require no gradient are ignored. A `DistributedDataParallel` module brings its processes along.
        total_steps: how many updates the training will take; needed by policies that look at progress.
        temperature: T of the distillation loss; a policy file brings its own.
        guard: reviews every decision; None for none at all.
        grad_scaler: the `torch.amp.GradScaler` that scales the losses, if one does.
        last_block: what the tier `last_block` measures, if not the student's last two layers with weights.
        process_group: whose gradients and readings are averaged, where `student` does not tell.

    Raises:
        PolicyError: `total_steps` is missing where the policy needs it or is not positive, no parameter can be trained,
            or the policy measures gradients that a sharded student does not have in one place.
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
        process_group: Any = None,
    ) -> None:
        if "progress" in policy.needs and total_steps is None:
            raise PolicyError(
                f"`{policy.family}` looks at progress, so `total_steps` must be given: epochs times updates an epoch."
            )
        if total_steps is not None and total_steps < 1:
            raise PolicyError(f"`total_steps` must be at least 1, but got {total_steps}.")
        how = policy.measurement if isinstance(policy, BatchPolicy) else _EXACT
        measures_parameters = "geometry" in policy.needs and how.tier != "logit"
        if measures_parameters and is_sharded(student):
            raise PolicyError(
                f"`{policy.family}` measures the gradients of parameters, but the student's are spread over several"
                ' processes; set `tier` = "logit", or use a rule that measures nothing or works on samples.'
            )
        self._student = student if isinstance(student, nn.Module) else tuple(student)
        if not self.parameters:
            raise PolicyError("`student` has no parameter that requires a gradient; unfreeze what is to be trained.")
        if how.tier == "last_block" and last_block is None and not isinstance(student, nn.Module):
            raise PolicyError(
                f"`{policy.family}` measures the last block; pass the student's module, or the block as `last_block`."
            )
        self.policy = policy
        self.total_steps = total_steps
        self.temperature = temperature
        self.guard = Guard() if guard == "default" else guard
        self.step = 0
        self._how = how
        # Walking through a small student's modules takes as long as looking at its gradients, so it is done once.
        self._inspected = tuple(student.parameters()) if isinstance(student, nn.Module) else self._student
        self._scaler = grad_scaler
        self._last_block = last_block
        self._ranks = Ranks(process_group) if process_group is not None else Ranks.of(student)
        self._pending: _Pending | None = None

    @property
    def parameters(self) -> list[Tensor]:
        """What is trained now; layers may be frozen and unfrozen along the training."""
        source = self._student.parameters() if isinstance(self._student, nn.Module) else self._student
        return [parameter for parameter in source if parameter.requires_grad]

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
        """A balancer for the policy in a `policy.json`.

        Args:
            path: the file.
            student: as for the class.
            total_steps: as for the class.
            policies: classes of your own, if the file holds a rule of one.
            more: `guard`, `grad_scaler`, `last_block`, `process_group`, as for the class.

        Raises:
            PolicyError: the file is unreadable or invalid, or as for the class.
        """
        document = read_document(path, policies)
        policy = create_policy(document["family"], document["parameters"])
        return cls(policy, student, total_steps=total_steps, temperature=float(document["temperature"]), **more)

    def distillation_loss(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """`policies.losses.distillation_loss` at this balancer's temperature."""
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
            distill_loss: scalar over the same graph.
            update: whether an optimiser step follows; False for all but the last micro-batch of an accumulated update,
                whose losses are divided by the number of micro-batches, as always.
            measure_now: measure the whole student's geometry for the returned step even if the policy does not ask
                for it; it does not see it.

        Returns:
            What was done, or None if no update follows.

        Raises:
            PolicyError: the policy looks at logits; call `backward_on_logits`.

        A step without a measurement of parameters costs one backward pass, one with it two.
        """
        if self._needs_logits:
            raise PolicyError(
                f"`{self.policy.family}` looks at logits, which two losses do not show; call"
                " `backward_on_logits(student_logits, teacher_logits, labels)` instead."
            )
        return self._backward(LossPair(task_loss, distill_loss), 1.0, update, measure_now)

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
        """As `backward`, with cross entropy as the task loss and T²·KL as the distillation loss.

        Every policy can be used so, also those that weigh each sample. The losses' gradients in the logits are known in
        closed form, so no graph of the losses is built.

        Args:
            student_logits: [N, C], with their graph.
            teacher_logits: [N, C].
            labels: [N] whole numbers, or [N, C] probabilities.
            label_smoothing: share of the label's mass that is spread over all classes.
            share: of this micro-batch in its update, 1/k for k of equal size.
            update: as for `backward`.
            measure_now: as for `backward`.

        Raises:
            PolicyError: shapes that do not fit.
        """
        objective = LogitPair(
            student_logits, teacher_logits, labels, temperature=self.temperature, label_smoothing=label_smoothing
        )
        return self._backward(objective, share, update, measure_now)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold so that a resumed training continues exactly; taken between two updates."""
        guard = {} if self.guard is None else self.guard.state_dict()
        return {"step": self.step, "policy": self.policy.state_dict(), "guard": guard}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.step = int(state["step"])
        self.policy.load_state_dict(state["policy"])
        if self.guard is not None and state.get("guard"):
            self.guard.load_state_dict(state["guard"])
        self._pending = None

    @property
    def _needs_logits(self) -> bool:
        if isinstance(self.policy, SamplePolicy) or "teacher" in self.policy.needs:
            return True
        return "geometry" in self.policy.needs and self._how.needs_logits

    @property
    def _wanted(self) -> bool:
        """Whether the policy looks at this step."""
        return isinstance(self.policy, BatchPolicy) and self.policy.measures_at(self.step)

    @property
    def _progress(self) -> float:
        return min(1.0, self.step / self.total_steps) if self.total_steps else 0.0

    def _backward(self, objective: Objective, share: float, update: bool, measure_now: bool) -> Step | None:
        pending = self._pending = self._pending or _Pending()
        pending.count += 1
        losses = share * torch.stack([objective.task_loss, objective.distill_loss])
        pending.losses = losses if pending.losses is None else pending.losses + losses
        factor = self._loss_scale(losses.device)
        if isinstance(self.policy, SamplePolicy):
            assert isinstance(objective, LogitPair)  # `backward` has refused the other
            self._weigh_samples(self.policy, objective, pending, share, factor, measure_now)
        elif measure_now or (self._policy_measures and self._how.tier == "full"):
            self._take_pair(objective, pending, share, factor, update)
        else:
            if pending.verdict is None:
                self._decide(pending, self._read(objective, factor))
            assert pending.verdict is not None
            if not pending.verdict.skip:
                objective.backward(*_weights(pending.verdict.decision), factor=share * factor)
        return self._finish(pending) if update else None

    @property
    def _policy_measures(self) -> bool:
        return self._wanted and "geometry" in self.policy.needs

    def _loss_scale(self, device: torch.device) -> Factor:
        """What the gradient scaler multiplies losses by; asking through `scale` lets it set itself up."""
        if self._scaler is None or not self._scaler.is_enabled():
            return 1.0
        scale: Tensor = self._scaler.scale(torch.ones((), device=device))
        return scale

    def _read(self, objective: Objective, factor: Factor) -> dict[str, float]:
        """What policy and guard want to know before λ is chosen, in one transfer from the device.

        Of an accumulated update the first micro-batch is read.
        """
        readings: dict[str, Tensor] = {}
        if self._policy_measures and self._how.tier == "last_block":
            block = self._block()
            distill, task, noise = pair(objective, block, self._how, factor=factor, retain=True)
            distill, task = self._averaged(block, distill, task)
            readings |= self._geometry_readings(distill, task, noise, factor)
        elif self._policy_measures and self._how.tier == "logit":
            assert isinstance(objective, LogitPair)
            readings |= zip(_GEOMETRY, objective.logit_geometry() / self._ranks.count, strict=True)
        if self._wanted and "teacher" in self.policy.needs:
            assert isinstance(objective, LogitPair)
            confidence, agreement = objective.teacher_signals()
            readings |= {"confidence": confidence.mean(), "agreement": agreement.mean()}
        if self._checks or (self._wanted and "losses" in self.policy.needs):
            readings |= {"task_loss": objective.task_loss, "distill_loss": objective.distill_loss}
        return self._transfer(readings)

    def _transfer(self, readings: dict[str, Tensor]) -> dict[str, float]:
        if self._ranks.count == 1 and all(value.is_cpu for value in readings.values()):
            return {name: value.item() for name, value in readings.items()}
        device = self.parameters[0].device
        values = torch.stack([value.to(device=device, dtype=torch.float64) for value in readings.values()])
        return dict(zip(readings, self._ranks.average(values).tolist(), strict=True))

    def _geometry_readings(
        self, distill: Gradients, task: Gradients, shared_noise: Tensor | None, factor: Factor
    ) -> dict[str, Tensor]:
        """Of gradients that are averaged over the ranks already, as is the noise's share in them."""
        noise = None if shared_noise is None else self._ranks.average(shared_noise.clone()) / self._ranks.count
        return dict(zip(_GEOMETRY, geometry_tensor(distill, task, noise) / factor**2, strict=True))

    def _averaged(self, parameters: list[Tensor], distill: Gradients, task: Gradients) -> tuple[Gradients, Gradients]:
        """The gradients' means over the ranks; there, what a loss does not depend on has the gradient 0."""
        if self._ranks.count == 1:
            return distill, task
        both = []
        for gradients in (distill, task):
            own = add_gradients(None, gradients)
            both.append([torch.zeros_like(p) if g is None else g for p, g in zip(parameters, own, strict=True)])
        self._ranks.average_gradients(both[0] + both[1])
        return tuple(both[0]), tuple(both[1])

    def _block(self) -> list[Tensor]:
        if self._last_block is not None:
            return [parameter for parameter in self._last_block.parameters() if parameter.requires_grad]
        assert isinstance(self._student, nn.Module)
        return last_block(self._student)

    def _take_pair(self, objective: Objective, pending: _Pending, share: float, factor: Factor, update: bool) -> None:
        """Both gradients of the whole student; λ is chosen when the last micro-batch is in."""
        full = self._how.tier == "full"
        if not full and pending.observation is None:  # a probe: the policy still sees its own tier
            pending.observation = self._observe(self._read(objective, factor))
        parameters = self.parameters
        pending.add_pair(
            *pair(objective, parameters, self._how if full else Measurement(), factor=share * factor), last=update
        )
        if not update:
            return
        assert pending.distill is not None
        assert pending.task is not None
        assert pending.losses is not None
        distill, task = self._averaged(parameters, pending.distill, pending.task)
        readings = self._geometry_readings(distill, task, pending.shared_noise, factor)
        readings |= {"task_loss": pending.losses[0], "distill_loss": pending.losses[1]}
        if full and self._wanted and "teacher" in self.policy.needs:
            assert isinstance(objective, LogitPair)
            confidence, agreement = objective.teacher_signals()
            readings |= {"confidence": confidence.mean(), "agreement": agreement.mean()}
        known = self._transfer(readings)
        pending.geometry = Geometry(*(known[name] for name in _GEOMETRY))
        if pending.observation is None:
            self._decide(pending, known)
        else:
            self._decide(pending, {})
        assert pending.verdict is not None
        if not pending.verdict.skip:
            accumulate(parameters, distill, task, *_weights(pending.verdict.decision))

    def _weigh_samples(
        self,
        policy: SamplePolicy,
        objective: LogitPair,
        pending: _Pending,
        share: float,
        factor: Factor,
        measure_now: bool,
    ) -> None:
        weights = policy.weights(objective.samples(self.step, self._progress))
        if self.guard is not None:
            weights = weights.clamp(self.guard.lowest, self.guard.highest)
        readings = {"weight": weights.mean()}
        if self._checks or measure_now:
            readings |= {"task_loss": objective.task_loss, "distill_loss": objective.distill_loss}
        if self._checks:
            task_losses, distill_losses = objective.task_losses, objective.distill_losses
            readings["mixed_loss"] = torch.lerp(task_losses, distill_losses, weights.to(task_losses.dtype)).mean()
        if measure_now:
            parameters = self.parameters
            distill, task, _ = pair(objective, parameters, Measurement(), factor=factor, retain=True)
            readings |= self._geometry_readings(*self._averaged(parameters, distill, task), None, factor)
        known = self._transfer(readings)
        decision = Decision(known.pop("weight"), reason=f"mean over {len(weights)} samples")
        mixed_loss = known.pop("mixed_loss", None)
        observation = self._observe(known)
        pending.geometry = observation.geometry
        pending.observation = observation
        pending.verdict = self._reviewed(observation._replace(geometry=None), decision, mixed_loss)
        pending.weights = weights
        if pending.verdict.skip and self._scaler is None:
            return
        if pending.verdict.intervention is None:
            objective.backward_weighted(weights, factor=share * factor)
        else:
            objective.backward(*_weights(pending.verdict.decision), factor=share * factor)

    @property
    def _checks(self) -> bool:
        return self.guard is not None and self.guard.checks_at(self.step)

    def _observe(self, known: dict[str, float]) -> Observation:
        geometry = Geometry(*(known[name] for name in _GEOMETRY)) if "inner" in known else None
        others = {name: value for name, value in known.items() if name not in _GEOMETRY}
        return Observation(step=self.step, progress=self._progress, geometry=geometry, **others)

    def _decide(self, pending: _Pending, known: dict[str, float]) -> None:
        """Ask the policy, which is shown no more than it asked for, and then the guard."""
        policy = self.policy
        assert isinstance(policy, BatchPolicy)
        observation = pending.observation = pending.observation or self._observe(known)
        shown = observation
        if not self._policy_measures:
            shown = shown._replace(geometry=None)
        if not (self._wanted and "losses" in policy.needs):
            shown = shown._replace(task_loss=None, distill_loss=None)
        decision = policy.decide(shown)
        verdict = self._reviewed(observation._replace(geometry=shown.geometry), decision)
        # With a gradient scaler the step is its own to skip, and it insists on seeing why.
        pending.verdict = verdict if self._scaler is None else verdict._replace(skip=False)

    def _reviewed(self, observation: Observation, decision: Decision, mixed_loss: float | None = None) -> Verdict:
        """What the guard says. What only a probe has measured is kept from it, so that nothing hangs on a record."""
        if self.guard is None:
            return Verdict(decision)
        if not (self._checks or self._policy_measures or (self._wanted and "losses" in self.policy.needs)):
            observation = observation._replace(task_loss=None, distill_loss=None)
        return self.guard.review(observation, decision, mixed_loss)

    def _finish(self, pending: _Pending) -> Step:
        assert pending.observation is not None
        assert pending.verdict is not None
        assert pending.losses is not None
        intervention = pending.verdict.intervention
        if pending.verdict.skip:
            for parameter in self.parameters:
                parameter.grad = None
        elif self._checks and self._scaler is None:
            assert self.guard is not None
            intervention = self.guard.inspect(self._inspected) or intervention
        self._pending = None
        self.step += 1
        return Step(
            pending.observation,
            pending.verdict.decision,
            pending.geometry,
            pending.losses[0],
            pending.losses[1],
            pending.weights,
            intervention,
        )


def _weights(decision: Decision) -> tuple[float, float]:
    """(w_d, w_t) of a decision."""
    return decision.scale * decision.weight, decision.scale * (1.0 - decision.weight)
