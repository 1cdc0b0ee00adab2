"""A search's folder: what lies in it, who may write it, and how it is read and gone on with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
