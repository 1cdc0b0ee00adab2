"""The report of a search, on disk."""

from __future__ import annotations

import pathlib

from search.launch import Launch
from search.records import SearchRecord


def publish_report(search: SearchRecord, launch: Launch) -> pathlib.Path:
    """Write page, numbers and policies under `<output>/<name>/report` and return the page's path."""
    from search.report import write_report

    return write_report(search, launch.output / search.name / "report")


def report_files(folder: pathlib.Path) -> dict[str, bytes]:
    """A report as MLflow keeps it with the search's run: path -> content."""
    return {
        f"report/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
