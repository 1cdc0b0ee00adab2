"""Searches λ policies with Ray Tune and Optuna, tracks them in MLflow and reports which rule pays.

`search.run("mine.toml")` runs a search, and `search.open("mine")` opens one; both return a `Search`. The functions come
before the folder `search/run/` of the same name: its modules are imported by their full names.
"""

import importlib
import pathlib
import sys

import lazy_loader

# This installation's packages are imported first, since files of their names beside the user's script would hide them.
_FOLDER = str(pathlib.Path(__file__).absolute().parents[1])
sys.path.insert(0, _FOLDER)
try:
    importlib.import_module("trainables.errors")
except ModuleNotFoundError as error:
    if error.name != "trainables.errors":
        raise
    raise ImportError(
        f"kd-policy-search has a package `trainables`, but {sys.modules['trainables'].__file__} was imported under this"
        " name before. Rename that file, or import kd-policy-search's packages before it."
    ) from None
finally:
    sys.path.remove(_FOLDER)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
