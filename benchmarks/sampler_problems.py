"""Problems that samplers are compared on: planted ones, whose best point is known, and surrogates of stored tables.

A problem has several families, each with parameters of its own, and the settings that a round shares: learning rate and
temperature. Its values are without noise. The unit is the noise of one training under one seed.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from policies.registry import policy_class
from search.propose import Cube, Variable, build_space
from search.settings import Choices, Interval, SearchConfig, load_config

FOLDER = pathlib.Path(__file__).parent / "data"
TABLES = {
    "digits-quick": ("digits-quick", "digits-quick-wide"),
    "unreliable-batches-digits": ("unreliable-batches-digits",),
}
"""The tables of each recipe."""
Array: TypeAlias = "np.ndarray"
Point: TypeAlias = Mapping[str, Any]
SHARED = {
    "learning_rate": Variable(Interval(low=3e-3, high=3e-2, log=True), 1e-2),
    "temperature": Variable(Choices(choices=(2.0, 4.0, 8.0)), 4.0),
}


@dataclasses.dataclass(frozen=True)
class Family:
    """A family's parameters by name, and the function that gives its values, in units of one training's noise."""

    variables: Mapping[str, Variable]
    values: Callable[[Sequence[Point]], Array]


@dataclasses.dataclass(frozen=True)
class Problem:
    """The families and shared settings of one search."""

    families: Mapping[str, Family]
    shared: Mapping[str, Variable]

    def start(self, family: str) -> dict[str, Any]:
        """Return the defaults that a family begins with."""
        return {name: variable.start() for name, variable in self.families[family].variables.items()}

    def ceiling(self, family: str) -> float:
        """Find a family's highest value: among 4,000 random points, then in ever smaller steps around the best ten."""
        cube = Cube.of({**self.families[family].variables, **self.shared})
        random = np.random.default_rng(0)
        points = cube.snap(random.random((4000, len(cube.axes))))
        values = self.families[family].values([cube.decode(point) for point in points])
        for step in (0.1, 0.03, 0.01):
            best = points[np.argsort(-values)[:10]]
            near = cube.snap(np.clip(best.repeat(60, 0) + step * random.normal(size=(600, len(cube.axes))), 0.0, 1.0))
            points = np.concatenate([best, near])
            values = self.families[family].values([cube.decode(point) for point in points])
        return float(values.max())


# Planted


def _real(low: float = 0.0, high: float = 1.0, *, log: bool = False) -> Variable:
    return Variable(Interval(low=low, high=high, log=log), math.sqrt(low * high) if log else (low + high) / 2)


def _option(*options: str) -> Variable:
    return Variable(Choices(choices=options), options[0])


def _planted(variables: Mapping[str, Variable], spread: float, make: Callable[[Any], Callable[[Array], Array]]) -> Any:
    """Make a kind of problem: three families of one shape, new in each repetition, and a common effect of the context.

    Args:
        variables: the parameters of each family.
        spread: standard deviation of a family's values over its parameters, in units of one training's noise.
        make: draws a function of positions in the unit cube, [M, parameters + 2], where learning rate and temperature
            come last; options are positions too, in the middles of equal parts.
    """

    def draw(repetition: int) -> Problem:
        random = np.random.default_rng([repetition, len(variables)])
        best = random.uniform(0.2, 0.8, 2)
        families = {}
        for name in "abc":
            own = {f"{name}.{key}": variable for key, variable in variables.items()}
            shape, cube = make(random), Cube.of({**own, **SHARED})
            sample = shape(cube.snap(random.random((2000, len(cube.axes)))))
            families[name] = Family(own, _values(cube, shape, spread / float(sample.std()), spread, best))
        return Problem(families, SHARED)

    return draw


def _values(cube: Cube, shape: Callable[[Array], Array], scale: float, spread: float, best: Array) -> Any:
    def values(points: Sequence[Point]) -> Array:
        positions = np.array([cube.encode(point) for point in points])
        context = np.square((positions[:, -2:] - best) / 0.5).sum(1)
        return scale * shape(positions) - spread * context

    return values


def _smooth(random: Any) -> Callable[[Array], Array]:
    best, width = random.uniform(0.0, 1.0, 2), random.uniform(0.2, 0.6, 2)
    return lambda u: -np.square((u[:, :2] - best) / width).sum(1)


def _one(random: Any) -> Callable[[Array], Array]:
    best, width = random.uniform(0.0, 1.0), random.uniform(0.15, 0.4)
    return lambda u: np.exp(-np.square((u[:, 0] - best) / width))


def _rugged(random: Any) -> Callable[[Array], Array]:
    frequency, phase = random.normal(size=(30, 3)) / 0.2, random.uniform(0.0, 2 * np.pi, 30)
    return lambda u: np.cos(u[:, :3] @ frequency.T + phase).sum(1)


def _threshold(random: Any) -> Callable[[Array], Array]:
    cut, above, below = random.uniform(0.2, 0.8), *random.uniform(0.0, 1.0, 2)
    return lambda u: (
        -np.where(u[:, 0] > cut, 1.0, 0.4) * np.square(u[:, 1] - above)
        - np.where(u[:, 0] < cut + 0.2, 1.0, 0.4) * np.square(u[:, 2] - below)
        - 0.3 * (np.abs(u[:, 0] - cut) > 0.15)
    )


def _contextual(random: Any) -> Callable[[Array], Array]:
    start, end = (0.2, 0.8) if random.random() < 0.5 else (0.8, 0.2)
    return lambda u: -np.square((u[:, 0] - start - (end - start) * (u[:, 2] * 1.5 - 0.25)) / 0.2)


def _mixed(random: Any) -> Callable[[Array], Array]:
    best, order = random.uniform(0.0, 1.0, 3), random.normal(size=4)
    return lambda u: -np.square((u[:, :3] - best) / 0.4).sum(1) + 2.0 * order[np.minimum(u[:, 3] * 4, 3).astype(int)]


def _tree(random: Any) -> Callable[[Array], Array]:
    best, good = random.uniform(0.0, 1.0, 6), random.integers(6)
    return lambda u: (
        -np.where(u[:, 6] * 6 // 1 == good, 1.0, 0.2) * np.square(u[:, 0] - best[0])
        - np.square(u[:, 1:3] - best[1:3]).sum(1)
        - 0.3 * np.square(u[:, 3:6] - best[3:6]).sum(1)
        + 0.4 * (u[:, 6] * 6 // 1 == good)
    )


PLANTED: dict[str, Callable[[int], Problem]] = {
    "one": _planted({"x": _real()}, 1.0, _one),
    "smooth": _planted({"x": _real(), "y": _real(0.1, 10.0, log=True)}, 1.0, _smooth),
    "rugged": _planted({"x": _real(), "y": _real(), "z": _real()}, 1.0, _rugged),
    "threshold": _planted({"cut": _real(0.1, 20.0, log=True), "above": _real(), "below": _real()}, 1.0, _threshold),
    "contextual": _planted({"x": Variable(Interval(low=0.0, high=1.0), 0.0)}, 1.0, _contextual),
    "mixed": _planted(
        {"x": _real(), "y": _real(), "n": Variable(Interval(low=1, high=9), 5, True), "o": _option(*"pqrs")},
        1.0,
        _mixed,
    ),
    "tree": _planted(
        {**{f"x{place}": _real() for place in range(6)}, "root": _option(*"uvwxyz"), "leaf": _option(*"uvwxyz")},
        1.0,
        _tree,
    ),
}
"""Kinds of problems; each draws a problem for a repetition."""


# Stored


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)


class Surrogate:
    """Scores of a family's policies, as a forest learnt them from a table of random policies."""

    def __init__(self, family: str, rows: list[tuple[dict[str, Any], Array]], noise: float) -> None:
        points = [point for point, _ in rows]
        # Settings that never vary are left out; options are numbered as they are declared.
        self.names = [name for name in points[0] if len({str(point[name]) for point in points}) > 1]
        declared = policy_class(family).parameters()
        self.options = {name: declared[name].options for name in self.names if isinstance(points[0][name], str)}
        self.prefix, self.noise = f"{family}.", noise
        inputs, means = self._encode(points), np.array([scores.mean() for _, scores in rows])
        weights = [len(scores) for _, scores in rows]
        self.forest = _forest().fit(inputs, means, weights)
        found = []
        for shuffle in range(4):
            folds = KFold(5, shuffle=True, random_state=shuffle)
            predicted = cross_val_predict(_forest(), inputs, means, cv=folds, params={"sample_weight": weights})
            found.append(r2_score(means, predicted))
        self.r2 = float(np.mean(found))

    def _encode(self, points: Sequence[Point]) -> Array:
        return np.array([[self._number(name, point[name]) for name in self.names] for point in points])

    def _number(self, name: str, value: Any) -> float:
        return float(self.options[name].index(value)) if name in self.options else float(value)

    def __call__(self, points: Sequence[Point]) -> Array:
        stripped = [{name.removeprefix(self.prefix): value for name, value in point.items()} for point in points]
        inputs = self._encode(stripped).astype(np.float32)
        # This equals forest.predict, which takes milliseconds to begin.
        trees = [tree.tree_.predict(inputs)[:, 0] for tree in self.forest.estimators_]
        return np.asarray(np.mean(trees, axis=0)) / self.noise


@dataclasses.dataclass(frozen=True)
class Stored:
    """A recipe's problem, the same in all repetitions."""

    problem: Problem
    noise: float
    """The noise of one training under one seed, in accuracy."""
    r2: Mapping[str, float]
    """R² of each family's forest, in 5-fold cross-validation repeated four times."""


def stored(recipe: str) -> Stored:
    """Return a recipe's families as forests learnt them from its tables.

    The noise of one training is that of a two-way analysis of variance without replication. A seed's effect on all
    trainings under it is left out, since all trials of a first heat share their seed.
    """
    rows = list(_rows(recipe))
    most = max(len(scores) for _, _, scores in rows)
    full = np.array([scores for _, _, scores in rows if len(scores) == most])
    own = full - full.mean(1, keepdims=True) - full.mean(0) + full.mean()
    noise = math.sqrt(float(np.sum(own**2)) / ((len(full) - 1) * (most - 1)))
    config = load_config(recipe)
    space = build_space(config)
    names = [name for name in config.families if name != "fixed"]
    found = {name: Surrogate(name, [(p, s) for family, p, s in rows if family == name], noise) for name in names}
    families = {name: Family(_own(config, name), surrogate) for name, surrogate in found.items()}
    shared = {name: variable for name, variable in space.shared.items() if variable.varies}
    return Stored(Problem(families, shared), noise, {name: one.r2 for name, one in found.items()})


def _own(config: SearchConfig, family: str) -> dict[str, Variable]:
    own = build_space(config).families[family]
    return {f"{family}.{name}": variable for name, variable in own.items() if variable.varies}


def _rows(recipe: str) -> Any:
    for name in TABLES[recipe]:
        with (FOLDER / f"trials-{name}.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                scores = [float(value) for key, value in row.items() if key.startswith("validation_") and value]
                shared = {key: float(row[key]) for key in ("learning_rate", "temperature")}
                yield row["family"], shared | json.loads(row["parameters"]), np.array(scores)
