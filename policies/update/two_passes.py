"""Lets one graph of a student be walked backward twice, and explains what prevents it.

Measuring takes the gradients of two losses separately, by two calls of `torch.autograd.grad` over one graph.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from policies.errors import PolicyError
from policies.update.graph import nodes_of

_REENTRANT = (
    "the student recomputes activations in a way that does not allow separate gradients of the losses; pass"
    " `use_reentrant=False` to `torch.utils.checkpoint.checkpoint`."
)


def allow_two_passes(student: object) -> None:
    """Let a compiled student's graph be walked twice, if the student is a module and not its parameters.

    `torch.compile` lets the backward pass write into what the forward pass saved ("donated buffers"). The setting that
    forbids it holds for the whole process, and it is read when a graph is compiled. Graphs compiled before are dropped,
    since PyTorch would no longer notice that their buffers are spoilt.
    """
    if not isinstance(student, nn.Module) or not any(map(_is_compiled, student.modules())):
        return
    import torch._functorch.config as settings

    if getattr(settings, "donated_buffer", False):
        settings.donated_buffer = False
        torch.compiler.reset()


@contextlib.contextmanager
def two_passes() -> Iterator[None]:
    """Explain why a graph could not be walked twice, and name the remedy.

    Raises:
        PolicyError: a graph was compiled to be walked once, or recomputes its activations in the old way.
    """
    try:
        yield
    except RuntimeError as error:
        if "donated" in str(error):
            raise PolicyError(
                "the student was compiled for one backward pass, but measuring takes two; set"
                " `torch._functorch.config.donated_buffer = False` before anything is compiled, or create the balancer"
                " from the compiled module before its first forward pass."
            ) from error
        if "torch.utils.checkpoint is incompatible" in str(error):
            raise PolicyError(_REENTRANT) from error
        raise


def check_graph(*outputs: Tensor) -> None:
    """Make sure that a graph reaches its parameters when gradients are taken separately.

    Activations that are recomputed in the old way hide the parameters behind them, which would then get no gradient.

    Args:
        outputs: the losses, or what they are made from.

    Raises:
        PolicyError: the graph recomputes its activations in the old way.
    """
    if any(node.name() == "CheckpointFunctionBackward" for node in nodes_of(*outputs)):
        raise PolicyError(_REENTRANT)


def _is_compiled(module: nn.Module) -> bool:
    return type(module).__name__ == "OptimizedModule" or getattr(module, "_compiled_call_impl", None) is not None
