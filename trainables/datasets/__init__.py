"""Data sets: real pictures, read or decoded once and split by a seed.

Importing this loads neither torch nor scikit-learn.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
