"""Distils one student under one policy: data, models, teacher, the training loop and its Ray Tune trial.

The names listed here are those that a training of the user's own needs; each is imported on first use.
"""

import importlib
import pathlib
import sys

import lazy_loader

# This installation's `policies` is imported first, since a file of that name beside the user's script would hide it.
_FOLDER = str(pathlib.Path(__file__).absolute().parents[1])
sys.path.insert(0, _FOLDER)
try:
    importlib.import_module("policies.errors")
except ModuleNotFoundError as error:
    if error.name != "policies.errors":
        raise
    raise ImportError(
        f"kd-policy-search has a package `policies`, but {sys.modules['policies'].__file__} was imported under this"
        " name before. Rename that file, or import kd-policy-search's packages before it."
    ) from None
finally:
    sys.path.remove(_FOLDER)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
