"""Pictures and labels as a trial uses them: in memory, in a file or on a device."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
