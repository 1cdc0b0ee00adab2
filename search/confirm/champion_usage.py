"""Writes the parts of a champion's card that depend on its folder: how to load the student, and the files."""

from __future__ import annotations

import importlib.metadata
import pathlib
import platform

from search.confirm.champion import Champion
from search.confirm.champion_exports import EXPORTS_FILE, FILES, Exports, Leaf, read_exports, sha256_of
from search.wording import number

_HOLDS = {
    "student.pt": "the student's weights",
    "student.pt2": "the student as a `torch.export` program: PyTorch runs it without this package",
    "student.onnx": "the student as ONNX",
    "policy.json": "the rule, for `LossBalancer.from_file` of the package `policies`",
    "rule.py": "the same rule as plain PyTorch, without this package and without its guard",
    "verdict.json": "the verdict and its evidence, for programs",
    EXPORTS_FILE: "how the other forms of the student were compared with PyTorch",
}


def loading_elsewhere(exports: Exports | None) -> list[str]:
    """Return the sections that load the student with PyTorch alone and with onnxruntime, as far as the files exist."""
    if exports is None:
        return []
    lines, written = [], {file.format for file in exports.files}
    given = _given(exports.inputs)
    names = [_variable(leaf) for leaf in exports.outputs]
    if "torch-export" in written:
        target = names[0] if len(names) == 1 else "outputs"
        lines += [
            f"With PyTorch alone, from `{FILES['torch-export']}`:",
            "",
            "```python",
            "import torch",
            "",
            f'student = torch.export.load("{FILES["torch-export"]}").module()',
            f"{target} = student({given})",
            "```",
            "",
        ]
    if "onnx" in written:
        feeds = ", ".join(f'"{leaf.name}": {leaf.access}.numpy()' for leaf in exports.inputs)
        target = f"({names[0]},)" if len(names) == 1 else ", ".join(names)
        lines += [
            f"With onnxruntime, from `{FILES['onnx']}`:",
            "",
            "```python",
            "import onnxruntime",
            "",
            f'session = onnxruntime.InferenceSession("{FILES["onnx"]}")',
            f"{target} = session.run(None, {{{feeds}}})  # NumPy arrays",
            "```",
            "",
        ]
    return lines


def shapes_of(exports: Exports) -> list[str]:
    """Return a table of the tensors that the student reads and gives."""
    rows = [("reads", leaf) for leaf in exports.inputs] + [("gives", leaf) for leaf in exports.outputs]
    cells = [
        f"| {way} | `{leaf.access}` | {leaf.dtype} [{', '.join(['N', *map(str, leaf.shape)])}] |" for way, leaf in rows
    ]
    return ["| | tensor | type and shape; N: samples |", "| --- | --- | --- |", *cells, ""]


def files_of(champion: Champion, folder: pathlib.Path) -> list[str]:
    """Return the sections on the files of a folder and on the versions that wrote them."""
    exports = read_exports(folder)
    names = [name for name in _HOLDS if (folder / name).is_file()]
    own = [file for file in (champion.own_file, *_own_files(champion)) if file and (folder / file).is_file()]
    lines = ["## Files", "", "| file | holds | bytes | sha256 |", "| --- | --- | --- | --- |"]
    for name in (*names, *own):
        path = folder / name
        holds = _HOLDS.get(name, "your own file, which builds the network")
        lines.append(f"| `{name}` | {holds} | {path.stat().st_size:,} | `{sha256_of(path)}` |")
    lines.append("")
    written = () if exports is None else exports.files
    for file in written:
        told = ", ".join(f"{name} {version}" for name, version in file.versions.items())
        lines += [
            f"`{FILES[file.format]}` was compared with PyTorch on {file.inputs}, in batches of several sizes: outputs"
            f" of up to {number(file.largest_output)} differ by {number(file.largest_difference)} at most;"
            f" {file.tolerance:g} of the largest output, or of 1, is allowed ({told}).",
            "",
        ]
    absent = [FILES[name] for name in FILES if name not in {file.format for file in written}]
    if absent and champion.result.student_kept:
        lines += [f"`kd-search export {champion.search}` writes {' and '.join(f'`{name}`' for name in absent)}.", ""]
    return [*lines, f"Written by kd-policy-search {_version()} under Python {platform.python_version()}.", ""]


def _version() -> str:
    try:
        return importlib.metadata.version("kd-policy-search")
    except importlib.metadata.PackageNotFoundError:  # run from a folder that is not installed
        return "(not installed)"


def _own_files(champion: Champion) -> list[str]:
    return [own.file for own in (champion.task, champion.function) if own is not None]


def _given(inputs: tuple[Leaf, ...]) -> str:
    """Return the argument of the network: the name before any key."""
    return inputs[0].access.partition("[")[0]


def _variable(leaf: Leaf) -> str:
    return leaf.name if leaf.name.isidentifier() else "output"
