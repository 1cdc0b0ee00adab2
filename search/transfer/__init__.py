"""Finds out whether a pilot's choice holds under the settings of a scaled search file."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
