"""A KPI of the user's own, a function `(model, data) -> float`, as a part of the settings. Imports no torch.

`data` is a `trainables.evaluation.KPIData`. Instead of a number the function may return one value a sample, [N]. Their
mean is then the KPI, and a confirmation's interval also holds for new samples.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydantic

from policies.errors import nearest
from policies.extensions import told
from policies.own_file import line_in, load_module
from trainables.errors import ConfigError
from trainables.records import ModelFigures, SetScore
from trainables.settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from trainables.evaluation import KPIData

_TAKEN = (*SetScore.model_fields, *ModelFigures.model_fields, "score")


class OwnKPI(Settings):
    """A KPI, given by its function and the text of the function's file."""

    origin: str
    """The names of the file and the function: `my_kpis.py:recall_of_class_3`."""
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
                f"the KPI {self.origin} must have a new name, but {self.name!r} is one of {', '.join(_TAKEN)}; rename"
                " the function."
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
            ConfigError: the file has no function of that name.
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

    def measure(self, model: nn.Module, data: KPIData) -> Measured:
        """Measure the KPI of a model.

        Raises:
            ConfigError: the function fails, or returns neither a number nor one number a sample.
        """
        file = self.origin.rpartition(":")[0]
        try:
            value = self.function(model, data)
        except Exception as error:  # whatever the user's own code raises
            raise ConfigError(f"the KPI {self.origin} failed{line_in(file, error)}: {told(error)}.") from error
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            if getattr(value, "ndim", None) == 1 and len(value) > 1:
                return Measured.of_samples(value)
            return Measured(float(value))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"the KPI {self.origin} must return one number, but returned {_shown(value)}; return a float, or a"
                " tensor [N] of one value per sample, whose mean is then the KPI."
            ) from error


class Measured(NamedTuple):
    """The value of a KPI for one model."""

    value: float
    """The KPI; may be NaN or infinite."""
    samples: npt.NDArray[Any] | None = None
    """One value a sample, [N]; `value` is their mean. None where the function returned one number."""

    @classmethod
    def of_samples(cls, values: Any) -> Measured:
        """Build from a tensor or an array [N] of numbers or truth values."""
        array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
        if array.dtype != np.bool_:
            array = array.astype(np.float32)
        return cls(float(array.mean(dtype=np.float64)), array)


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"
