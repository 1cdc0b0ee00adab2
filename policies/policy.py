"""Defines a λ policy: it sees floats, answers with a weight, and can state its rule in words.

λ is always the weight of the *distillation* loss: `L = s · (λ · L_distill + (1 - λ) · L_task)`.
"""

from __future__ import annotations

import abc
import dataclasses
import inspect
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from policies.errors import PolicyError, nearest
from policies.geometry import Geometry
from policies.parameter import Parameter, Value, brief

State: TypeAlias = dict[str, Any]
"""The memory of a rule or of the guard between steps: numbers, True, False and None by name, as in JSON."""
AS_BEFORE = "as before the interruption"
"""The reason of a decision that a resumed rule repeats; a log treats it as the reason given before."""

Need: TypeAlias = Literal["progress", "geometry", "losses", "teacher", "reliability"]
"""The readings that a policy may ask for: progress at every step; the others at the steps of its choice."""


Given: TypeAlias = Literal["losses", "outputs", "logits"]
"""A training gives its rule two losses, each sample's losses and outputs, or logits and labels, which show all."""

ON_LOGITS: frozenset[Need] = frozenset({"teacher", "reliability"})
"""The needs that only logits and labels show."""

MEASURED: dict[Need, tuple[str, ...]] = {
    "geometry": ("geometry",),
    "losses": ("task_loss", "distill_loss"),
    "teacher": ("confidence", "agreement"),
    "reliability": ("class_reliability", "answer_reliability", "confidence_reliability"),
}
"""Each measured need, and the fields of an observation that hold its readings."""


class Observation(NamedTuple):
    """The readings that a policy may look at before one training step.

    A policy is shown only what its `needs` name. Apart from progress, it is shown that only at the steps that
    `measures_at` names. So no decision depends on what is measured for the record.

    `progress` is step/total_steps in [0, 1]. Losses are in nats. `confidence` and `agreement`, in [0, 1], describe the
    teacher's output on the batch. They are the means of its highest probability, and of the probability that it gives
    to the label.

    The reliabilities, in [0, 1], are means over the batch of how often label and teacher's class have agreed so far in
    this training. They count samples of this label, of this class of the teacher's, or of this confidence; see
    `policies.update.reliability`.
    """

    step: int
    progress: float
    geometry: Geometry | None = None
    task_loss: float | None = None
    distill_loss: float | None = None
    confidence: float | None = None
    agreement: float | None = None
    class_reliability: float | None = None
    answer_reliability: float | None = None
    confidence_reliability: float | None = None


class Decision(NamedTuple):
    """λ (`weight`, in [0, 1]), the common factor s (`scale`, > 0), and the reason.

    `branch` numbers the cases that a rule distinguishes. So a log can separate a change of case from a change of λ
    within one. A rule without cases leaves it at 0. The log counts a reason as new if its words change, not if its
    numbers do.
    """

    weight: float
    scale: float = 1.0
    reason: str = ""
    branch: int = 0


class Measurement(NamedTuple):
    """The place in the student (`tier`) and the samples (`pair`) on which the geometry is measured.

    Tiers: `full`, all parameters; `last_block`, the last layer that has weights; `logit`, the logits themselves, or
    other outputs that the losses are computed from.
    Pairs: `same`, both gradients over the same samples; `halves`, over two halves of the batch, so that the noise that
    the two losses share does not make their gradients look alike.
    """

    tier: Literal["full", "last_block", "logit"] = "full"
    pair: Literal["same", "halves"] = "same"

    @property
    def needs_samples(self) -> bool:
        """True if the measurement needs the samples' own losses, since two scalar losses are not enough."""
        return self.tier == "logit" or self.pair == "halves"


@dataclasses.dataclass(kw_only=True, eq=False)
class Policy(abc.ABC):
    """The base of all rules: parameters, words and memory. A rule is a `BatchPolicy` or a `SamplePolicy`.

    A subclass is a dataclass whose fields are declared with `policies.parameter.real`, `integer` or `choice`. It is
    created once a training and asked once a step, in order. Its whole memory is in `state_dict`, so that a resumed
    training continues exactly.
    """

    family: ClassVar[str]
    source: ClassVar[str]
    scope: ClassVar[Literal["batch", "sample"]]
    """`batch` if λ is one number a step, `sample` if it is one for each sample."""

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
        """Create a policy; parameters that `values` does not name take their defaults.

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
                    f"`{cls.family}` has no parameter {name!r}; it has {', '.join(known) or 'none'}."
                    f"{nearest(name, known)}"
                )

    def values(self) -> dict[str, Value]:
        """The parameters' values by name."""
        return {name: getattr(self, name) for name in self.parameters()}

    def tied(self) -> dict[str, str]:
        """Return the parameters whose numbers do not transfer to another scale by themselves, by name.

        The values are what each is tied to, as `policies.parameter.Tie` says. A share or rate of 0 a step does nothing
        at any number of steps. A rule without such parameters decides the same at the same share of the training, if
        its readings are the same there.
        """
        ties = {name: parameter.tie for name, parameter in self.parameters().items() if parameter.tie}
        return {name: tie for name, tie in ties.items() if tie != "steps" or getattr(self, name) != 0}

    @property
    def needs(self) -> frozenset[Need]:
        """The readings that this policy looks at; the same throughout a training."""
        return frozenset()

    @abc.abstractmethod
    def rule(self) -> str:
        """Return the rule in one sentence that needs no code to be understood."""

    def short_rule(self) -> str:
        """Return the rule as a label for lists and charts, such as `cosine > .2: .9, else .1`; about 40 characters.

        By default it is the family's name with the values of the parameters that a search varies, its own ones first.
        """
        own = inspect.get_annotations(type(self))
        searched = [name for name, parameter in self.parameters().items() if parameter.searched]
        searched.sort(key=lambda name: name not in own)
        values = ", ".join(f"{name.replace('_', ' ')} {brief(getattr(self, name))}" for name in searched)
        return f"{self.family.replace('_', ' ')}{': ' if values else ''}{values}"

    @property
    @abc.abstractmethod
    def looks_at(self) -> Given:
        """The least that a training must give the rule."""

    @property
    def complexity(self) -> int:
        """The count of numbers that the rule needs; the 'simplest' of several rules has the lowest.

        By default it is the count of the numbers that a search varies.
        """
        return sum(parameter.kind != "choice" and parameter.searched for parameter in self.parameters().values())

    def state_dict(self) -> State:
        """Return what the policy remembers between steps, as JSON values."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        if state:
            raise PolicyError(f"`{self.family}` keeps no state, but got {sorted(state)}.")

    def _begin(self) -> None:  # noqa: B027 - most policies remember nothing
        """Set what the policy remembers to its start; called once, after validation."""


@dataclasses.dataclass(kw_only=True, eq=False)
class BatchPolicy(Policy):
    """A rule that chooses one λ before each step of a training."""

    scope: ClassVar[Literal["batch", "sample"]] = "batch"

    @abc.abstractmethod
    def decide(self, observation: Observation) -> Decision:
        """Return the decision for this step.

        It is called once a step, before the update. It must not raise, whatever the observation holds.
        """

    @property
    def looks_at(self) -> Given:
        """`logits` for the teacher's answers, `outputs` for a geometry that needs samples, else `losses`."""
        if self.needs & ON_LOGITS:
            return "logits"
        return "outputs" if "geometry" in self.needs and self.measurement.needs_samples else "losses"

    @property
    def measurement(self) -> Measurement:
        """The way to measure the geometry, if it is needed."""
        return Measurement()

    def measures_at(self, step: int) -> bool:  # noqa: ARG002 - subclasses look at it
        """Tell whether the readings that `needs` names, progress apart, are wanted at this step."""
        return False
