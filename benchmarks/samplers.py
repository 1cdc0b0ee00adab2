"""Samplers compared on surrogates of the stored tables of trials, at the budgets that users have.

    python benchmarks/samplers.py --repetitions 50
    python benchmarks/samplers.py --samplers gp --trials 16 --families norm_ratio_threshold,norm_balance

A table holds random policies only, so it cannot be asked at new points. Of each family a random forest (scikit-learn's
ExtraTrees) is fitted to its policies' mean validation accuracies over their seeds, from learning rate, temperature and
the policy's parameters; its R² is that of 5-fold cross-validation, repeated four times. What a trial would score is the
forest's value at its point plus noise: of each seed, common to all trials, and of each training, both as large as in
the table. A search runs through `search.searcher.FairSearch` itself: rounds, baselines, defaults first.

Regret: the highest value that the forest has (over 4,000 random points and all points of all searches) minus its value,
without noise, at the trial that has the best score; in points of accuracy, averaged over the families, with a 95 %
interval over repetitions. All samplers see the same noise of seeds and begin with the same first round. `cma_es` needs
the package cmaes, and leaves parameters that are options to a random sampler.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import pathlib
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import optuna
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

import search.samplers
from policies.registry import policy_class
from search.config import SearchConfig, load_config
from search.searcher import FairSearch
from search.space import Suggests, build_space

FOLDER = pathlib.Path(__file__).parent / "data"
TABLES = {
    "digits-quick": ("digits-quick", "digits-quick-wide"),
    "unreliable-batches-digits": ("unreliable-batches-digits",),
}
"""Recipe -> its tables."""
BUDGETS = (8, 16, 32)
Array: TypeAlias = "np.ndarray"


class Row(NamedTuple):
    """One policy of a table: its point, and its validation accuracies by seed."""

    family: str
    point: dict[str, Any]
    scores: Array


def read_rows(recipe: str) -> list[Row]:
    """All rows of a recipe's tables."""
    rows = []
    for name in TABLES[recipe]:
        path = FOLDER / f"trials-{name}.csv"
        if not path.exists():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                scores = [float(value) for key, value in row.items() if key.startswith("validation_") and value]
                shared = {name: float(row[name]) for name in ("learning_rate", "temperature")}
                rows.append(Row(row["family"], shared | json.loads(row["parameters"]), np.array(scores)))
    return rows


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)


class Surrogate:
    """What a family's policies score, as a forest learnt it from a table."""

    def __init__(self, rows: list[Row]) -> None:
        points = [row.point for row in rows]
        # What is the same everywhere says nothing; options are numbered as they are declared.
        self.names = [name for name in points[0] if len({str(p[name]) for p in points}) > 1]
        declared = policy_class(rows[0].family).parameters()
        self.options = {name: declared[name].options for name in self.names if isinstance(points[0][name], str)}
        inputs = self.encode(points)
        self.means = np.array([row.scores.mean() for row in rows])
        weights = [len(row.scores) for row in rows]
        self.forest = _forest().fit(inputs, self.means, weights)
        found = []
        for shuffle in range(4):
            folds = KFold(5, shuffle=True, random_state=shuffle)
            predicted = cross_val_predict(_forest(), inputs, self.means, cv=folds, params={"sample_weight": weights})
            found.append(r2_score(self.means, predicted))
        self.r2 = float(np.mean(found))

    def encode(self, points: Iterable[dict[str, Any]]) -> Array:
        """Points as the forest takes them, [points, names]."""
        return np.array([[self._number(name, point[name]) for name in self.names] for point in points])

    def _number(self, name: str, value: Any) -> float:
        return float(self.options[name].index(value)) if name in self.options else float(value)

    def values(self, points: Iterable[dict[str, Any]]) -> Array:
        """Accuracies without noise."""
        inputs = self.encode(points).astype(np.float32)
        # As forest.predict, which takes milliseconds to begin.
        return np.asarray(np.mean([tree.tree_.predict(inputs)[:, 0] for tree in self.forest.estimators_], axis=0))


class Noise(NamedTuple):
    """Standard deviations: of what a seed adds to every training under it, and to each of them."""

    seed: float
    training: float

    @classmethod
    def of(cls, rows: list[Row]) -> Noise:
        """As in a table: two-way analysis of variance without replication."""
        most = max(len(row.scores) for row in rows)
        scores = np.array([row.scores for row in rows if len(row.scores) == most])
        own = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
        training = float(np.sum(own**2) / ((len(scores) - 1) * (most - 1)))
        seed = max(0.0, float(scores.mean(0).var(ddof=1)) - training / len(scores))
        return cls(math.sqrt(seed), math.sqrt(training))


class Uniform:
    """Answers a search space's questions at random."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002
        if log:
            return float(np.exp(self._random.uniform(math.log(low), math.log(high))))
        return float(self._random.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return min(high, int(self.suggest_float(name, low, high + 1, log=log)))

    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any:  # noqa: ARG002
        return choices[self._random.integers(len(choices))]


def point_of(suggestion: dict[str, Any]) -> dict[str, Any]:
    """A suggestion as a table's row has it."""
    prefix = f"{suggestion['family']}."
    return {name.removeprefix(prefix): value for name, value in suggestion.items()}


class Found(NamedTuple):
    """Of one search and family: at each trial its score with noise, and its value without."""

    scores: Array
    values: Array


def searched(config: SearchConfig, surrogates: dict[str, Surrogate], noise: Noise, repetition: int) -> dict[str, Found]:
    """One search over the surrogates."""
    random = np.random.default_rng(repetition)
    shared = random.normal(0.0, noise.seed / math.sqrt(config.replicates))
    searcher = FairSearch(config.model_copy(update={"seed": repetition}))
    scores: dict[str, list[float]] = {family: [] for family in config.families}
    values: dict[str, list[float]] = {family: [] for family in config.families}
    for number in range(config.total_trials):
        suggestion = searcher.suggest(str(number))
        assert isinstance(suggestion, dict)
        family = suggestion["family"]
        value = float(surrogates[family].values([point_of(suggestion)])[0])
        score = value + shared + random.normal(0.0, noise.training / math.sqrt(config.replicates))
        searcher.on_trial_complete(str(number), {"score": score})
        scores[family].append(score)
        values[family].append(value)
    return {family: Found(np.array(scores[family]), np.array(values[family])) for family in config.families}


def regrets(found: list[dict[str, Found]], ceilings: dict[str, float], budget: int) -> Array:
    """In points, averaged over the families, [repetitions]."""
    return np.array(
        [
            np.mean([100 * (ceilings[f] - one.values[one.scores[:budget].argmax()]) for f, one in search.items()])
            for search in found
        ]
    )


def _cma_es(seed: int) -> optuna.samplers.BaseSampler:
    return optuna.samplers.CmaEsSampler(
        seed=seed, n_startup_trials=search.samplers.STARTUP_TRIALS, warn_independent_sampling=False
    )


def main() -> None:
    """Print a table for each recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", choices=list(TABLES), help="[all]")
    parser.add_argument("--samplers", default="tpe,random,qmc,cma_es", help="separated by commas")
    parser.add_argument("--families", help="separated by commas [the recipe's]")
    parser.add_argument("--trials", type=int, default=max(BUDGETS), help="policies a family at most")
    parser.add_argument("--repetitions", type=int, default=50)
    arguments = parser.parse_args()
    search.samplers.SAMPLERS["cma_es"] = _cma_es
    warnings.simplefilter("ignore")
    for recipe in arguments.recipe or TABLES:
        config = load_config(recipe, [f"trials_per_family={arguments.trials}"])
        if arguments.families:
            config = config.model_copy(update={"families": tuple(arguments.families.split(","))})
        rows = read_rows(recipe)
        noise = Noise.of(rows)
        surrogates = {family: Surrogate([row for row in rows if row.family == family]) for family in config.families}
        fits = ", ".join(f"{family} {surrogate.r2:.2f}" for family, surrogate in surrogates.items())
        print(f"\n{recipe}: {len(rows) // len(config.families)} policies a family; R² of the forests: {fits};")
        print(f"noise of a seed {100 * noise.seed:.2f} points, of a training {100 * noise.training:.2f}\n")
        found = {
            name: [
                searched(config.model_copy(update={"sampler": name}), surrogates, noise, repetition)
                for repetition in range(arguments.repetitions)
            ]
            for name in arguments.samplers.split(",")
        }
        uniform: Suggests = Uniform(np.random.default_rng(0))
        space = build_space(config)
        ceilings = {}
        for family in config.families:
            points = [point_of({"family": family, **space.suggest(uniform, family)}) for _ in range(4000)]
            visited = max(one[family].values.max() for searches in found.values() for one in searches)
            ceilings[family] = max(float(surrogates[family].values(points).max()), float(visited))
        budgets = [budget for budget in BUDGETS if budget <= arguments.trials]
        print(f"| regret after | {' | '.join(f'{budget} trials' for budget in budgets)} |")
        print("| --- |" + " --- |" * len(budgets))
        for name, searches in found.items():
            cells = []
            for budget in budgets:
                regret = regrets(searches, ceilings, budget)
                half = 1.96 * regret.std(ddof=1) / math.sqrt(len(regret))
                cells.append(f"{regret.mean():.2f} ± {half:.2f}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
