"""Asks which λ is best: of the loss's expansion, and of a real training by virtual steps along it.

record = read_analysis(folder)      # search.records; None if the folder has none
findings = judge_analysis(record)
figures = analysis_figures(record, findings)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
