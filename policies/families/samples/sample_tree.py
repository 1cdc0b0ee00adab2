"""Small rule trees: a few questions about every sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from policies.bases.tree_nodes import Leaf, Node, Voice, numbered, splits
from policies.bases.tree_rule import TreeRule, cut
from policies.policy import Need
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleTree(TreeRule, SamplePolicy):
    """Asks at most two questions in a row about a sample, and so chooses among at most four λ for it.

    Questions are about the cosine and the norm ratio of the sample's two pulls, the training's progress, the ratio of
    the sample's losses, the teacher's confidence and its agreement with the label.

    Source: decision trees (CART, Breiman et al. 1984) of depth two; the thresholds of one λ a sample are trees of one
    question.
    """

    family: ClassVar[str] = "sample_tree"
    source: ClassVar[str] = "decision trees (CART, Breiman et al. 1984) of depth 2 over readings of a sample"
    voice: ClassVar[Voice] = Voice("λ of a sample", "if", "the label")

    root_cut: float = cut(0.57, "the first question")  # a norm ratio of 2

    @property
    def needs(self) -> frozenset[Need]:
        asked = frozenset(split.feature.need for split in splits(self.tree))
        return asked & {"progress", "teacher"}  # the other readings are given for every sample anyway

    def weights(self, samples: SampleObservation) -> Tensor:
        return _weights(self.tree, samples)

    def simplify(self, observations: Iterable[SampleObservation]) -> SampleTree:
        """Return the smallest rule of this form that decides the same on these samples.

        Args:
            observations: batches of samples from a training; without any, the rule stays as it is.
        """
        numbers = numbered(self.tree)
        reached = {int(number) for samples in observations for number in _weights(numbers, samples).tolist()}
        return self.acting_part(reached) if reached else self._with_tree(self.tree)

    def rule(self) -> str:
        return f"{self._sentence()}."


def _weights(node: Node, samples: SampleObservation) -> Tensor:
    """Return λ for each sample: [N], in the dtype and on the device of the samples' readings."""
    if isinstance(node, Leaf):
        return samples.cosine.new_full(samples.cosine.shape, node.weight)
    if node.feature.name == "progress":
        return _weights(node.high if samples.progress > node.threshold else node.low, samples)
    above = getattr(samples, node.feature.name) > node.threshold
    return _weights(node.high, samples).where(above, _weights(node.low, samples))
