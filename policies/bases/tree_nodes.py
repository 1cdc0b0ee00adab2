"""Defines trees of questions with a λ at each leaf, as immutable values; routes through, prunes and describes them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from policies.bases.tree_features import Feature


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
    """A question on the way, its value, and True if that was above the cut; None where there is no value yet."""

    split: Split
    value: float
    high: bool | None


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


def route(node: Node, values: Mapping[str, float]) -> tuple[int | None, list[Visit]]:
    """Return the number of the leaf that the features' values lead to, and the way there.

    Leaves are numbered from low to high. The number is None if the way ends at a question about a feature whose value
    is NaN.
    """
    way: list[Visit] = []
    number = 0
    while isinstance(node, Split):
        value = values[node.feature.name]
        if math.isnan(value):
            way.append(Visit(node, value, None))
            return None, way
        high = value > node.threshold
        way.append(Visit(node, value, high))
        if high:
            number += sum(1 for _ in leaves(node.low))
        node = node.high if high else node.low
    return number, way


def trimmed(node: Node, answers: Mapping[Split, set[bool | None]]) -> Node:
    """Return the tree without questions that always got the same answer.

    Args:
        node: a live tree.
        answers: by question, the answers that it got. A question with the answer None, for no value yet, is kept with
            all below it.
    """
    if isinstance(node, Leaf):
        return node
    given = answers.get(node, set())
    if None in given:
        return node
    if given == {True}:
        return trimmed(node.high, answers)
    if given == {True, False}:
        return live(Split(node.feature, node.cut, trimmed(node.low, answers), trimmed(node.high, answers)))
    return trimmed(node.low, answers)


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
