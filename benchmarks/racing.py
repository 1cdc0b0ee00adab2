"""Simulates races over seeds on the stored tables of trials: what they cost and what they lose.

    python benchmarks/racing.py
    python benchmarks/racing.py --repetitions 2000

A table holds accuracies of random policies of each family under many seeds (`benchmarks/data`). A repetition draws a
search of eight policies a family from it: its rounds, the recipe's four baselines always among them, and its seeds.
Each scheme then names the best policy of each family by its validation score. These finalists are confirmed on seeds
that no scheme has seen: the one with the highest validation score there is the winner, and its mean test accuracy there
is what counts. Reference: all policies under 5 seeds, or 10.

    trainings  the number for a family, one a seed
    share      that number as a share of the reference's
    winner     how often the confirmed winner is the very policy that the reference leads to
    not worse  the same, or one that a paired one-sided t-test on the fresh seeds does not call worse (5 %)
    loss       mean test accuracy given up against the reference, in points, with its 95 % interval over repetitions

All schemes see the same searches. The repetitions draw from one table, so their interval does not cover what another
table would change. `the same again` is the reference under other seeds: how far it agrees with itself.

`synchronous`: all of a family's policies run a heat; the best of them, by the mean over all seeds so far, run the next.
`asynchronous`: trials stop as under Tune's ASHAScheduler, one bracket a family. A policy that reaches a rung continues
if it is among the best 1/reduction of those that have reached it so far.
"""

from __future__ import annotations

import csv
import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.stats
from scaffold import parser, table

TABLES = [
    pathlib.Path(__file__).parent / "data" / f"trials-{recipe}.csv"
    for recipe in ("digits-quick", "unreliable-batches-digits")
]
TRIALS, BASELINES = 8, 4
"""Policies a family, and of them those rounds that are always drawn."""
Array: TypeAlias = "np.ndarray"


class Table(NamedTuple):
    """Accuracies, [families, rounds, seeds]."""

    name: str
    families: list[str]
    validation: Array
    test: Array


def read_table(path: pathlib.Path) -> Table:
    """Read a table's whole rounds."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    families = list(dict.fromkeys(row["family"] for row in rows))
    rounds = len(rows) // len(families)
    seeds = sum(name.startswith("validation_") for name in rows[0])
    of = {(row["family"], int(row["round"])): row for row in rows}

    def scores(kind: str) -> Array:
        return np.array(
            [[[float(of[f, r][f"{kind}_{s}"]) for s in range(seeds)] for r in range(rounds)] for f in families]
        )

    return Table(path.stem.removeprefix("trials-"), families, scores("validation"), scores("test"))


Scheme: TypeAlias = "Callable[[Array], tuple[int, int]]"
"""Validation scores of one family's policies, [policies, seeds] -> the place of the best, trainings spent."""


def all_alike(seeds: int) -> Scheme:
    """Make a scheme without a race: every policy is trained under so many seeds."""

    def scheme(scores: Array) -> tuple[int, int]:
        return int(scores[:, :seeds].mean(1).argmax()), seeds * len(scores)

    return scheme


def the_same_again(seeds: int) -> Scheme:
    """Make the scheme of `all_alike` under the seeds that follow its own."""
    return lambda scores: (int(scores[:, seeds : 2 * seeds].mean(1).argmax()), seeds * len(scores))


def synchronous(seeds: tuple[int, ...], entrants: tuple[int, ...]) -> Scheme:
    """Make a race in heats of `entrants` policies, after which each has been trained under `seeds` seeds."""

    def race(scores: Array) -> tuple[int, int]:
        alive, spent, before = np.arange(len(scores)), 0, 0
        for upto, most in zip(seeds, entrants, strict=True):
            order = np.argsort(-scores[alive, :before].mean(1), kind="stable") if before else np.arange(len(alive))
            alive = alive[order][:most]
            spent += len(alive) * (upto - before)
            before = upto
        return int(alive[scores[alive, :before].mean(1).argmax()]), spent

    return race


def asynchronous(seeds: tuple[int, ...], reduction: float) -> Scheme:
    """Make a race in which policies come one after the other; each continues at once or never."""

    def race(scores: Array) -> tuple[int, int]:
        reached: list[list[float]] = [[] for _ in seeds]
        spent, full = 0, []
        for place, row in enumerate(scores):
            before = 0
            for rung, upto in enumerate(seeds):
                spent += upto - before
                before = upto
                score = float(row[:upto].mean())
                cutoff = np.percentile(reached[rung], 100 * (1 - 1 / reduction)) if reached[rung] else -math.inf
                reached[rung].append(score)
                if upto == seeds[-1]:
                    full.append((score, -place))
                elif score < cutoff:
                    break
        return -max(full)[1], spent

    return race


def cases(most: int) -> dict[str, Scheme]:
    """Return the schemes to compare where the reference has `most` seeds, by name."""
    races = {
        5: [((1, 2, 5), (8, 4, 2)), ((1, 5), (8, 4)), ((1, 5), (8, 2)), ((1, 2, 5), (8, 2, 1)), ((1, 2, 3), (8, 4, 2))],
        10: [((1, 3, 10), (8, 4, 2)), ((1, 3, 10), (8, 2, 1)), ((2, 10), (8, 2))],
    }[most]
    ladder = races[0][0]
    return {
        "the same again": the_same_again(most),
        **{f"no race, {seeds} seeds": all_alike(seeds) for seeds in (2, 3, 4)},
        **{f"{seeds} seeds; {entrants} policies": synchronous(seeds, entrants) for seeds, entrants in races},
        f"asynchronous, {ladder} seeds, the best quarter": asynchronous(ladder, 4),
        f"asynchronous, {ladder} seeds, the best half": asynchronous(ladder, 2),
    }


class Search(NamedTuple):
    """A drawn search: rounds in the order of their suggestion, its seeds and the fresh ones."""

    rounds: Array
    seeds: Array
    fresh: Array


def draw(trials: Table, most: int, random: np.random.Generator) -> Search:
    """Draw a search: the rounds with baselines first, then others at random."""
    _, rounds, seeds = trials.validation.shape
    others = random.choice(np.arange(BASELINES, rounds), TRIALS - BASELINES, replace=False)
    order = random.permutation(seeds)
    return Search(np.concatenate([np.arange(BASELINES), others]), order[:most], order[most:])


class Outcome(NamedTuple):
    """The result of a scheme: each family's finalist as a round, the winner's place among the families, its cost."""

    finalists: tuple[int, ...]
    winner: int
    spent: int


def outcome(trials: Table, search: Search, scheme: Scheme) -> Outcome:
    """Race each family, and confirm the finalists."""
    raced = [scheme(trials.validation[f][np.ix_(search.rounds, search.seeds)]) for f in range(len(trials.families))]
    finalists = tuple(int(search.rounds[place]) for place, _ in raced)
    fresh = [trials.validation[f, r, search.fresh].mean() for f, r in enumerate(finalists)]
    return Outcome(finalists, int(np.argmax(fresh)), sum(spent for _, spent in raced))


def compare(trials: Table, name: str, scheme: Scheme, most: int, searches: list[Search]) -> list[str]:
    """Return one row of the table."""
    spent, same, kept, losses = [], [], [], []
    for seen in searches:
        if name == "the same again":  # its seeds are among the reference's fresh ones
            seen = Search(seen.rounds, np.concatenate([seen.seeds, seen.fresh[:most]]), seen.fresh[most:])
        full, raced = outcome(trials, seen, all_alike(most)), outcome(trials, seen, scheme)
        spent.append(raced.spent / len(trials.families))
        difference = tested(trials, seen, full) - tested(trials, seen, raced)
        alike = full.finalists[full.winner] == raced.finalists[raced.winner] and full.winner == raced.winner
        same.append(alike)
        kept.append(alike or not called_worse(difference))
        losses.append(100 * difference.mean())
    half = 1.96 * np.std(losses, ddof=1) / math.sqrt(len(losses))
    loss = f"{np.mean(losses):+.2f} ± {half:.2f}"
    shares = [np.mean(spent) / most / TRIALS, np.mean(same), np.mean(kept)]
    return [name, f"{np.mean(spent):.0f}", *(f"{share:.0%}" for share in shares), loss]


def tested(trials: Table, search: Search, of: Outcome) -> Array:
    """Return the test accuracies of the winner under the fresh seeds."""
    scores: Array = trials.test[of.winner, of.finalists[of.winner], search.fresh]
    return scores


def called_worse(difference: Array) -> bool:
    """Return True if a paired one-sided t-test says that the reference is ahead."""
    error = difference.std(ddof=1) / math.sqrt(len(difference))
    return bool(difference.mean() > scipy.stats.t.ppf(0.95, len(difference) - 1) * error)


def main() -> None:
    """Print a table of races for each table of trials."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--repetitions", type=int, default=500)
    repetitions = options.parse_args().repetitions
    for path in TABLES:
        trials = read_table(path)
        families, rounds, seeds = trials.validation.shape
        for most in (5, 10):
            if seeds < most + 2:
                continue
            random = np.random.default_rng(0)  # the same searches for all
            searches = [draw(trials, most, random) for _ in range(repetitions)]
            print(f"\n{trials.name}: {families} families, {rounds} policies each, {seeds} seeds\n")
            head = [f"against all under {most} seeds", "trainings", "share", "winner", "not worse", "loss"]
            rows = [
                compare(trials, name, scheme, most, searches)
                for name, scheme in cases(most).items()
                if name != "the same again" or seeds >= 2 * most + 2
            ]
            print(*table(head, rows), sep="\n", flush=True)


if __name__ == "__main__":
    main()
