"""The report of a search: who won, by how much, and how far that can be trusted."""

from __future__ import annotations

from search.report.document import report_json
from search.report.files import write_report
from search.report.source import ReportSource
from search.report.text import render_report, render_table

__all__ = [
    "ReportSource",
    "render_report",
    "render_table",
    "report_json",
    "write_report",
]
