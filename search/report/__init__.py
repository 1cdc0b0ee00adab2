"""The report of a search: who won, by how much, and how far that can be trusted."""

from __future__ import annotations

from search.report.document import report_json
from search.report.files import write_report
from search.report.ranking import compare_to_constant, rank_families
from search.report.source import ReportSource
from search.report.text import render_report, render_table
from search.report.verdict import judge

__all__ = [
    "ReportSource",
    "compare_to_constant",
    "judge",
    "rank_families",
    "render_report",
    "render_table",
    "report_json",
    "write_report",
]
