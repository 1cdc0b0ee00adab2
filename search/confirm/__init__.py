"""A confirmation: which finalists are trained again, how, and which student is the champion."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
