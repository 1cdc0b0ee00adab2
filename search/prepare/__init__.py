"""Prepares what a search is based on: data, teacher, and the teacher's outputs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
