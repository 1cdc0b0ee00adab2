"""Confirms a search: chooses the finalists, trains them again, and chooses the champion's student."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
