"""Works on nested data: tensors or arrays in dicts, lists and tuples. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

Tree: TypeAlias = Any
"""A tensor or an array, or a dict, list or tuple of trees."""


def map_tree(change: Callable[[Any], Any], tree: Tree) -> Tree:
    """Return a tree of the same shape in which `change` was applied to every leaf."""
    if isinstance(tree, dict):
        return {name: map_tree(change, part) for name, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(map_tree(change, part) for part in tree))
    if isinstance(tree, list | tuple):
        return type(tree)(map_tree(change, part) for part in tree)
    return change(tree)


def leaves(tree: Tree) -> Iterator[Any]:
    """Yield the leaves of a tree in order."""
    if isinstance(tree, dict):
        for part in tree.values():
            yield from leaves(part)
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from leaves(part)
    else:
        yield tree


def join_trees(join: Callable[[list[Any]], Any], trees: Sequence[Tree]) -> Tree:
    """Return one tree; each of its leaves is `join` of the leaves that stand at its place in `trees`."""
    first = trees[0]
    if isinstance(first, dict):
        return {name: join_trees(join, [tree[name] for tree in trees]) for name in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(join_trees(join, list(parts)) for parts in zip(*trees, strict=True)))
    if isinstance(first, list | tuple):
        return type(first)(join_trees(join, list(parts)) for parts in zip(*trees, strict=True))
    return join(list(trees))


def count_rows(tree: Tree) -> int:
    """Return the length of the leaves' first dimension.

    Raises:
        ValueError: the tree has no leaf, a leaf has no dimension, or the lengths differ.
    """
    counts = [len(leaf) if getattr(leaf, "ndim", 0) else -1 for leaf in leaves(tree)]
    if not counts or min(counts) < 0 or len(set(counts)) > 1:
        told = ", ".join("a single number" if count < 0 else str(count) for count in counts) or "nothing"
        raise ValueError(f"all parts must have the same number of rows, but have {told}")
    return counts[0]


def shapes(tree: Tree) -> str:
    """Describe a tree's leaves without their first dimension, for messages: `int64 [64]`, `{ids: int64 [64]}`."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{name}: {shapes(part)}" for name, part in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        return "(" + ", ".join(shapes(part) for part in tree) + ")"
    kind = str(tree.dtype).removeprefix("torch.")
    return f"{kind} [{', '.join(map(str, tree.shape[1:]))}]" if len(tree.shape) > 1 else kind
