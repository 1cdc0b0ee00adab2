"""Defines rules that choose a λ for every sample of a batch from its outputs.

N: samples of a batch. Wrong labels and wrong teachers are facts about samples, and a sample's own geometry in the space
of outputs costs no pass through the student. For classes, y is the (smoothed) label, p and q are the student's and the
teacher's probabilities, and T is the temperature. The gradients of a sample's two losses in its logits are then

    v_t = p − y        v_d = T (p^T − q^T)

For losses of one's own they are autograd's, in the outputs that the losses are computed from.

The rules use tensors' methods only, so that listing them needs no PyTorch.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from policies.errors import PolicyError
from policies.policy import ON_LOGITS, Given, Policy

if TYPE_CHECKING:
    from torch import Tensor


class SampleObservation(NamedTuple):
    """The readings of each sample that a rule may look at.

    They are tensors [N], float32 unless said otherwise, finite, without gradients.

    `norm_ratio` is ‖v_d‖/‖v_t‖ and `loss_ratio` L_task/L_distill, both bounded to [1e-12, 1e12]. `confidence` is the
    teacher's highest probability, `agreement` the one that it gives to the label. `progress` is step/total_steps.
    `label` and `teacher_class`, int64, are the classes that label and teacher find most likely. These four are None
    where the losses are the user's own, which do not show them. Rules that look at them have the need `teacher`.

    The reliabilities, in [0, 1], are given to rules whose `needs` name them and are None for others. They are how often
    label and teacher's class have agreed so far in this training. They count samples with this label's class, with this
    class of the teacher's, or with about this confidence. See `policies.update.reliability`.
    """

    step: int
    progress: float
    cosine: Tensor
    norm_ratio: Tensor
    loss_ratio: Tensor
    confidence: Tensor | None = None
    agreement: Tensor | None = None
    label: Tensor | None = None
    teacher_class: Tensor | None = None
    class_reliability: Tensor | None = None
    answer_reliability: Tensor | None = None
    confidence_reliability: Tensor | None = None


@dataclasses.dataclass(kw_only=True, eq=False)
class SamplePolicy(Policy):
    """A rule that weighs each sample by itself. It keeps no state, since a sample has no past in a batch."""

    scope: ClassVar[Literal["batch", "sample"]] = "sample"

    @abc.abstractmethod
    def weights(self, samples: SampleObservation) -> Tensor:
        """Return λ for each sample: [N], in [0, 1]."""

    @property
    def looks_at(self) -> Given:
        """`logits` if the rule looks at the teacher's answers or its reliability, else `outputs`."""
        return "logits" if self.needs & ON_LOGITS else "outputs"


def weigh(policy: SamplePolicy, samples: SampleObservation) -> Tensor:
    """Return λ of a rule for each sample, [N].

    Raises:
        PolicyError: the rule gives another number of them, or looks at answers that the losses do not show.
    """
    try:
        weights = policy.weights(samples)
    except (TypeError, AttributeError) as error:
        if samples.confidence is not None or "teacher" in policy.needs:
            raise
        raise PolicyError(
            f"`{policy.family}` failed on losses of one's own, which do not show `confidence`, `agreement`, `label` or"
            f" `teacher_class` ({error}); if it looks at one of them, add 'teacher' to its `needs`."
        ) from error
    if weights.shape != samples.cosine.shape:
        raise PolicyError(
            f"`{policy.family}` must give one λ for each of {len(samples.cosine)} samples, but gave"
            f" {list(weights.shape)}."
        )
    return weights
