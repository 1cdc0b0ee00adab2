"""What λ should do: asked of the loss's expansion, and of a real training by virtual steps along it.

record = read_analysis(folder)      # None where there is none
findings = judge_analysis(record)
with style(): figures = analysis_figures(record, findings)  # search.report.drawing.style, search.analysis.figures
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
