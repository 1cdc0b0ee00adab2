"""Writes a champion's student as files that run without this package: a torch.export program, and ONNX."""

from __future__ import annotations

import hashlib
import json
import pathlib
import tempfile
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, Literal

from policies.errors import KDPolicySearchError
from search.store import replace_file
from trainables.settings import Settings

if TYPE_CHECKING:
    from search.confirm.champion_network import Subject

Format = Literal["torch-export", "onnx"]
FILES: dict[Format, str] = {"torch-export": "student.pt2", "onnx": "student.onnx"}
"""The file of each format."""
EXPORTS_FILE = "exports.json"
STUDENT_FILE = "student.pt"


class Leaf(Settings):
    """One tensor of the student's inputs or outputs, without its batch dimension."""

    name: str
    """Its name in the ONNX file."""
    access: str
    """A Python expression for it: `pictures`, `inputs["ids"]`."""
    dtype: str
    shape: tuple[int, ...]


class ExportedFile(Settings):
    """A file that was written, and how it was compared with PyTorch."""

    format: Format
    sha256: str
    inputs: str
    """The inputs of the comparison, in words."""
    largest_difference: float
    largest_output: float
    tolerance: float
    """The largest difference allowed, as a share of the largest output, or of 1 where all outputs are smaller."""
    versions: dict[str, str]
    """The versions of the packages that wrote and ran it."""


class Exports(Settings):
    """The forms of one student that lie beside it."""

    student: str
    """The sha256 of `student.pt`, as hexadecimal digits."""
    inputs: tuple[Leaf, ...] = ()
    outputs: tuple[Leaf, ...] = ()
    files: tuple[ExportedFile, ...] = ()


def read_exports(folder: pathlib.Path) -> Exports | None:
    """Return the record of a champion's folder; None if there is none, or if it is of another student."""
    try:
        exports = Exports.parse(json.loads((folder / EXPORTS_FILE).read_text(encoding="utf-8")))
        current = sha256_of(folder / STUDENT_FILE)
        kept = tuple(file for file in exports.files if sha256_of(folder / FILES[file.format]) == file.sha256)
    except (OSError, ValueError, KDPolicySearchError):
        return None
    return exports.model_copy(update={"files": kept}) if exports.student == current else None


def export_champion(
    folder: pathlib.Path, subject: Callable[[], Subject], formats: Collection[Format]
) -> tuple[str, ...]:
    """Write a champion's student in some formats, compare each with PyTorch, and keep a record.

    A format that is there already for this student is left as it is.

    Args:
        folder: the champion's, with its `student.pt`.
        subject: builds the network and reads its inputs.
        formats: the formats to write.

    Returns:
        A line for each format that could not be written, with the reason.

    Raises:
        SearchError: a file cannot be written.
    """
    before = read_exports(folder)
    exports = before or Exports(student=sha256_of(folder / STUDENT_FILE))
    missing = [name for name in FILES if name in formats and name not in {file.format for file in exports.files}]
    if not missing:
        return ()
    from trainables.exports import export_program

    problems: list[str] = []
    try:
        found = subject()
        exports = _described(exports, found)
        program = export_program(found.network, found.inputs)
    except KDPolicySearchError as error:
        return tuple(f"{FILES[name]} is not written: {error}" for name in missing)
    for name in missing:
        try:
            content, file = _written(name, program, found, exports)
        except KDPolicySearchError as error:
            problems.append(f"{FILES[name]} is not written: {error}")
            continue
        replace_file(folder / FILES[name], content, what="the champion's")
        exports = exports.model_copy(update={"files": (*exports.files, file)})
    record = json.dumps(exports.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    replace_file(folder / EXPORTS_FILE, record.encode(), what="the champion's")
    return tuple(problems)


def sha256_of(path: pathlib.Path) -> str:
    """Return the sha256 of a file, as hexadecimal digits; an empty text if there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written(name: Format, program: Any, subject: Subject, exports: Exports) -> tuple[bytes, ExportedFile]:
    """Write one format to a temporary file and compare it there; return its content and its record."""
    import torch

    from trainables.exports import TOLERANCE, check_onnx, check_program, write_onnx, write_program

    with tempfile.TemporaryDirectory(prefix="kd-search-") as folder:
        path = pathlib.Path(folder, FILES[name])
        versions = {"torch": torch.__version__.partition("+")[0]}
        if name == "onnx":
            inputs, outputs = ([leaf.name for leaf in leaves] for leaves in (exports.inputs, exports.outputs))
            write_onnx(program, path, inputs=inputs, outputs=outputs)
            difference = check_onnx(path, subject.network, subject.inputs)
            import onnx
            import onnxruntime

            versions |= {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
        else:
            write_program(program, path)
            difference = check_program(path, subject.network, subject.inputs)
        content = path.read_bytes()
    file = ExportedFile(
        format=name,
        sha256=hashlib.sha256(content).hexdigest(),
        inputs=subject.words,
        largest_difference=difference.largest,
        largest_output=difference.largest_output,
        tolerance=TOLERANCE,
        versions=versions,
    )
    return content, file


def _described(exports: Exports, subject: Subject) -> Exports:
    """Add names and shapes of the student's inputs and outputs."""
    import torch

    with torch.no_grad():
        outputs = subject.network(subject.inputs)
    inputs = tuple(_leaves(subject.inputs, subject.input, subject.input))
    return exports.model_copy(
        update={"inputs": inputs, "outputs": tuple(_leaves(outputs, subject.output, subject.output))}
    )


def _leaves(tree: Any, name: str, access: str) -> Iterator[Leaf]:
    """Yield the tensors of a tree; a dict's keys name its parts, as far as these are free."""
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from _leaves(part, f"{name}_{key}", f"{access}[{json.dumps(key, ensure_ascii=False)}]")
    elif isinstance(tree, list | tuple):
        for number, part in enumerate(tree):
            yield from _leaves(part, f"{name}_{number}", f"{access}[{number}]")
    else:
        yield Leaf(
            name=name,
            access=access,
            dtype=str(getattr(tree, "dtype", type(tree).__name__)).removeprefix("torch."),
            shape=tuple(getattr(tree, "shape", (0,)))[1:],
        )
