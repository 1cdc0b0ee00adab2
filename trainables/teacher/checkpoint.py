"""Reads a teacher's weights from a file of the user's."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.config import ModelSettings
from trainables.errors import CheckpointError
from trainables.models import create_model
from trainables.pictures import Dataset
from trainables.teacher.progress import COUNTER, MODEL_SECTION

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.")  # added to names by DistributedDataParallel and torch.compile
_SHOWN = 3


def restored_module(settings: ModelSettings, path: Path, dataset: Dataset) -> nn.Module:
    """Return the model with the weights in `path`, on the CPU.

    The file holds a state dict, as it is or under `state_dict`, `model_state_dict`, `model` or `net`; or it is a
    .safetensors file. It is read without running code in it.

    Raises:
        CheckpointError: the file cannot be read, or its weights do not fit the model or the number of classes.
        ModelError, ConfigError: as `create_model`.
    """
    with torch.random.fork_rng(devices=[]):
        module = create_model(
            settings, image_shape=dataset.image_shape, classes=len(dataset.classes), section=MODEL_SECTION
        )
    weights = _read(path)
    _check_fit(weights, module, settings.name, path, len(dataset.classes))
    module.load_state_dict(weights, strict=False)  # `_check_fit` was strict, except for counters
    return module


def _read(path: Path) -> dict[str, Tensor]:
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise CheckpointError(
            f"the teacher's `checkpoint` {str(path)!r} must hold a state dict (names and tensors), alone or under one"
            f" of {', '.join(_WRAPPERS)}, but holds {_describe(content)}; save it with"
            " `torch.save(model.state_dict(), path)`."
        )
    weights = {str(name): tensor for name, tensor in content.items()}
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files that torch warns about, such as a TorchScript archive, also fail
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"the teacher's `checkpoint` {str(path)!r} cannot be read ({_first_sentence(error)}); save it with"
            " `torch.save(model.state_dict(), path)`, since a checkpoint is loaded without running code."
        ) from error


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(
            f"the teacher's `checkpoint` {str(path)!r} needs a package to be read: pip install safetensors."
        ) from error
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the teacher's `checkpoint` {str(path)!r} cannot be read ({error}).") from error


def _check_fit(weights: dict[str, Tensor], module: nn.Module, name: str, path: Path, classes: int) -> None:
    expected = module.state_dict()
    head = next(reversed(expected))
    if head in weights and expected[head].ndim > 0 and weights[head].ndim == expected[head].ndim:
        outputs = len(weights[head])
        if len(expected[head]) == classes and outputs != classes:
            raise CheckpointError(
                f"the teacher in {str(path)!r} distinguishes {outputs} classes, but the data set has {classes};"
                " use a teacher that was trained on these classes."
            )
    problems = [f"{key} is missing" for key in expected if key not in weights and not key.endswith(COUNTER)]
    problems += [f"{key} is unknown to the model" for key in weights if key not in expected]
    problems += [
        f"{key} must have shape {tuple(expected[key].shape)}, but has {tuple(weights[key].shape)}"
        for key in expected
        if key in weights and expected[key].shape != weights[key].shape
    ]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CheckpointError(
            f"the teacher's `checkpoint` {str(path)!r} does not fit the model {name!r} with its `options`:"
            f" {'; '.join(problems[:_SHOWN])}{more}. Correct the model's name or options."
        )


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a mapping with {', '.join(map(repr, list(content)[:_SHOWN]))}" if content else "an empty mapping"
    return f"a {type(content).__name__}"


def _first_sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0] if lines else type(error).__name__
