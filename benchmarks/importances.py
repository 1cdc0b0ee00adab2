"""Measures how often a search's report names the setting that matters, on simulated trials whose truth is known.

    python benchmarks/importances.py --simulations 100

Trials are drawn evenly over settings in [0, 1]. The score is the sum of the linear effects of some settings and of
noise with deviation 1. Effects are given as deviations of the score: `2,1` are two settings that matter, the first
with twice the other's effect. For each problem the table tells how often the first setting has the largest share; how
often *a* setting is named as the one that mattered most, and the wrong one; and how often the first one's 95 % interval
holds its true share.

PED-ANOVA is given the same bootstrap and the same rule, at two quantiles of the trials.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from search.evidence import RESAMPLES, SURE, Axis, bootstrap_shares
from search.propose import quiet_optuna

Array: TypeAlias = npt.NDArray[np.float64]
Shares: TypeAlias = Callable[[Array, Array, np.random.Generator], Array]
"""Settings [N, D] and scores [N] of trials -> shares of resamples [R, D]."""


class Problem(NamedTuple):
    """Trials, settings, and the effects of the first settings, in deviations of the noise."""

    trials: int
    settings: int
    effects: tuple[float, ...]


PROBLEMS = (
    *(Problem(trials, settings, ()) for trials, settings in ((12, 2), (12, 5), (16, 5), (48, 3))),
    *(Problem(16, 5, (effect,)) for effect in (1.0, 2.0)),
    Problem(48, 3, (1.0,)),
    Problem(16, 5, (2.0, 1.0)),
    Problem(48, 3, (2.0, 1.0)),
)


def fanova(x: Array, y: Array, _: np.random.Generator) -> Array:
    """Compute shares as a report does."""
    axes = {f"x{d}": Axis(x[:, d].tolist(), (0.0, 1.0)) for d in range(x.shape[1])}
    rows = bootstrap_shares(axes, y.tolist(), resamples=RESAMPLES)
    assert rows is not None
    return rows


def ped_anova(quantile: float) -> Shares:
    """Make a method of Optuna's other evaluator, which asks what the best trials have in common."""

    def shares(x: Array, y: Array, rng: np.random.Generator) -> Array:
        import optuna

        space: dict[str, optuna.distributions.BaseDistribution] = {
            f"x{d}": optuna.distributions.FloatDistribution(0.0, 1.0) for d in range(x.shape[1])
        }
        rows = []
        for _ in range(RESAMPLES):
            drawn = rng.integers(len(y), size=len(y))
            with quiet_optuna():
                study = optuna.create_study(direction="maximize")
            study.add_trials(
                [
                    optuna.create_trial(
                        params={name: float(x[n, d]) for d, name in enumerate(space)},
                        distributions=space,
                        value=float(y[n]),
                    )
                    for n in drawn
                ]
            )
            found = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
            row = np.array([found[name] for name in space])
            rows.append(row / row.sum() if row.sum() > 0.0 else np.full(len(row), 1.0 / len(row)))
        return np.stack(rows)

    return shares


def simulate(problem: Problem, method: Shares, simulations: int) -> str:
    """Simulate a problem; return one line of the table."""
    effects = np.zeros(problem.settings)
    effects[: len(problem.effects)] = problem.effects
    truth = effects[0] ** 2 / (effects**2).sum() if problem.effects else np.nan
    first, named, wrong, covered, share, width = [], [], [], [], [], []
    for seed in range(simulations):
        rng = np.random.default_rng(seed)
        x = rng.random((problem.trials, problem.settings))
        y = (x - 0.5) @ effects * np.sqrt(12.0) + rng.standard_normal(problem.trials)
        rows = method(x, y, rng)
        means = rows.mean(axis=0)
        leader = int(means.argmax())
        is_named = bool(np.mean(rows.argmax(axis=1) == leader) >= SURE)
        low, high = np.quantile(rows[:, 0], (0.025, 0.975))
        first.append(leader == 0)
        named.append(is_named)
        wrong.append(is_named and not (problem.effects and leader == 0))
        covered.append(low <= truth <= high)
        share.append(means[0])
        width.append(high - low)
    told = [f"{np.mean(first):.0%}", f"{np.mean(named):.0%}", f"{np.mean(wrong):.0%}"]
    told += [f"{truth:.2f}", f"{np.mean(share):.2f}", f"{np.mean(width):.2f}", f"{np.mean(covered):.0%}"]
    if not problem.effects:
        told = ["–", *told[1:3], "–", "–", "–", "–"]
    return " | ".join(told)


def main() -> None:
    """Simulate all problems and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=100)
    parser.add_argument("--ped-anova", action="store_true", help="also PED-ANOVA")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    methods: dict[str, Shares] = {"fANOVA": fanova}
    if options.ped_anova:
        methods |= {f"PED-ANOVA, best {quantile:.0%}": ped_anova(quantile) for quantile in (0.1, 0.25)}
    print("| method | trials | settings | effects | first | named | wrong | true share | share | width | holds it |")
    print(f"|{' --- |' * 11}")
    for name, method in methods.items():
        for problem in PROBLEMS:
            began = time.perf_counter()
            effects = ", ".join(f"{effect:g}" for effect in problem.effects) or "none"
            line = simulate(problem, method, options.simulations)
            seconds = (time.perf_counter() - began) / options.simulations
            print(
                f"| {name} | {problem.trials} | {problem.settings} | {effects} | {line} | {seconds:.2f} s", flush=True
            )


if __name__ == "__main__":
    main()
