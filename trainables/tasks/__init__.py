"""Tasks: a user's own data, student, teacher, losses and metrics, for the search's training loop."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
