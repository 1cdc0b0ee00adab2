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
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from policies.document import read_document
from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.losses import distillation_loss
from policies.meter import accumulate, gradient_pair, measure
from policies.policy import Decision, Observation, Policy
from policies.registry import create_policy

# By name, since importing the sharded ones costs time that nobody else needs to spend.
_SYNCHRONISED = frozenset({"DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule"})


class Step(NamedTuple):
    """What one call of `backward` did. Geometry and losses are None at steps at which nothing was measured."""

    step: int
    decision: Decision
    geometry: Geometry | None
    task_loss: float | None
    distill_loss: float | None


class LossBalancer:
    """Turns two losses into `.grad` under a policy.

    Args:
        policy: decides λ at each step.
        student: the module, or all parameters that the losses train (the student's and, say, a projector's); those that
            require no gradient are ignored.
        total_steps: how many steps the training will take; needed by policies that look at progress.
        temperature: T of `distillation_loss`; a policy file brings its own.

    Raises:
        PolicyError: `total_steps` is missing where the policy needs it or is not positive, no parameter can be trained,
            or the policy measures gradients and the student is wrapped for several processes.
    """

    def __init__(
        self,
        policy: Policy,
        student: nn.Module | Iterable[Tensor],
        *,
        total_steps: int | None = None,
        temperature: float = 4.0,
    ) -> None:
        if policy.needs_progress and total_steps is None:
            raise PolicyError(
                f"`{policy.family}` looks at progress, so `total_steps` must be given: epochs times batches an epoch."
            )
        if total_steps is not None and total_steps < 1:
            raise PolicyError(f"`total_steps` must be at least 1, but got {total_steps}.")
        wrapper = next((base.__name__ for base in type(student).__mro__ if base.__name__ in _SYNCHRONISED), None)
        if policy.needs_geometry and wrapper is not None:
            raise PolicyError(
                f"`{policy.family}` measures gradients, but {wrapper} averages them over its ranks only in a"
                " plain backward pass; use a rule that measures nothing (a constant or a schedule) with it."
            )
        self._student = student if isinstance(student, nn.Module) else tuple(student)
        if not self.parameters:
            raise PolicyError("`student` has no parameter that requires a gradient; unfreeze what is to be trained.")
        self.policy = policy
        self.total_steps = total_steps
        self.temperature = temperature
        self.step = 0

    @property
    def parameters(self) -> list[Tensor]:
        """What is trained now; layers may be frozen and unfrozen along the training."""
        source = self._student.parameters() if isinstance(self._student, nn.Module) else self._student
        return [parameter for parameter in source if parameter.requires_grad]

    @classmethod
    def from_file(
        cls, path: str | pathlib.Path, student: nn.Module | Iterable[Tensor], *, total_steps: int | None = None
    ) -> LossBalancer:
        """A balancer for the policy in a `policy.json`.

        Raises:
            PolicyError: the file is unreadable or invalid, or as for the class.
        """
        document = read_document(path)
        policy = create_policy(document["family"], document["parameters"])
        return cls(policy, student, total_steps=total_steps, temperature=float(document["temperature"]))

    def distillation_loss(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """`policies.losses.distillation_loss` at this balancer's temperature."""
        return distillation_loss(student_logits, teacher_logits, self.temperature)

    def backward(self, task_loss: Tensor, distill_loss: Tensor, *, measure_now: bool = False) -> Step:
        """Add the gradient of s·(λ·distill_loss + (1-λ)·task_loss) to `.grad`, and count one step.

        Args:
            task_loss: scalar.
            distill_loss: scalar over the same graph.
            measure_now: measure the geometry even if the policy does not ask for it at this step.

        A step without a measurement costs one backward pass, one with it two.
        """
        progress = min(1.0, self.step / self.total_steps) if self.total_steps else 0.0
        observation = Observation(step=self.step, progress=progress)
        if measure_now or self.policy.measures_at(self.step):
            parameters = self.parameters
            distill, task = gradient_pair(distill_loss, task_loss, parameters)
            geometry, (task_value, distill_value) = measure(distill, task, task_loss, distill_loss)
            if self.policy.measures_at(self.step):
                observation = observation._replace(geometry=geometry, task_loss=task_value, distill_loss=distill_value)
            decision = self.policy.decide(observation)
            accumulate(parameters, distill, task, *_weights(decision))
            done = Step(self.step, decision, geometry, task_value, distill_value)
        else:
            decision = self.policy.decide(observation)
            torch.autograd.backward(_mixed_loss(task_loss, distill_loss, *_weights(decision)))
            done = Step(self.step, decision, None, None, None)
        self.step += 1
        return done

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold so that a resumed training continues exactly."""
        return {"step": self.step, "policy": self.policy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.step = int(state["step"])
        self.policy.load_state_dict(state["policy"])


def _weights(decision: Decision) -> tuple[float, float]:
    """(w_d, w_t) of a decision."""
    return decision.scale * decision.weight, decision.scale * (1.0 - decision.weight)


def _mixed_loss(task_loss: Tensor, distill_loss: Tensor, distill_weight: float, task_weight: float) -> Tensor:
    """The weighted sum; a loss with weight 0 takes no part, so that a broken one cannot spoil it (0·∞)."""
    if distill_weight == 0.0:
        return task_loss if task_weight == 1.0 else task_weight * task_loss
    if task_weight == 0.0:
        return distill_loss if distill_weight == 1.0 else distill_weight * distill_loss
    return torch.add(distill_weight * distill_loss, task_loss, alpha=task_weight)
