"""Checks the contract of what users bring: `check_task(MyTask())` raises AssertionError at the first broken clause."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
