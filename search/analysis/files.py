"""Writes an analysis as a folder of files, either completely or not at all."""

from __future__ import annotations

import pathlib
import tempfile

from search.analysis.figures import analysis_figures
from search.analysis.findings import Findings
from search.analysis.wording import analysis_text
from search.errors import SearchError
from search.records import RECORD_FILE, TABLE_FILE, AnalysisRecord, record_csv, record_json

TEXT_FILE = "analysis.txt"


def write_analysis(record: AnalysisRecord, findings: Findings, folder: pathlib.Path) -> pathlib.Path:
    """Write `analysis.json`, `analysis.csv`, `analysis.txt` and the figures as PNG, SVG and CSV.

    An earlier analysis in `folder` is replaced as a whole, once all files are written.

    Returns:
        The folder.

    Raises:
        SearchError: the analysis cannot be written.
    """
    contents: dict[str, bytes] = {
        RECORD_FILE: record_json(record).encode(),
        TABLE_FILE: record_csv(record).encode(),
        TEXT_FILE: f"{analysis_text(record, findings)}\n".encode(),
    }
    for figure in analysis_figures(record, findings):
        contents |= {f"{figure.name}.{kind}": drawn for kind, drawn in figure.files.items()}
        contents[f"{figure.name}.csv"] = figure.table.to_csv().encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".analysis-", dir=folder.parent) as name:
            fresh, stale = pathlib.Path(name) / "new", pathlib.Path(name) / "old"
            fresh.mkdir()
            for file, content in contents.items():
                (fresh / file).write_bytes(content)
            try:
                if folder.exists():
                    folder.rename(stale)
                fresh.rename(folder)
            except BaseException:  # Ctrl-C too
                if stale.exists() and not folder.exists():
                    stale.rename(folder)
                raise
    except OSError as error:
        raise SearchError(
            f"cannot write the analysis to {str(folder)!r}: {error.strerror or error}; choose another folder with"
            " --output."
        ) from error
    return folder
