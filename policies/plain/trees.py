"""Writes rule trees: conditions on a step, and λ by sample."""

from __future__ import annotations

from policies.bases.tree_nodes import Leaf, Node, splits
from policies.families.gradients.tree import Tree
from policies.families.samples.sample_tree import SampleTree
from policies.plain.parts import indented


def questions(policy: Tree) -> str:
    """Return the lines that set `weight` by the tree's questions; one half where a reading is unknown (NaN)."""
    if isinstance(policy.tree, Leaf):
        return f"weight = {policy.tree.weight!r}"
    return f"weight = 0.5  # while a question has no answer yet\n{_nested(policy.tree)}"


def sample_questions(policy: SampleTree) -> tuple[tuple[str, ...], str]:
    """Return the features that a sample's tree asks about, and the lines that set `weights`, [N]."""
    features = tuple(dict.fromkeys(split.feature.name for split in splits(policy.tree)))
    tree = policy.tree
    lines = [f"weights = torch.full_like(task_losses.detach(), {_lowest(tree)!r})"]
    if not isinstance(tree, Leaf):
        lines.append(f"high = {tree.feature.name} > {tree.threshold!r}")
        if not isinstance(tree.low, Leaf):
            lines.append(_where(f"~high & ({_condition(tree.low)})", tree.low.high))
        lines.append(_where("high", tree.high))
        if not isinstance(tree.high, Leaf):
            lines.append(_where(f"high & ({_condition(tree.high)})", tree.high.high))
    return features, "\n".join(lines)


def _nested(node: Node) -> str:
    if isinstance(node, Leaf):
        return f"weight = {node.weight!r}"
    name, threshold = node.feature.name, node.threshold
    high, low = indented(_nested(node.high), 1), indented(_nested(node.low), 1)
    return f"if {name} > {threshold!r}:\n{high}\nelif {name} <= {threshold!r}:\n{low}"


def _where(condition: str, node: Node) -> str:
    return f"weights[{condition}] = {_lowest(node)!r}"


def _condition(node: Node) -> str:
    assert not isinstance(node, Leaf)
    return f"{node.feature.name} > {node.threshold!r}"


def _lowest(node: Node) -> float:
    return node.weight if isinstance(node, Leaf) else _lowest(node.low)
