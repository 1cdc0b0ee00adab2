"""Writes a network as ONNX, compares it there with PyTorch, and times it. Needs the extra `onnx`."""

from __future__ import annotations

import importlib.util
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainables.errors import ExportError
from trainables.exports.comparing import Difference, compare
from trainables.exports.program import export_program, first_line, quietly
from trainables.models import Example, cpu_name, latency_of
from trainables.records import ModelFigures
from trainables.tasks import Tree, leaves

_MODULES = ("onnx", "onnxscript", "onnxruntime")
_WHOLE = 2 * 1024**3 - 1024**2
"""The largest ONNX file, in bytes, since protobuf holds no more than 2 GiB."""


def has_onnx() -> bool:
    """Tell whether the extra `onnx` is installed."""
    return all(importlib.util.find_spec(name) is not None for name in _MODULES)


def check_extra() -> None:
    """Raise ExportError if the extra `onnx` is not installed."""
    missing = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(
            f"ONNX needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; install the"
            ' extra: pip install "kd-policy-search[onnx]".'
        )


def write_onnx(
    program: torch.export.ExportedProgram,
    path: pathlib.Path,
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    """Write a program as one ONNX file whose batch may have any size.

    Args:
        program: from `export_program`.
        path: the file.
        inputs: the names of the leaves of its inputs, in order.
        outputs: the names of the leaves of its outputs, in order.

    Raises:
        ExportError: the extra is missing, or the program has no ONNX form; the message holds the reason in one line.
    """
    check_extra()
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    if size > _WHOLE:
        raise ExportError(f"an ONNX file holds up to 2 GiB, but the network's weights take {size / 1024**3:.1f} GiB")
    import onnx

    with quietly():
        try:
            written = torch.onnx.export(
                program, dynamo=True, input_names=list(inputs), output_names=list(outputs), verbose=False
            )
            assert written is not None  # as `dynamo` promises
            for value in (*written.model.graph.inputs, *written.model.graph.outputs):
                _name_batch(value)
            written.save(str(path), external_data=False)
            onnx.checker.check_model(str(path))
        except Exception as error:  # an operation without an ONNX form, of many kinds
            raise ExportError(f"the network cannot be written as ONNX: {first_line(error)}") from error


def check_onnx(path: pathlib.Path, network: nn.Module, inputs: Tree) -> Difference:
    """Run an ONNX file in onnxruntime on a CPU, and compare its outputs with the network's.

    Raises:
        ExportError: they differ, or onnxruntime cannot run the file.
    """
    session = _session(path)

    def outputs(batch: Tree) -> list[Tensor]:
        return [torch.as_tensor(output) for output in session.run(None, _feeds(session, batch))]

    return compare(network, outputs, inputs, "the ONNX file")


def with_onnx(figures: ModelFigures, network: nn.Module, example: Example, seconds: float = 0.5) -> ModelFigures:
    """Add size and speed as ONNX to a network's figures; nothing where it has no ONNX form or the extra is missing.

    onnxruntime takes one thread, as PyTorch does for the figure `cpu`.

    Args:
        figures: of the network.
        network: a module in evaluation mode, on the CPU.
        example: gives its inputs.
        seconds: time for each of the two series of calls.
    """
    if not has_onnx():
        return figures
    cpu = torch.device("cpu")
    sample = example(2, cpu)
    with tempfile.TemporaryDirectory(prefix="kd-search-") as folder, torch.no_grad():
        path = pathlib.Path(folder, "student.onnx")
        network = network.eval()
        try:
            outputs = len(list(leaves(network(sample))))
            names = [f"input_{number}" for number, _ in enumerate(leaves(sample))]
            answers = [f"output_{number}" for number in range(outputs)]
            write_onnx(export_program(network, sample), path, inputs=names, outputs=answers)
            session = _session(path)
        except ExportError:
            return figures  # the export of the champion says why

        def caller(count: int) -> Callable[[], object]:
            feeds = _feeds(session, example(count, cpu))
            return lambda: session.run(None, feeds)

        latency = latency_of(caller, seconds)
        size = path.stat().st_size
    return figures.model_copy(
        update={
            "onnx_bytes": size,
            "latency": {**figures.latency, "onnx": latency},
            "device_names": {**figures.device_names, "onnx": f"{cpu_name()}, onnxruntime on 1 thread"},
        }
    )


def _session(path: pathlib.Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; what it optimises is its own affair
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of errors
        raise ExportError(f"onnxruntime cannot run the network: {first_line(error)}") from error


def _feeds(session: Any, batch: Tree) -> dict[str, Any]:
    values = [leaf.numpy() for leaf in leaves(batch)]
    return dict(zip([one.name for one in session.get_inputs()], values, strict=True))


def _name_batch(value: Any) -> None:
    """Call the first dimension `batch`, as readers of the file expect."""
    if value.shape is not None and len(value.shape) and not isinstance(value.shape[0], int):
        value.shape[0] = "batch"
