"""What a balancer has to know of a student: what is trained, its last block, who trains it, and what it can bear."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from policies.errors import PolicyError
from policies.meter import last_block
from policies.ranks import Group, Ranks, is_sharded
from policies.two_passes import allow_two_passes


class Student:
    """The parameters that two losses train.

    Args:
        student: the module, or all parameters.
        last_block: what counts as the last block, if not the module's last layers with weights.
        process_group: who trains it, if its wrapper does not tell.

    Raises:
        PolicyError: nothing can be trained, or it is not known who trains it.
    """

    def __init__(
        self, student: nn.Module | Iterable[Tensor], *, last_block: nn.Module | None = None, process_group: Group = None
    ) -> None:
        # Tied weights come twice where two modules' parameters were put together; a module tells them once.
        self._source: nn.Module | tuple[Tensor, ...] = (
            student if isinstance(student, nn.Module) else tuple(dict.fromkeys(student))
        )
        self._last_block = last_block
        self.has_block = last_block is not None or isinstance(student, nn.Module)
        """Whether it is known which parameters the last block has."""
        if not self.parameters:
            raise PolicyError("`student` has no parameter that requires a gradient; unfreeze what is to be trained.")
        self.ranks = Ranks.of(self._source, process_group)
        self._obstacle = _obstacle(self._source)
        # A sharded student shows other tensors within a step than between two.
        self._lasting = None if is_sharded(self._source) else self._all()

    @property
    def parameters(self) -> list[Tensor]:
        """What is trained now; layers may be frozen and unfrozen along the training."""
        return [parameter for parameter in self._all() if parameter.requires_grad]

    @property
    def inspected(self) -> tuple[Tensor, ...]:
        """All parameters, trained or not, that the student had at first.

        They are listed once, since listing a small student's takes as long as looking at its gradients.
        """
        return self._all() if self._lasting is None else self._lasting

    @property
    def block(self) -> list[Tensor]:
        """The trainable parameters of the last block."""
        if self._last_block is not None:
            return [parameter for parameter in self._last_block.parameters() if parameter.requires_grad]
        assert isinstance(self._source, nn.Module)  # `has_block` has been looked at
        return last_block(self._source)

    def check_two_gradients(self, occasion: tuple[str, str]) -> None:
        """Make sure that the two losses' gradients in the parameters can be taken apart.

        Args:
            occasion: what needs them, and what to do if they can't, in words.

        Raises:
            PolicyError: they cannot.
        """
        if self._obstacle is not None:
            why, remedy = occasion
            raise PolicyError(f"{why}, but {self._obstacle}; {remedy}.")

    def allow_two_passes(self) -> None:
        """As `policies.two_passes.allow_two_passes`, if it is known which module is trained."""
        if isinstance(self._source, nn.Module):
            allow_two_passes(self._source)

    def _all(self) -> tuple[Tensor, ...]:
        return tuple(self._source.parameters()) if isinstance(self._source, nn.Module) else self._source


def _obstacle(student: nn.Module | tuple[Tensor, ...]) -> str | None:
    if is_sharded(student):
        return "the student's parameters are spread over several processes"
    for module in student.modules() if isinstance(student, nn.Module) else ():
        if isinstance(module, nn.parallel.DistributedDataParallel) and module.static_graph:
            # With it, a first step that runs no hooks makes DDP never average again, without a word.
            return "the student is wrapped with `static_graph=True`"
    return None
