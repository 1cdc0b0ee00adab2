"""Plans a search: what each trial trains, in which order, and which policies race on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
