"""What λ should do: asked of the loss's expansion, and of a real training by virtual steps along it.

record = read_analysis(folder)      # None where there is none
findings = judge_analysis(record)
with style(): figures = analysis_figures(record, findings)  # search.report.drawing.style, search.analysis.figures
"""

from search.analysis.findings import Findings, judge_analysis
from search.analysis.wording import analysis_text, finding
from search.records.analysis import AnalysisRecord, read_analysis

__all__ = ["AnalysisRecord", "Findings", "analysis_text", "finding", "judge_analysis", "read_analysis"]
