"""Pictures of a folder, decoded once to one file of pixels.

Importing this loads no Pillow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
