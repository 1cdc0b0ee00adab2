"""Unpickles a checkpoint without running code that its file names.

A pickle may name any function and call it. Here only the few names that rebuild tensors mean something. All others
become placeholders, which remember what they are given and do nothing.
"""

from __future__ import annotations

import collections
import pickle
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch
from torch import Tensor


class Placeholder:
    """Stands for an object of a class or the result of a function that the file names.

    Attributes:
        state: what the file sets on it, by name.
        items: what the file puts into it, as a mapping.
    """

    dump_patches = False  # files of PyTorch 1.5 and before ask for it
    state: dict[str, Any]
    items: dict[Any, Any]

    def __new__(cls, *_args: Any, **_named: Any) -> Placeholder:
        made = super().__new__(cls)
        object.__setattr__(made, "state", {})
        object.__setattr__(made, "items", {})
        return made

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_named: Any) -> Placeholder:
        return Placeholder()

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.state.update({name: value for name, value in part.items() if isinstance(name, str)})

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str | int):
            self.items[key] = value

    def append(self, _item: Any) -> None:
        """Ignore an item of a list."""

    def extend(self, _items: Any) -> None:
        """Ignore items of a list."""

    def add(self, _item: Any) -> None:
        """Ignore an item of a set."""

    def __hash__(self) -> int:
        return id(self)


class _Rebuild:
    """Calls one known function. It has no attributes, so that a file cannot change what it does."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r} of a function")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it changes a function")


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_others: Any) -> Tensor:
    if not isinstance(storage, torch.storage.TypedStorage | torch.storage.UntypedStorage):
        raise pickle.UnpicklingError("a tensor has no storage")
    rebuilt: Tensor = torch._utils._rebuild_tensor(storage, offset, size, stride)  # type: ignore[no-untyped-call]
    return rebuilt


def _parameter(data: Any, *_others: Any) -> Any:
    return data


def _ordered(*args: Any) -> dict[Any, Any]:
    return collections.OrderedDict(*args)


_KNOWN: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
}


class InertUnpickler(pickle.Unpickler):
    """Reads a pickle in which names mean tensors or nothing. `torch.load` itself looks after the types of storages."""

    def __init__(self, file: BinaryIO, **_options: Any) -> None:
        super().__init__(file, encoding="latin1")  # reads files of Python 2, too

    def find_class(self, module: str, name: str) -> Any:
        """Return the rebuilding function of a known name, and for every other name a new placeholder class."""
        if (module, name) in _KNOWN:
            return _Rebuild(_KNOWN[module, name])
        return type("Placeholder", (Placeholder,), {"__module__": __name__})


class InertPickle:
    """The part of the module `pickle` that `torch.load` uses."""

    __name__ = "inert"
    Unpickler = InertUnpickler
    UnpicklingError = pickle.UnpicklingError

    @staticmethod
    def load(file: BinaryIO, **options: Any) -> Any:
        """Read one object."""
        return InertUnpickler(file, **options).load()


def module_state(made: Placeholder, prefix: str = "") -> dict[str, Tensor]:
    """Collect the weights of a network that was pickled as a whole, by the names of its state dict."""
    found: dict[str, Tensor] = {}
    for part in ("_parameters", "_buffers"):
        for name, tensor in _mapping(made.state.get(part)).items():
            if isinstance(tensor, Tensor):
                found[f"{prefix}{name}"] = tensor
    for name, inner in _mapping(made.state.get("_modules")).items():
        if isinstance(inner, Placeholder):
            found |= module_state(inner, f"{prefix}{name}.")
    return found


def _mapping(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Placeholder):
        return value.items
    return value if isinstance(value, Mapping) else {}
