"""Finds classes under the module names that earlier versions stored them by.

Ray Tune pickles its searcher, scheduler and callbacks into a search's folder. A pickle names a class by its module, so
a search of an earlier version could not be read once the module has moved. Importing this module makes the earlier
names importable. Only old pickles should use them.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "search.config": ("search.settings.search_file",),
    "search.confirmation": ("search.settings.confirmation", "search.records.confirmation"),
    "search.domains": ("search.settings.domains",),
    "search.propose.plan": ("search.plan.plan",),
    "search.racing": ("search.plan.race", "search.settings.racing"),
    "search.scheduler": ("search.run.scheduler",),
    "search.searcher": ("search.plan.searcher",),
    "search.space": ("search.propose.space",),
    "search.tuning": ("search.run.tuner",),
    "search.watch": ("search.run.events",),
    "trainables.own_kpi": ("trainables.config.own_kpi",),
    "trainables.own_policy": ("trainables.config.own_policy",),
    "trainables.objective": ("trainables.records.objective",),
}
"""Earlier module -> the modules that hold its contents today."""
RENAMED = {"_current_watch": "_current_events"}
"""Earlier name -> the name of today."""


class _Finder(importlib.abc.Loader):
    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self) if fullname in MOVED else None

    def exec_module(self, module: types.ModuleType) -> None:
        def find(name: str) -> Any:
            named_today = RENAMED.get(name, name)
            for today in map(importlib.import_module, MOVED[module.__name__]):
                if hasattr(today, named_today):
                    return getattr(today, named_today)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = find  # type: ignore[method-assign]


if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.insert(0, _Finder())
