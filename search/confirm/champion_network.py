"""Builds a champion's student as a module that is called with one argument, and inputs to compare its other forms on.

N: samples of a batch.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import torch
from torch import Tensor, nn

from policies.errors import KDPolicySearchError
from search.confirm.champion import Champion
from search.settings import Launch, SearchConfig
from trainables.classifier import restore_classifier
from trainables.datasets import load_dataset
from trainables.errors import CheckpointError, DataError, ExportError
from trainables.functions import load_function
from trainables.suggestion import options_of
from trainables.tasks import TaskNetwork, Tree, create_task, example_of, map_tree, read_sets

SAMPLES = 64
"""The most samples that are compared."""
_CPU = torch.device("cpu")


class Subject(NamedTuple):
    """A network in evaluation mode on the CPU, and inputs of up to `SAMPLES` samples."""

    network: nn.Module
    inputs: Tree
    words: str
    """The origin of the inputs: `64 validation pictures`."""
    input: str = "inputs"
    """The name of a single input."""
    output: str = "outputs"
    """The name of a single output."""


def subject_of(
    champion: Champion, config: SearchConfig, launch: Launch, weights: bytes, module: bytes | None
) -> Subject:
    """Build the champion's network with its weights, and read samples for it.

    Args:
        champion: the champion.
        config: of its search.
        launch: its places, among which its data are looked for.
        weights: the student's `state_dict`, as `torch.save` wrote it.
        module: a training function's student with an example of its inputs; None if the function kept none.

    Raises:
        KDPolicySearchError: the network or its inputs cannot be had.
    """
    if champion.pictures is not None:
        return _pictures(champion, config, launch, weights)
    if champion.task is not None:
        return _task(champion, weights)
    return _function(champion, weights, module)


def _pictures(champion: Champion, config: SearchConfig, launch: Launch, weights: bytes) -> Subject:
    assert champion.pictures is not None
    network = restore_classifier(champion.student, champion.pictures, weights)
    try:
        images = load_dataset(config.data, default_root=launch.data_root).validation.images[:SAMPLES]
        inputs, words = torch.from_numpy(images.copy()), "validation pictures"
        if tuple(inputs.shape[1:]) != champion.pictures.shape:
            raise DataError("the pictures have another shape now")
    except KDPolicySearchError:  # the search may have run elsewhere
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randint(0, 256, (SAMPLES, *champion.pictures.shape), dtype=torch.uint8, generator=generator)
        words = "pictures of noise, since the data are not here"
    return Subject(network, inputs, f"{len(inputs)} {words}", "pictures", "logits")


def _task(champion: Champion, weights: bytes) -> Subject:
    own = champion.task
    assert own is not None
    task = create_task(own, **{**champion.student.options, **options_of(champion.finalist.shared)})
    network = TaskNetwork(task)
    _load(network.network, weights, own.origin)
    _, validation, _ = read_sets(own, task)
    count = min(SAMPLES, len(validation))
    inputs = example_of(validation)(count, _CPU)
    return Subject(network.eval(), inputs, f"{count} validation {task.unit}")


def _function(champion: Champion, weights: bytes, module: bytes | None) -> Subject:
    own = champion.function
    assert own is not None
    if module is None:
        raise ExportError(
            f"{own.origin} kept no example of its student's inputs, so the student cannot be exported; let it end with"
            " run.keep(student, example=inputs of one sample), and confirm again."
        )
    load_function(own)  # the student's class is in that file
    network, example = torch.load(io.BytesIO(module), map_location=_CPU, weights_only=False)
    _load(network, weights, own.origin)
    generator = torch.Generator().manual_seed(0)

    def varied(leaf: Tensor) -> Tensor:
        rows = leaf[:1].expand(SAMPLES, *leaf.shape[1:])
        noise = torch.randn(rows.shape, generator=generator) if leaf.is_floating_point() else 0
        return (rows + noise).to(leaf.dtype).contiguous()

    return Subject(network.eval(), map_tree(varied, example), f"{SAMPLES} noisy copies of the function's example")


def _load(network: nn.Module, weights: bytes, origin: str) -> None:
    try:
        network.load_state_dict(torch.load(io.BytesIO(weights), map_location=_CPU, weights_only=True))
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise CheckpointError(f"the champion's weights do not fit the network of {origin}: {first}") from error
