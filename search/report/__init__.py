"""The report of a search: who won, by how much, and how far that can be trusted."""

from __future__ import annotations

from search.evidence.source import ReportSource
from search.report.document import report_json
from search.report.files import write_report
from search.report.terminal.report import render_report, render_table

__all__ = [
    "ReportSource",
    "render_report",
    "render_table",
    "report_json",
    "write_report",
]
