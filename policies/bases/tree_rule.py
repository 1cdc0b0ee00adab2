"""Declares the parameters that rule trees share, for λ of a step and for λ of a sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar, Self

from policies.bases.tree_features import FEATURES
from policies.bases.tree_nodes import Leaf, Node, Split, Voice, label, leaves, live, sentence, splits, trimmed
from policies.parameter import choice, real
from policies.policy import Policy

_NO_QUESTION = "none"
_FURTHER = (_NO_QUESTION, *FEATURES)


def cut(default: float, question: str) -> Any:
    """Declare a dataclass field that holds a cut, 0 at the lower and 1 at the upper end of a feature's range."""
    return real(default, low=0.0, high=1.0, meaning=f"where {question} divides its feature's range")


def _weight(default: float, where: str) -> Any:
    return real(default, low=0.0, high=1.0, meaning=f"λ {where}")


@dataclasses.dataclass(kw_only=True, eq=False)
class TreeRule(Policy):
    """A rule with one question, and at most one more on each side of it.

    A value above the cut leads to the high side, any other to the low one. Questions whose answer is known beforehand
    or makes no difference are no part of the rule: they are not measured, not stated and not counted.
    """

    voice: ClassVar[Voice]

    root: str = choice("norm_ratio", options=tuple(FEATURES), meaning="feature that the first question is about")
    root_cut: float = cut(0.7, "the first question")
    low: str = choice("none", options=_FURTHER, meaning="feature of a second question on the low side, if any")
    low_cut: float = cut(0.5, "the low side's question")
    low_low: float = _weight(0.9, "on the low side, below its question's cut if it has one")
    low_high: float = _weight(0.5, "on the low side above its question's cut")
    high: str = choice("none", options=_FURTHER, meaning="feature of a second question on the high side, if any")
    high_cut: float = cut(0.5, "the high side's question")
    high_low: float = _weight(0.1, "on the high side, below its question's cut if it has one")
    high_high: float = _weight(0.5, "on the high side above its question's cut")

    def _begin(self) -> None:
        self.tree = live(
            Split(
                FEATURES[self.root],
                self.root_cut,
                _side(self.low, self.low_cut, self.low_low, self.low_high),
                _side(self.high, self.high_cut, self.high_low, self.high_high),
            )
        )
        self.leaf_weights = tuple(leaf.weight for leaf in leaves(self.tree))
        """λ of the leaves, from low to high."""
        super()._begin()

    def _sentence(self) -> str:
        return sentence(self.tree, self.voice)

    def short_rule(self) -> str:
        if isinstance(self.tree, Leaf):
            return f"constant {label(self.tree)}"
        return label(self.tree, "sample " if self.scope == "sample" else "")

    @property
    def complexity(self) -> int:
        return sum(1 for _ in splits(self.tree)) + len(set(self.leaf_weights))

    def acting_part(self, reached: Collection[int]) -> Self:
        """Return the same rule without the questions that had one answer only.

        Args:
            reached: numbers of the leaves that were ever reached, counted from low to high; at least one.
        """
        return self._with_tree(trimmed(self.tree, reached))

    def _with_tree(self, tree: Node) -> Self:
        """Create a rule that differs in its questions and λ only; parameters without effect take their defaults."""
        kept: dict[str, Any] = {
            name: value for name, value in self.values().items() if name not in TreeRule.parameters()
        }
        if isinstance(tree, Leaf):
            return type(self)(**kept, root=self.root, low_low=tree.weight, high_low=tree.weight)
        root: dict[str, Any] = {"root": tree.feature.name, "root_cut": tree.cut}
        return type(self)(**kept, **root, **_parameters("low", tree.low), **_parameters("high", tree.high))


def _side(feature: str, cut: float, low: float, high: float) -> Node:
    return Leaf(low) if feature == _NO_QUESTION else Split(FEATURES[feature], cut, Leaf(low), Leaf(high))


def _parameters(side: str, node: Node) -> dict[str, Any]:
    if isinstance(node, Leaf):
        return {f"{side}_low": node.weight}
    low, high = leaves(node)
    return {side: node.feature.name, f"{side}_cut": node.cut, f"{side}_low": low.weight, f"{side}_high": high.weight}
