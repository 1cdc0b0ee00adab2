"""Small rule trees: a few questions about every sample."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from policies.bases.tree_nodes import Leaf, Node, Split, Voice, splits, trimmed
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
        # All other readings are given for every sample anyway.
        return frozenset(split.feature.need for split in splits(self.tree) if split.feature.need == "progress")

    def weights(self, samples: SampleObservation) -> Tensor:
        return _weights(self.tree, samples)

    def simplify(self, observations: Iterable[SampleObservation]) -> SampleTree:
        """Return the smallest rule of this form that decides the same on these samples.

        Args:
            observations: batches of samples from a training; without any, the rule stays as it is.
        """
        answers: dict[Split, set[bool | None]] = collections.defaultdict(set)
        for samples in observations:
            _ask(self.tree, samples, samples.cosine == samples.cosine, answers)
        return self._with_tree(trimmed(self.tree, answers) if answers else self.tree)

    def rule(self) -> str:
        return f"{self._sentence()}."


def _weights(node: Node, samples: SampleObservation) -> Tensor:
    """Return λ for each sample: [N], in the dtype and on the device of the samples' readings."""
    if isinstance(node, Leaf):
        return samples.cosine.new_full(samples.cosine.shape, node.weight)
    if node.feature.name == "progress":
        return _weights(node.high if samples.progress > node.threshold else node.low, samples)
    return _weights(node.high, samples).where(_above(node, samples), _weights(node.low, samples))


def _above(split: Split, samples: SampleObservation) -> Tensor:
    """Return True for each sample on the high side: bool [N]."""
    value = getattr(samples, split.feature.name)
    if split.feature.name == "progress":
        return samples.cosine.new_full(samples.cosine.shape, value > split.threshold).bool()
    above: Tensor = value > split.threshold
    return above


def _ask(node: Node, samples: SampleObservation, reached: Tensor, answers: dict[Split, set[bool | None]]) -> None:
    """Note the answers of the samples `reached`, bool [N], in `answers`."""
    if isinstance(node, Leaf):
        return
    above = _above(node, samples)
    for side, there in ((node.high, reached & above), (node.low, reached & ~above)):
        if bool(there.any()):
            answers[node].add(side is node.high)
            _ask(side, samples, there, answers)
