"""A search space as a unit cube: each varying parameter is an axis from 0 to 1."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from policies.parameter import Value
from search.propose.space import Variable
from search.settings import Choices, Interval

Array: TypeAlias = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One varying parameter. A discrete one divides the axis into cells; a value's position is its cell's middle."""

    name: str
    variable: Variable

    @functools.cached_property
    def options(self) -> tuple[Value, ...]:
        """The options of a choice, numbers in ascending order; empty for an interval."""
        domain = self.variable.domain
        if not isinstance(domain, Choices):
            return ()
        numbers = [option for option in domain.choices if not isinstance(option, str)]
        return tuple(sorted(numbers)) if len(numbers) == len(domain.choices) else domain.choices

    @property
    def nominal(self) -> bool:
        """True if the values have no order."""
        return any(isinstance(option, str) for option in self.options)

    @functools.cached_property
    def cells(self) -> Array | None:
        """The ends of the cells from 0 to 1, [values + 1]; None when the axis is continuous."""
        if self.options:
            return np.linspace(0.0, 1.0, len(self.options) + 1)
        if not self.variable.whole:
            return None
        low, high = self._interval.low, self._interval.high
        ends = np.arange(int(low), int(high) + 2, dtype=float)
        ends = np.log(ends) if self._interval.log else ends
        cells: Array = (ends - ends[0]) / (ends[-1] - ends[0])
        return cells

    def encode(self, value: Value) -> float:
        """Return the position of a value."""
        if self.cells is None:
            low, high = self._ends
            return (self._scaled(float(value)) - low) / (high - low)
        index = self.options.index(value) if self.options else int(value) - int(self._interval.low)
        return float(self.cells[index] + self.cells[index + 1]) / 2.0

    def decode(self, position: float) -> Value:
        """Return the value at a position in [0, 1]."""
        if self.cells is None:
            low, high = self._ends
            scaled = low + position * (high - low)
            value = math.exp(scaled) if self._interval.log else scaled
            return min(max(value, self._interval.low), self._interval.high)
        index = int(self._cell(np.array([position]))[0])
        return self.exact(self.options[index] if self.options else int(self._interval.low) + index)

    def exact(self, value: Value) -> Value:
        """Return the value as the parameter's own type."""
        return int(value) if self.variable.whole else value

    def snap(self, positions: Array) -> Array:
        """Return the positions of the values at these positions, [M]."""
        if self.cells is None:
            return positions
        cell = self._cell(positions)
        middles: Array = (self.cells[cell] + self.cells[cell + 1]) / 2.0
        return middles

    @property
    def distribution(self) -> BaseDistribution:
        """The axis as Optuna describes it."""
        domain = self.variable.domain
        if isinstance(domain, Choices):
            return CategoricalDistribution(domain.choices)
        if self.variable.whole:
            return IntDistribution(int(self._interval.low), int(self._interval.high), log=self._interval.log)
        return FloatDistribution(self._interval.low, self._interval.high, log=self._interval.log)

    @property
    def _interval(self) -> Interval:
        assert isinstance(self.variable.domain, Interval)
        return self.variable.domain

    @property
    def _ends(self) -> tuple[float, float]:
        return self._scaled(self._interval.low), self._scaled(self._interval.high)

    def _cell(self, positions: Array) -> NDArray[np.int64]:
        assert self.cells is not None
        found = np.searchsorted(self.cells, positions, side="right") - 1
        return np.clip(found, 0, len(self.cells) - 2).astype(np.int64)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._interval.log else value


@dataclasses.dataclass(frozen=True)
class Cube:
    """The varying parameters of a family, or of a round."""

    axes: tuple[Axis, ...]

    @classmethod
    def of(cls, variables: Mapping[str, Variable]) -> Cube:
        """Build a cube from the variables that vary, in their order."""
        return cls(tuple(Axis(name, variable) for name, variable in variables.items() if variable.varies))

    @property
    def nominal(self) -> NDArray[np.bool_]:
        """The axes that have no order, as a mask, [axes]."""
        return np.array([axis.nominal for axis in self.axes], dtype=bool)

    def encode(self, values: Mapping[str, Value]) -> Array:
        """Return the position of a point, [axes]."""
        return np.array([axis.encode(values[axis.name]) for axis in self.axes], dtype=float)

    def decode(self, position: Array) -> dict[str, Value]:
        """Return the point at a position in the unit cube."""
        return {axis.name: axis.decode(float(x)) for axis, x in zip(self.axes, position, strict=True)}

    def snap(self, positions: Array) -> Array:
        """Return the positions of the points at these positions, [M, axes]."""
        return np.stack([axis.snap(positions[:, place]) for place, axis in enumerate(self.axes)], axis=1)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the axes as Optuna describes them."""
        return {axis.name: axis.distribution for axis in self.axes}
