"""Judges a search and its confirmation by paired statistics; the judgement is no stronger than they are.

The functions are pure functions of records. SciPy is imported when something is computed; torch, Ray and MLflow
are never imported.
Terminal, page, JSON, MLflow and the model card render a `Judgement`; nothing here imports them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
