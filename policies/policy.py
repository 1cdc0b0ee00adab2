"""What a λ policy is: it sees floats, it answers with a weight, and it can say its rule in words.

λ is always the weight of the *distillation* loss: `L = s · (λ · L_distill + (1 - λ) · L_task)`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from policies.errors import PolicyError, nearest
from policies.geometry import Geometry
from policies.parameter import Parameter

State = dict[str, float | int | bool | None]


class Observation(NamedTuple):
    """What a policy may look at before one training step.

    `geometry` is None at steps at which it was not measured. `progress` is step/total_steps in [0, 1).
    """

    step: int
    progress: float
    geometry: Geometry | None = None
    task_loss: float | None = None
    distill_loss: float | None = None


class Decision(NamedTuple):
    """λ (`weight`, in [0, 1]), the common factor s (`scale`, > 0), and why."""

    weight: float
    scale: float = 1.0
    reason: str = ""


@dataclasses.dataclass(kw_only=True, eq=False)
class Policy(abc.ABC):
    """A rule that chooses λ before each step of a training.

    A subclass is a dataclass whose fields are declared with `policies.parameter.real` or `integer`. It is created
    once a training, `decide` is called once a step in order, and whatever it remembers goes through `state_dict`, so
    that a resumed training continues exactly.
    """

    family: ClassVar[str]
    source: ClassVar[str]
    needs_progress: ClassVar[bool] = False
    needs_geometry: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, parameter in self.parameters().items():
            setattr(self, name, parameter.validate(self.family, name, getattr(self, name)))
        self._begin()

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The declared parameters by name."""
        return {f.name: f.metadata["parameter"] for f in dataclasses.fields(cls) if "parameter" in f.metadata}

    @classmethod
    def from_parameters(cls, values: dict[str, Any]) -> Policy:
        """A new policy; what `values` does not name takes its default.

        Raises:
            PolicyError: an unknown name or an invalid value.
        """
        cls.check_names(values)
        return cls(**values)

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Raises PolicyError if one of `names` is no parameter of this family."""
        known = cls.parameters()
        for name in names:
            if name not in known:
                raise PolicyError(
                    f"`{cls.family}` has no parameter {name!r}; it has {', '.join(known)}.{nearest(name, known)}"
                )

    def values(self) -> dict[str, float | int]:
        """The parameters' values by name."""
        return {name: getattr(self, name) for name in self.parameters()}

    @abc.abstractmethod
    def decide(self, observation: Observation) -> Decision:
        """λ for this step. Called once a step, before the update; must not raise on finite input."""

    @abc.abstractmethod
    def rule(self) -> str:
        """The rule in one sentence that needs no code to be understood."""

    @property
    @abc.abstractmethod
    def complexity(self) -> int:
        """How many numbers the rule needs: what 'simplest' means when rules are compared."""

    def measures_at(self, step: int) -> bool:  # noqa: ARG002 - subclasses look at it
        """Whether the gradients' geometry is wanted at this step."""
        return False

    def state_dict(self) -> State:
        """What the policy remembers between steps, as JSON numbers."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        if state:
            raise PolicyError(f"`{self.family}` keeps no state, but got {sorted(state)}.")

    def _begin(self) -> None:  # noqa: B027 - most policies remember nothing
        """Set what the policy remembers to its start; called once, after validation."""
