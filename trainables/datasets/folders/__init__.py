"""A user's folder of pictures: which folders are sets and classes, which files are pictures, and what is skipped.

Importing this loads no Pillow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
