"""Holds what a balancer knows of a student: trained parameters, last block, processes, and obstacles to measuring."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.autograd.graph import Node

from policies.errors import PolicyError
from policies.update.graph import hides_leaves, reaches
from policies.update.meter import last_block
from policies.update.ranks import Group, Ranks, is_sharded


class Student:
    """The parameters that two losses train.

    Args:
        student: the module, or all parameters.
        last_block: the last block; by default the module's last layer with weights.
        process_group: the processes that train it, if its wrapper does not show them.

    Raises:
        PolicyError: nothing can be trained, it is not known which processes train it, or the last block is no part of
            it.
    """

    def __init__(
        self, student: nn.Module | Iterable[Tensor], *, last_block: nn.Module | None = None, process_group: Group = None
    ) -> None:
        # Tied weights appear twice where two modules' parameters were joined; a module lists them once.
        self._source: nn.Module | tuple[Tensor, ...] = (
            student if isinstance(student, nn.Module) else tuple(dict.fromkeys(_tensors(student)))
        )
        self._last_block = last_block
        self.has_block = last_block is not None or isinstance(student, nn.Module)
        """True if it is known which parameters the last block has."""
        if not self.parameters:
            raise PolicyError("`student` has no parameter that requires a gradient; unfreeze what is to be trained.")
        self.ranks = Ranks.of(self._source, process_group)
        self._obstacle = _obstacle(self._source)
        # A sharded student shows other tensors within a step than between two.
        self._lasting = None if is_sharded(self._source) else self._all()
        self._check_is_part(last_block)
        self._block_confirmed = False

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters that are trained now; layers may be frozen and unfrozen during the training."""
        return [parameter for parameter in self._all() if parameter.requires_grad]

    @property
    def inspected(self) -> tuple[Tensor, ...]:
        """All parameters, trained or not, that the student had at first.

        They are listed once, since listing a small student's parameters takes as long as checking its gradients.
        """
        return self._all() if self._lasting is None else self._lasting

    @property
    def block(self) -> list[Tensor]:
        """The trainable parameters of the last block."""
        if self._last_block is not None:
            return [parameter for parameter in self._last_block.parameters() if parameter.requires_grad]
        assert isinstance(self._source, nn.Module)  # `has_block` has been checked
        return last_block(self._source)

    def check_two_gradients(self, occasion: tuple[str, str]) -> None:
        """Make sure that the two losses' gradients in the parameters can be taken separately.

        Args:
            occasion: what needs them, and what to do if they cannot be taken, in words.

        Raises:
            PolicyError: they cannot.
        """
        if self._obstacle is not None:
            why, remedy = occasion
            raise PolicyError(f"{why}, but {self._obstacle}; {remedy}.")

    def reached_by(self, nodes: set[Node]) -> bool:
        """Tell whether a graph of these nodes leads to anything that is trained, as far as the graph shows it."""
        return self._lasting is None or reaches(nodes, self.parameters) or hides_leaves(nodes)

    def confirm_block(self, gradients: Iterable[Tensor | None]) -> None:
        """Make sure, once, that the last block gets a gradient; later batches may leave it out.

        Args:
            gradients: those of both losses in the last block, over all ranks.

        Raises:
            PolicyError: it gets none.
        """
        if self._block_confirmed:
            return
        if all(gradient is None for gradient in gradients):
            raise PolicyError(
                f"the rule measures the last block, but no loss depends on its parameters ({self._block_in_words()});"
                " pass as `last_block` the layer that gives the student's outputs."
            )
        self._block_confirmed = True

    def _check_is_part(self, block: nn.Module | None) -> None:
        if block is None:
            return
        if not isinstance(block, nn.Module):
            raise PolicyError(f"`last_block` must be a module, but got {type(block).__name__}; pass the layer itself.")
        own = set(map(id, block.parameters()))
        if own and self._lasting is not None and own.isdisjoint(map(id, self._lasting)):
            raise PolicyError(
                "`last_block` is not a part of `student`: they share no parameter; pass a layer of the model that is"
                " trained, not of a copy."
            )

    def _block_in_words(self) -> str:
        if self._last_block is not None:
            return f"of the {type(self._last_block).__name__} that was passed"
        assert isinstance(self._source, nn.Module)  # as for `block`
        own = set(map(id, self.block))
        return ", ".join(f"`{name}`" for name, parameter in self._source.named_parameters() if id(parameter) in own)

    def _all(self) -> tuple[Tensor, ...]:
        return tuple(self._source.parameters()) if isinstance(self._source, nn.Module) else self._source


def _tensors(student: object) -> list[Tensor]:
    found = type(student).__name__
    if isinstance(student, Iterable) and not isinstance(student, Tensor):
        parameters = list(student)
        strange = next((parameter for parameter in parameters if not isinstance(parameter, Tensor)), None)
        if strange is None:
            return parameters
        found += f" of {type(strange).__name__}"
    raise PolicyError(f"`student` must be a module or its parameters (`model.parameters()`), but got {found}.")


def _obstacle(student: nn.Module | tuple[Tensor, ...]) -> str | None:
    if is_sharded(student):
        return "the student's parameters are spread over several processes"
    for module in student.modules() if isinstance(student, nn.Module) else ():
        if isinstance(module, nn.parallel.DistributedDataParallel) and module.static_graph:
            # With it, DDP silently never averages again after a first step that runs no hooks.
            return "the student is wrapped with `static_graph=True`"
    return None
