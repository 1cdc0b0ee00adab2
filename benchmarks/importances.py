"""Measures how often a search's report names the setting that matters, on simulated trials whose truth is known.

    python benchmarks/importances.py --simulations 100

Trials are drawn evenly over settings in [0, 1]. The score is the sum of the linear effects of some settings and of
noise with deviation 1. Effects are given as deviations of the score: `2,1` are two settings that matter, the first
with twice the other's effect. For each problem the table tells how often the first setting has the largest share; how
often *a* setting is named as the one that mattered most, and the wrong one; and how often the first one's 95 % interval
holds its true share.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scaffold import parser, table

from search.evidence import RESAMPLES, SURE, Axis, bootstrap_shares

Array: TypeAlias = npt.NDArray[np.float64]


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


def shares(x: Array, y: Array) -> Array:
    """Compute shares as a report does, of settings [N, D] and scores [N]; return those of resamples [R, D]."""
    axes = {f"x{d}": Axis(x[:, d].tolist(), (0.0, 1.0)) for d in range(x.shape[1])}
    rows = bootstrap_shares(axes, y.tolist(), resamples=RESAMPLES)
    assert rows is not None
    return rows


def simulate(problem: Problem, simulations: int) -> list[str]:
    """Simulate a problem; return the cells of its results."""
    effects = np.zeros(problem.settings)
    effects[: len(problem.effects)] = problem.effects
    truth = effects[0] ** 2 / (effects**2).sum() if problem.effects else np.nan
    first, named, wrong, covered, share, width = [], [], [], [], [], []
    for seed in range(simulations):
        rng = np.random.default_rng(seed)
        x = rng.random((problem.trials, problem.settings))
        y = (x - 0.5) @ effects * np.sqrt(12.0) + rng.standard_normal(problem.trials)
        rows = shares(x, y)
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
    return told


def main() -> None:
    """Simulate all problems and print the table."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--simulations", type=int, default=100)
    simulations = options.parse_args().simulations
    warnings.simplefilter("ignore")
    rows = []
    for problem in PROBLEMS:
        effects = ", ".join(f"{effect:g}" for effect in problem.effects) or "none"
        rows.append([str(problem.trials), str(problem.settings), effects, *simulate(problem, simulations)])
        print(*rows[-1], flush=True)
    head = "trials, settings, effects, first, named, wrong, true share, share, width, holds it"
    print(*table(head.split(", "), rows), sep="\n")


if __name__ == "__main__":
    main()
