"""Reads an autograd graph before anything is differentiated."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node, get_gradient_edge

# Autograd functions in Python may call `backward` themselves, as recomputed activations of the old kind do. A compiled
# function has the same class, but it shows all parameters.
_COMPILED = "CompiledFunctionBackward"


def nodes_of(*outputs: Tensor) -> set[Node]:
    """Return all nodes behind some outputs, down to the leaves' own; outputs without a graph have none."""
    pending = [get_gradient_edge(output).node for output in outputs if output.requires_grad]
    seen = set(pending)
    while pending:
        following = {parent for parent, _ in pending.pop().next_functions if parent is not None} - seen
        seen |= following
        pending.extend(following)
    return seen


def reaches(nodes: set[Node], tensors: Iterable[Tensor]) -> bool:
    """Tell whether one of some tensors that require a gradient is among a graph's nodes."""
    return any(get_gradient_edge(tensor).node in nodes for tensor in tensors)


def hides_leaves(nodes: Iterable[Node]) -> bool:
    """Tell whether a graph may reach tensors that it does not show."""
    return any(isinstance(node, BackwardCFunction) and node.name() != _COMPILED for node in nodes)
