"""Defines trees of questions with a λ at each leaf, as immutable values; routes through, prunes and describes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from policies.bases.tree_features import Feature
from policies.parameter import brief


@dataclasses.dataclass(frozen=True)
class Leaf:
    """The λ that the questions lead to."""

    weight: float


@dataclasses.dataclass(frozen=True)
class Split:
    """A question: is `feature` above a cut in [0, 1] of its range? It leads to `high` if so, else to `low`."""

    feature: Feature
    cut: float
    low: Node
    high: Node

    @property
    def threshold(self) -> float:
        """The cut in the feature's own unit."""
        return self.feature.threshold(self.cut)


Node: TypeAlias = Leaf | Split


class Visit(NamedTuple):
    """A question on the way, its value, and True if that was above the cut."""

    split: Split
    value: float
    high: bool


class Voice(NamedTuple):
    """The words in which a rule names its λ, introduces a condition and names the labels."""

    subject: str
    condition: str
    labels: str


def leaves(node: Node) -> Iterator[Leaf]:
    """Yield the leaves from low to high."""
    if isinstance(node, Leaf):
        yield node
    else:
        yield from leaves(node.low)
        yield from leaves(node.high)


def numbered(node: Node, first: int = 0) -> Node:
    """Return the tree with the leaves' numbers in place of their λ, counted from low to high."""
    if isinstance(node, Leaf):
        return Leaf(first)
    middle = first + sum(1 for _ in leaves(node.low))
    return Split(node.feature, node.cut, numbered(node.low, first), numbered(node.high, middle))


def splits(node: Node) -> Iterator[Split]:
    """Yield the questions, each before those that follow from it."""
    if isinstance(node, Split):
        yield node
        yield from splits(node.low)
        yield from splits(node.high)


def live(node: Node, known: Mapping[str, tuple[float, float]] | None = None) -> Node:
    """Return the tree without questions whose answer is known or makes no difference.

    Args:
        node: any tree.
        known: by feature, the bounds (above, at most) that earlier answers have set.
    """
    if isinstance(node, Leaf):
        return node
    known = known or {}
    name, threshold = node.feature.name, node.threshold
    above, at_most = known.get(name, (-math.inf, node.feature.highest))
    if threshold >= at_most:
        return live(node.low, known)
    if threshold <= above:
        return live(node.high, known)
    low = live(node.low, {**known, name: (above, threshold)})
    high = live(node.high, {**known, name: (threshold, at_most)})
    return low if low == high else Split(node.feature, node.cut, low, high)


def route(node: Node, values: Mapping[str, float]) -> tuple[range, list[Visit]]:
    """Return the numbers of the leaves that the features' values may lead to, and the way there.

    Leaves are numbered from low to high. There are several if the way ends at a question about a feature whose value is
    NaN, else one.
    """
    way: list[Visit] = []
    first = 0
    while isinstance(node, Split) and not math.isnan(value := values[node.feature.name]):
        high = value > node.threshold
        way.append(Visit(node, value, high))
        first += high * sum(1 for _ in leaves(node.low))
        node = node.high if high else node.low
    return range(first, first + sum(1 for _ in leaves(node))), way


def trimmed(node: Node, reached: Collection[int]) -> Node:
    """Return a live tree without the questions that had one answer only.

    Args:
        node: the tree.
        reached: numbers of the leaves that were ever reached, counted from low to high; at least one.
    """
    if isinstance(node, Leaf):
        return node
    middle = sum(1 for _ in leaves(node.low))
    low, high = [n for n in reached if n < middle], [n - middle for n in reached if n >= middle]
    if not high:
        return trimmed(node.low, low)
    if not low:
        return trimmed(node.high, high)
    return live(Split(node.feature, node.cut, trimmed(node.low, low), trimmed(node.high, high)))


def sentence(node: Node, voice: Voice) -> str:
    """Return the tree in words, without a full stop."""
    if isinstance(node, Leaf):
        return f"{voice.subject} = {node.weight:.3g} throughout"
    low, high = node.low, node.high
    if isinstance(low, Leaf):
        return f"{voice.subject} = {_case(node, low, above=False, voice=voice)}{_rest(high, voice)}"
    if isinstance(high, Leaf):
        return f"{voice.subject} = {_case(node, high, above=True, voice=voice)}{_rest(low, voice)}"
    condition = _condition(node, above=False, voice=voice)
    return f"{voice.subject}, {condition}, is {_pair(low, voice)}; otherwise it is {_pair(high, voice)}"


def label(node: Node, prefix: str = "") -> str:
    """Return the tree as a label: `progress > 60%: .1, else cosine > .2: .9, else .5`.

    Args:
        node: any tree.
        prefix: comes before each feature's name.
    """
    if isinstance(node, Leaf):
        return brief(node.weight)
    high = label(node.high, prefix)
    asked = f"{prefix}{node.feature.name.replace('_', ' ')} > {node.feature.threshold_in_words(node.cut)}"
    return f"{asked}: {f'({high})' if isinstance(node.high, Split) else high}, else {label(node.low, prefix)}"


def _condition(split: Split, *, above: bool, voice: Voice) -> str:
    return f"{voice.condition} {split.feature.in_words(split.cut, above=above, labels=voice.labels)}"


def _case(split: Split, leaf: Leaf, *, above: bool, voice: Voice) -> str:
    return f"{leaf.weight:.3g} {_condition(split, above=above, voice=voice)}"


def _rest(node: Node, voice: Voice) -> str:
    return f", else {node.weight:.3g}" if isinstance(node, Leaf) else f"; otherwise {_pair(node, voice)}"


def _pair(node: Node, voice: Voice) -> str:
    """Describe a leaf, or a question whose two answers are leaves."""
    if isinstance(node, Leaf):
        return f"{node.weight:.3g}"
    low, high = leaves(node)
    question = node.feature.in_words(node.cut, above=False, labels=voice.labels)
    return f"{low.weight:.3g} if {question} and {high.weight:.3g} if not"
