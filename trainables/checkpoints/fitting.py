"""Fits the weights of a file to the names of a model: as they are, under one prefix, or by the usual names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from trainables.checkpoints.reading import Kind, Weights, is_averaged
from trainables.checkpoints.usual_names import shortcut_hint, usual_names
from trainables.errors import CheckpointError

_COUNTER = "num_batches_tracked"
"""The ending of the names of batch normalisation's counters. Outputs do not depend on them, and old files lack them."""
_NEVER_NEEDED = frozenset({"n_averaged"})
_SHOWN = 4
_REMARKED = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted:
    """The weights of a file under a model's names."""

    tensors: dict[str, Tensor]
    """A state dict of the model; counters of batch normalisations and a fresh head may be missing."""
    remarks: tuple[str, ...]
    """Sentences on what was chosen or not used, for the user."""
    other_outputs: int | None = None
    """The number of outputs of the file's last layer, where it was left out."""


def fit_weights(
    weights: Weights,
    expected: Mapping[str, Tensor],
    *,
    model: str,
    options: Mapping[str, Any] | None = None,
    path: Path,
    what: str,
    wanted: Kind | None = None,
    fresh_head: bool = False,
) -> Fitted:
    """Fit weights to a model.

    A prefix is removed only if all names and shapes of the model are found under it.

    Args:
        weights: of the file.
        expected: the model's state dict.
        model: the model's name.
        options: its options, which decide what the usual names mean.
        path: the file, for messages.
        what: the setting that names it, for messages.
        wanted: which weights the user asked for.
        fresh_head: whether the last layer may have another number of outputs in the file. It is then left out.

    Raises:
        CheckpointError: they do not fit, or fit in several ways.
    """
    head = _head(expected) if fresh_head else frozenset()
    for names in _vocabularies(model, options or {}, expected):
        found = _prefixes(weights.tensors, expected, names, head)
        if found:
            averaged = [prefix for prefix in found if is_averaged(prefix)]
            plain = [prefix for prefix in found if prefix not in averaged]
            both = weights.both or bool(averaged and plain)
            chosen = averaged if averaged and (wanted == "ema" or not plain) else plain
            if len(chosen) > 1 or (wanted == "ema" and weights.kind != "ema" and not averaged):
                raise CheckpointError(
                    f"{what} {str(path)!r} has weights of this model under {', '.join(map(repr, found))}, so it is not"
                    " clear which are meant; save the wanted ones alone."
                )
            is_ema = weights.kind == "ema" or chosen == averaged
            fitted = _taken(weights.tensors, expected, names, chosen[0], head, path)
            if not both:
                return fitted
            return dataclasses.replace(fitted, remarks=(_of_both(path, is_ema=is_ema, wanted=wanted), *fitted.remarks))
    raise CheckpointError(_misfit(weights.tensors, expected, model, options or {}, path, what))


def _of_both(path: Path, *, is_ema: bool, wanted: Kind | None) -> str:
    taken, other = ("averaged (EMA)", "plain") if is_ema else ("plain", "ema")
    remark = f"{path.name} holds plain and averaged (EMA) weights; the {taken} ones are taken"
    return remark if wanted else f'{remark}, `weights = "{other}"` takes the others'


def _vocabularies(
    model: str, options: Mapping[str, Any], expected: Mapping[str, Tensor]
) -> Iterable[Mapping[str, str]]:
    yield {name: name for name in expected}
    yield from usual_names(model, options, list(expected))


def _head(expected: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the names of the last layer's weights; none if the model has no other layer."""
    last = next(reversed(list(expected)), "").rpartition(".")[0]
    found = frozenset(name for name in expected if name.rpartition(".")[0] == last)
    return found if len(found) < len(expected) else frozenset()


def _prefixes(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], names: Mapping[str, str], head: frozenset[str]
) -> list[str]:
    """Find the prefixes under which a file has all of a model's weights."""
    first = names[next(name for name in expected if not name.endswith(_COUNTER))]
    candidates = [name[: -len(first)] for name in tensors if name == first or name.endswith(f".{first}")]
    return [prefix for prefix in candidates if _fits(prefix, tensors, expected, names, head)]


def _fits(
    prefix: str,
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    names: Mapping[str, str],
    head: frozenset[str],
) -> bool:
    for name, tensor in expected.items():
        found = tensors.get(f"{prefix}{names[name]}")
        if found is None:
            if name.endswith(_COUNTER) or name in head:
                continue
            return False
        if found.shape != tensor.shape and name not in head:
            return False
    known = {f"{prefix}{translated}" for translated in names.values()} | {f"{prefix}{name}" for name in _NEVER_NEEDED}
    # Further weights under the prefix would belong to another, larger model.
    return all(name in known for name in tensors if name.startswith(prefix))


def _taken(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    names: Mapping[str, str],
    prefix: str,
    head: frozenset[str],
    path: Path,
) -> Fitted:
    taken, fresh, remarks, outputs = {}, [], [], None
    for name, tensor in expected.items():
        found = tensors.get(f"{prefix}{names[name]}")
        if found is not None and found.shape == tensor.shape:
            taken[name] = found
        elif name in head:
            fresh.append(name)
            outputs = outputs if found is None else len(found)
    if fresh:
        for name in head & taken.keys():  # a bias of the right length belongs to the old head, too
            del taken[name]
        remarks.append(f"{path.name} has no last layer for these classes; that layer begins with random weights")
    used = {f"{prefix}{names[name]}" for name in expected}
    unused = [name for name in tensors if name not in used and name not in _NEVER_NEEDED]
    if unused:
        shown = ", ".join(unused[:_REMARKED]) + (", …" if len(unused) > _REMARKED else "")
        remarks.append(f"{path.name}: of the weights, those under {prefix!r} are taken; {len(unused)} others are not")
        remarks[-1] += f" ({shown})"
    return Fitted(tensors=taken, remarks=tuple(remarks), other_outputs=outputs)


def _misfit(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    model: str,
    options: Mapping[str, Any],
    path: Path,
    what: str,
) -> str:
    """Return a message that shows the model's names beside the file's."""
    prefix = _likeliest_prefix(tensors, expected)
    all_names, tensors = list(tensors), {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    known = [name for name in tensors if name not in _NEVER_NEEDED and not name.endswith(_COUNTER)]
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    unknown = [name for name in known if name not in expected]
    other = [name for name in expected if name in tensors and expected[name].shape != tensors[name].shape]
    rows = [("the model", "the file")]
    rows += [(_shown(name, expected), _shown(name, tensors)) for name in other[:_SHOWN]]
    for number in range(min(_SHOWN, max(len(missing), len(unknown)))):
        left = _shown(missing[number], expected) if number < len(missing) else "–"
        right = _shown(unknown[number], tensors) if number < len(unknown) else "–"
        rows.append((left, right))
    count = sum(not name.endswith(_COUNTER) for name in expected)
    width = max(len(left) for left, _ in rows)
    table = "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)
    return (
        f"{what} {str(path)!r} does not fit the model {model!r} with its `options`: {len(missing)} of the model's"
        f" {count} weights are missing, {len(unknown)} of the file's are unknown to the model, and {len(other)} have"
        f" another shape. Correct the model's name or options.{shortcut_hint(model, options, expected, all_names)}"
        f"{f' The names below are those after the prefix {prefix!r}.' if prefix else ''}\n{table}"
    )


def _likeliest_prefix(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Return the prefix under which most of a model's names are found; empty if none are."""
    found = Counter[str]()
    for name in tensors:
        parts = name.split(".")
        for split in range(len(parts)):
            if ".".join(parts[split:]) in expected:
                found["".join(f"{part}." for part in parts[:split])] += 1
    return max(found, key=lambda prefix: (found[prefix], -len(prefix)), default="")


def _shown(name: str, tensors: Mapping[str, Tensor]) -> str:
    return f"{name} {tuple(tensors[name].shape)}"
