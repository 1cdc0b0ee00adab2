"""Projects a search into MLflow from what Tune has stored; the projection can be rebuilt at any time.

Importing this package imports no MLflow; that happens where a store is opened.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
