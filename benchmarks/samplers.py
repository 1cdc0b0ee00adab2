"""Compares samplers by regret, at the budgets that users have and the noise of one seed.

    python benchmarks/samplers.py                                       the whole table
    python benchmarks/samplers.py --methods "gp;random" --problems contextual,digits-quick --repetitions 100
    python benchmarks/samplers.py --methods gp --lags 1,2,3,5           what waiting for fewer scores costs

Every family begins with its defaults. Each later round has one learning rate and temperature and one trial a family, as
in a search. A family's proposals of round r know its scores of the rounds up to r − lag. `today` is what searches did
before: TPE that starts at random and ignores the context, and learning rate and temperature by TPE, both with lag 1.
`optuna_gp` is Optuna's GPSampler.

Regret is the highest value of the family minus the value, without noise, of the chosen trial. The trial is chosen by
the best score. Trials run under one seed, or are raced under 1, 2 and 5 seeds, with half of the trials in the next
heat. The unit is the noise of one training under one seed. It is averaged over the families, with a 95 % interval over
the repetitions; all methods have the same problems, and each trial the same noise. `sampler_problems.py` describes the
problems.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
import warnings
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import optuna
from sampler_problems import PLANTED, SHARED, TABLES, Family, Problem, stored

from search.propose import ENGINES, Observation, Question, Variable, propose, propose_context, seed_of
from search.settings import Interval

BUDGETS = (5, 8, 16)
CHOICES = ("score", "score raced")
SEEDS = 5
RACE = (1, 2, 5)
"""Seeds after each heat; half of the trials run the next heat."""
CONTEXT_LAG = 1
"""Rounds by which the lag of a round's context exceeds that of a family's parameters."""
Array: TypeAlias = "np.ndarray"


@dataclasses.dataclass(frozen=True)
class Method:
    """The engines that propose a family's parameters and a round's context, and their lags."""

    own: str
    context: str
    lag: int = 2
    context_lag: int = 3


METHODS = {
    "gp": Method("gp", "gp"),
    "tpe": Method("tpe", "tpe"),
    "qmc": Method("qmc", "qmc"),
    "random": Method("random", "random"),
    "today": Method("tpe", "tpe", 1, 1),
    "optuna_gp": Method("optuna_gp", "optuna_gp"),
    "gp, context by qmc": Method("gp", "qmc"),
    "gp, context by tpe": Method("gp", "tpe"),
    "tpe, context by qmc": Method("tpe", "qmc"),
}


def _optuna_gp(question: Question) -> optuna.samplers.BaseSampler:
    return optuna.samplers.GPSampler(seed=question.seed, n_startup_trials=4, warn_independent_sampling=False)


@dataclasses.dataclass(frozen=True)
class Found:
    """A family's trials in a search, with first-heat scores as values; their values without noise; noise by seed."""

    trials: list[Observation]
    values: Array  # [trials]
    noise: Array  # [trials, SEEDS]


def searched(problem: Problem, method: Method, rounds: int, repetition: int) -> dict[str, Found]:
    """Run one search."""
    trials: dict[str, list[Observation]] = {name: [] for name in problem.families}
    values: dict[str, list[float]] = {name: [] for name in problem.families}
    noise = np.random.default_rng(repetition).normal(size=(len(problem.families), rounds, SEEDS))
    medians: list[tuple[dict[str, Any], float | None]] = []
    for turn in range(rounds):
        context = {name: variable.start() for name, variable in problem.shared.items()}
        if turn and problem.shared:
            known = max(0, turn - method.context_lag + 1)
            context = propose_context(
                problem.shared,
                observed=medians[:known],
                pending=[shared for shared, _ in medians[known:]],
                sampler=method.context,
                seed=repetition,
                round_number=turn,
            )
        scores = []
        for place, (name, family) in enumerate(problem.families.items()):
            parameters = problem.start(name)
            if turn:
                parameters = propose(
                    family.variables,
                    context=context,
                    contexts=problem.shared,
                    observed=trials[name][: max(0, turn - method.lag + 1)],
                    pending=trials[name][max(0, turn - method.lag + 1) :],
                    sampler=method.own,
                    seed=seed_of(repetition, name),
                    round_number=turn,
                )
            value = float(family.values([{**parameters, **context}])[0])
            scores.append(value + noise[place, turn, 0])
            trials[name].append(Observation(parameters, context, (scores[-1],)))
            values[name].append(value)
        medians.append((context, statistics.median(scores)))
    return {
        name: Found(trials[name], np.array(values[name]), noise[place]) for place, name in enumerate(problem.families)
    }


def chosen(found: Found, budget: int, choice: str) -> int:
    """Return the trial that a family's search ends with, among the first `budget`."""
    left, scores = list(range(budget)), found.values[:budget] + found.noise[:budget, 0]
    for place, seeds_after in enumerate(RACE if choice.endswith("raced") else RACE[:1]):
        if place:
            left = left[: max(1, len(left) // 2)]
            scores[left] = found.values[left] + found.noise[left, :seeds_after].mean(1)
        left = sorted(left, key=lambda trial: -scores[trial])
    return left[0]


def regrets(ceilings: Mapping[str, float], found: Mapping[str, Found], budget: int, choice: str) -> float:
    """Return the regret of one search, averaged over the families."""
    lost = [ceilings[name] - one.values[chosen(one, budget, choice)] for name, one in found.items()]
    return float(np.mean(lost))


def mean_proposals(method: Method, repetition: int) -> dict[float, float]:
    """Return each temperature's mean proposal for x in rounds 33 to 64, where x = .2 is best at 2, .8 at 8."""
    best = {2.0: 0.2, 4.0: 0.5, 8.0: 0.8}
    variables, shared = {"a.x": Variable(Interval(low=0.0, high=1.0), 0.5)}, {"temperature": SHARED["temperature"]}
    family = Family(
        variables, lambda points: np.array([-(((p["a.x"] - best[p["temperature"]]) / 0.2) ** 2) for p in points])
    )
    found = searched(Problem({"a": family}, shared), dataclasses.replace(method, context="qmc"), 64, repetition)["a"]
    late = found.trials[32:]
    return {
        t: float(np.mean([trial.parameters["a.x"] for trial in late if trial.context["temperature"] == t]))
        for t in best
    }


def main() -> None:
    """Print a table for each problem, and one over all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join([*PLANTED, *TABLES]), help="separated by commas [all]")
    parser.add_argument("--methods", default="today;random;qmc;tpe;gp", help=f"separated by ;, of {'; '.join(METHODS)}")
    parser.add_argument("--lags", default="", help="separated by commas [each method's own]")
    parser.add_argument("--choices", default="score", help=f"separated by commas, of {', '.join(CHOICES)}")
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)))
    parser.add_argument("--repetitions", type=int, default=40)
    arguments = parser.parse_args()
    ENGINES["optuna_gp"] = _optuna_gp
    warnings.simplefilter("ignore")
    methods = {name: METHODS[name] for name in arguments.methods.split(";")}
    if arguments.lags:
        methods = {
            f"{name}, lag {lag}": dataclasses.replace(method, lag=int(lag), context_lag=int(lag) + CONTEXT_LAG)
            for name, method in methods.items()
            for lag in arguments.lags.split(",")
        }
    choices = arguments.choices.split(",")
    budgets = [int(budget) for budget in arguments.budgets.split(",")]
    every: dict[str, list[Array]] = {name: [] for name in methods}
    heads = [f"{budget} trials, by {way}" for budget in budgets for way in choices]
    for name in arguments.problems.split(","):
        fixed = stored(name) if name in TABLES else None
        print(f"\n{name}", end="")
        if fixed:
            fits = ", ".join(f"{family} {r2:.2f}" for family, r2 in fixed.r2.items())
            print(f": noise of a training {100 * fixed.noise:.2f} points; R² of the forests: {fits}", end="")
        print(f"\n\n| regret after | {' | '.join(heads)} | ms a round |\n|{' --- |' * (len(heads) + 2)}", flush=True)
        problems = [fixed.problem if fixed else PLANTED[name](one) for one in range(arguments.repetitions)]
        ceilings = [
            {family: problem.ceiling(family) for family in problem.families}
            for problem in (problems[:1] if fixed else problems)
        ]
        for title, method in methods.items():
            spent, rows = 0.0, []
            for repetition, problem in enumerate(problems):
                began = time.perf_counter()
                found = searched(problem, method, max(budgets), repetition)
                spent += time.perf_counter() - began
                ceiling = ceilings[repetition % len(ceilings)]
                rows.append([regrets(ceiling, found, budget, way) for budget in budgets for way in choices])
            every[title].append(np.array(rows))
            print(_row(title, np.array(rows), 1e3 * spent / len(problems) / max(budgets)), flush=True)
    print(f"\nall problems\n\n| regret after | {' | '.join(heads)} | |\n|{' --- |' * (len(heads) + 2)}")
    whole = {title: np.mean(tables, axis=0) for title, tables in every.items()}
    for title, regret in whole.items():
        print(_row(title, regret, math.nan))
    first = next(iter(whole))
    print(f"\nall problems, minus {first}, paired\n\n| | {' | '.join(heads)} | |\n|{' --- |' * (len(heads) + 2)}")
    for title, regret in whole.items():
        if title != first:
            print(_row(title, regret - whole[first], math.nan))
    print("\nmean proposals of x, which is best at .2, .5 and .8 at the temperatures\n")
    print("| | T = 2 | T = 4 | T = 8 |\n| --- | --- | --- | --- |")
    for title, method in methods.items():
        means = [mean_proposals(method, repetition) for repetition in range(10)]
        print(f"| {title} | {' | '.join(f'{np.mean([one[t] for one in means]):.2f}' for t in (2.0, 4.0, 8.0))} |")


def _row(title: str, regret: Array, milliseconds: float) -> str:
    half = 1.96 * regret.std(0, ddof=1) / math.sqrt(len(regret))
    cells = [f"{mean:.2f} ± {width:.2f}" for mean, width in zip(regret.mean(0), half, strict=True)]
    last = "" if math.isnan(milliseconds) else f"{milliseconds:.0f}"
    return f"| {title} | {' | '.join(cells)} | {last} |"


if __name__ == "__main__":
    main()
