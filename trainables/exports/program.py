"""Writes a network as a `torch.export` program, which PyTorch runs without the network's class."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainables.errors import ExportError
from trainables.exports.comparing import Difference, compare
from trainables.tasks import Tree, leaves, map_tree

_FEWEST = 2
"""The rows of the example; with one, torch.export would fix the size of the batch."""


def export_program(network: nn.Module, inputs: Tree) -> torch.export.ExportedProgram:
    """Trace a network into a program whose batch may have any size.

    Args:
        network: called with one argument; in evaluation mode, on the CPU.
        inputs: that argument: a tensor with a batch dimension, or a dict, list or tuple of such.

    Raises:
        ExportError: torch.export does not support the network; the message holds its reason in one line.
    """
    batch = torch.export.Dim("batch")
    example = map_tree(lambda leaf: leaf[torch.arange(_FEWEST) % len(leaf)], inputs)
    shapes = map_tree(lambda _: {0: batch}, example)
    with quietly():
        try:
            return torch.export.export(network, (example,), dynamic_shapes=(shapes,), strict=False)
        except Exception as error:  # the network's code is traced, and may raise anything
            raise ExportError(f"torch.export cannot export the network: {first_line(error)}") from error


def write_program(program: torch.export.ExportedProgram, path: pathlib.Path) -> None:
    """Write a program to a file that `torch.export.load` reads.

    Raises:
        ExportError: it cannot be written.
    """
    with quietly():
        try:
            torch.export.save(program, path)
        except Exception as error:  # types of inputs or outputs that torch.export cannot write
            raise ExportError(f"torch.export cannot write the network: {first_line(error)}") from error


def check_program(path: pathlib.Path, network: nn.Module, inputs: Tree) -> Difference:
    """Read a program and compare its outputs with the network's.

    Raises:
        ExportError: they differ.
    """
    with quietly():
        module = torch.export.load(path).module()

    def outputs(batch: Tree) -> list[Tensor]:
        with torch.no_grad():
            return [leaf for leaf in leaves(module(batch)) if isinstance(leaf, Tensor)]

    return compare(network, outputs, inputs, "the torch.export program")


@contextmanager
def quietly() -> Iterator[None]:
    """Silence warnings that exporters give about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def first_line(error: BaseException) -> str:
    """Return an error's message in one line of at most 300 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."
