"""Shows a running search or confirmation: in a terminal, in plain lines, or in a notebook."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
