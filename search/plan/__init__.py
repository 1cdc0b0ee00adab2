"""A search as a plan: what each trial trains, in which order, and who races on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
