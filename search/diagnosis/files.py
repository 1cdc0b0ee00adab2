"""Writes a diagnosis as files."""

from __future__ import annotations

import json
import pathlib

from search.diagnosis.figure import diagnosis_figure
from search.diagnosis.record import DIAGNOSIS_FILE, Diagnosis
from search.diagnosis.wording import diagnosis_text
from search.drawing import style
from search.errors import SearchError

TEXT_FILE = "diagnosis.txt"


def write_diagnosis(found: Diagnosis, folder: pathlib.Path) -> pathlib.Path:
    """Write `diagnosis.txt`, the curve as PNG, SVG and CSV, and last `diagnosis.json`.

    Returns:
        The folder.

    Raises:
        SearchError: it cannot be written.
    """
    with style():
        figure = diagnosis_figure(found)
    contents = {f"{figure.name}.{kind}": drawn for kind, drawn in figure.files.items()}
    contents[f"{figure.name}.csv"] = figure.table.to_csv().encode()
    contents[TEXT_FILE] = f"{diagnosis_text(found)}\n".encode()
    record = json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=1)
    contents[DIAGNOSIS_FILE] = f"{record}\n".encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise SearchError(
            f"cannot write the diagnosis to {str(folder)!r}: {error.strerror or error}; choose another folder with"
            " --output."
        ) from error
    return folder
