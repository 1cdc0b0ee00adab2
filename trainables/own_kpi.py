"""A KPI of the user's own: a function `(model, data) -> float`, as it travels with settings. Imports no torch.

`data` is a `trainables.evaluation.KPIData`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pydantic

from policies.errors import nearest
from policies.extensions import told
from policies.own_file import line_in, load_module
from trainables.errors import ConfigError
from trainables.figures import ModelFigures, SetScore
from trainables.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from trainables.evaluation import KPIData

_TAKEN = (*SetScore.model_fields, *ModelFigures.model_fields, "score")


class OwnKPI(Settings):
    """A KPI by its function and the text of the function's file."""

    origin: str
    """The file's name and the function: `my_kpis.py:recall_of_class_3`."""
    source: str
    """The file's text."""

    @pydantic.model_validator(mode="after")
    def _is_a_function_of_model_and_data(self) -> OwnKPI:
        function = self.function
        try:
            inspect.signature(function).bind("model", "data")
        except TypeError as error:
            raise ConfigError(
                f"the KPI {self.origin} must take two arguments, (model, data), but is"
                f" {self.name}{inspect.signature(function)}."
            ) from error
        if self.name in _TAKEN:
            raise ConfigError(
                f"the KPI {self.origin} must have a name of its own, but {self.name!r} is one of {', '.join(_TAKEN)};"
                " rename the function."
            )
        return self

    @property
    def name(self) -> str:
        """The function's name, which is the KPI's."""
        return self.origin.rpartition(":")[2]

    @property
    def function(self) -> Callable[..., Any]:
        """The function.

        Raises:
            PolicyError: the file fails when it is run.
            ConfigError: there is no function of that name in it.
        """
        file, _, name = self.origin.rpartition(":")
        module = load_module(file, self.source)
        function: Callable[..., Any] | None = vars(module).get(name)
        if not inspect.isfunction(function):
            own = [
                key
                for key, value in vars(module).items()
                if inspect.isfunction(value) and value.__module__ == module.__name__ and not key.startswith("_")
            ]
            raise ConfigError(
                f"{file} has no function {name!r}; functions in it: {', '.join(own) or 'none'}.{nearest(name, own)}"
            )
        return function

    def measure(self, model: nn.Module, data: KPIData) -> float:
        """The KPI of a model, which may be NaN or infinite.

        Raises:
            ConfigError: the function fails, or what it returns is no number.
        """
        file = self.origin.rpartition(":")[0]
        try:
            value = self.function(model, data)
        except Exception as error:  # whatever the user's own code raises
            raise ConfigError(f"the KPI {self.origin} failed{line_in(file, error)}: {told(error)}.") from error
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            return float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"the KPI {self.origin} must return one number, but returned {_shown(value)}; return a float."
            ) from error


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
