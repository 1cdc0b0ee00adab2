"""What a search and its confirmation show: paired statistics, and one judgement that is no stronger than they are.

Pure functions of records. SciPy and statsmodels are imported when something is computed, torch, Ray and MLflow never.
Terminal, page, JSON, MLflow and the model card render a `Judgement`; nothing here imports them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
