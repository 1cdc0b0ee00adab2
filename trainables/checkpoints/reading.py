"""Reads the weights in a checkpoint's file, whatever lies around them, without running code in it."""

from __future__ import annotations

import dataclasses
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from trainables.checkpoints.inert import InertPickle, Placeholder, module_state
from trainables.errors import CheckpointError

PLAIN = ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
"""The keys under which files keep a state dict, in the order in which they are looked for."""
EMA = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema")
"""The keys under which files keep averaged weights."""
_AVERAGED = "n_averaged"  # beside the weights of torch.optim.swa_utils.AveragedModel
_SHOWN = 3
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError)

Kind = Literal["plain", "ema"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights that were taken from a file."""

    tensors: dict[str, Tensor]
    """Tensors by the file's own names."""
    kind: Kind | None
    """`ema` for averaged weights; None if the file has only one kind, which it does not name."""
    both: bool
    """True if the file has plain weights and averaged ones."""


def read_weights(path: Path, wanted: Kind | None, what: str) -> Weights:
    """Read a state dict: alone, under one of the usual keys, inside a pickled network, or in a .safetensors file.

    Args:
        path: the file.
        wanted: which weights to take; None for plain ones if there are any.
        what: the setting that names the file, for messages, such as "the teacher's `checkpoint`".

    Raises:
        CheckpointError: the file cannot be read, or holds no weights, or none of the wanted kind.
    """
    content = _read_safetensors(path, what) if path.suffix == ".safetensors" else _read_pickle(path, what)
    try:
        return _chosen(_found(content), wanted, content, path, what)
    except _DAMAGED as error:
        raise CheckpointError(f"{what} {str(path)!r} cannot be read ({_first_sentence(error)}).") from error


def _found(content: Any) -> dict[Kind | None, dict[str, Tensor]]:
    """Find the state dicts in a file's contents; the key None is for contents that are one themselves."""
    whole = _state(content)
    if whole:
        return {("ema" if _AVERAGED in whole else None): whole}
    found: dict[Kind | None, dict[str, Tensor]] = {}
    if isinstance(content, Mapping):
        kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (("plain", PLAIN), ("ema", EMA))
        for kind, keys in kinds:
            state = next((state for key in keys if (state := _state(content.get(key)) or _inner(content.get(key)))), {})
            if state:
                found[kind] = state
    return found


def _inner(value: Any) -> dict[str, Tensor]:
    """Return a state dict that lies one level deeper under a usual key, as in {"ema": {"state_dict": ...}}."""
    if isinstance(value, Mapping):
        return next((state for key in (*PLAIN, "module", "shadow") if (state := _state(value.get(key)))), {})
    if isinstance(value, Placeholder):
        inner = (module_state(part) for part in value.state.values() if isinstance(part, Placeholder))
        return next((state for state in inner if state), {})
    return {}


def _state(value: Any) -> dict[str, Tensor]:
    """Return the tensors of a state dict or of a pickled network; empty for anything else."""
    if isinstance(value, Placeholder):
        return module_state(value) or _state(value.items)
    if not isinstance(value, Mapping) or not value:
        return {}
    tensors = {str(name): tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
    others = [name for name, tensor in value.items() if not isinstance(tensor, Tensor) and name != "_metadata"]
    return {} if others else tensors


def _chosen(
    found: dict[Kind | None, dict[str, Tensor]], wanted: Kind | None, content: Any, path: Path, what: str
) -> Weights:
    if not found:
        raise CheckpointError(
            f"{what} {str(path)!r} must hold a state dict (names and tensors), alone or under one of"
            f" {', '.join(PLAIN + EMA)}, but holds {_describe(content)}; save it with `torch.save(model.state_dict(),"
            " path)`."
        )
    if wanted is None or (len(found) == 1 and None in found and wanted == "plain"):
        kind = next((kind for kind in ("plain", None, "ema") if kind in found), None)
    elif wanted in found:
        kind = wanted
    elif wanted == "ema" and any(is_averaged(name) for state in found.values() for name in state):
        kind = next(iter(found))  # one state dict has both, under different prefixes
    else:
        raise CheckpointError(
            f"{what} {str(path)!r} has no {_NAMES[wanted]} weights, which `weights` = {wanted!r} asks for; it holds"
            f" {_describe(content)}. Remove `weights`, or give another file."
        )
    return Weights(tensors=found[kind], kind=kind, both="plain" in found and "ema" in found)


def is_averaged(name: str) -> bool:
    """Tell whether a weight's name, or its prefix, is that of an averaged weight."""
    return "ema" in name.lower().replace("-", "_").replace(".", "_").split("_")


_NAMES: Mapping[Kind, str] = {"plain": "plain", "ema": "averaged (EMA)"}


def _read_pickle(path: Path, what: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files that torch warns about, such as a TorchScript archive, also fail
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError:  # there are other objects beside the weights, or the file is no pickle
                return torch.load(path, map_location="cpu", weights_only=False, pickle_module=InertPickle())
    except (*_DAMAGED, pickle.UnpicklingError, AssertionError) as error:
        raise CheckpointError(
            f"{what} {str(path)!r} cannot be read ({_first_sentence(error)}); save it with"
            " `torch.save(model.state_dict(), path)`, since a checkpoint is loaded without running code."
        ) from error


def _read_safetensors(path: Path, what: str) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise CheckpointError(f"{what} {str(path)!r} needs a package to be read: pip install safetensors.") from error
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{what} {str(path)!r} cannot be read ({error}).") from error


def _describe(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a mapping with {', '.join(map(repr, list(content)[:_SHOWN]))}" if content else "an empty mapping"
    return f"a {type(content).__name__}"


def _first_sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0] if lines else type(error).__name__
