"""Simulates races over seeds on the stored tables of trials: what they cost and what they lose.

    python benchmarks/racing.py
    python benchmarks/racing.py --repetitions 2000 --table benchmarks/data/trials-digits-quick.csv

A repetition draws a search from a table (`benchmarks/trial_table.py`): its rounds, the recipe's baselines always among
them, and the seeds it trains under. Each scheme then names the best policy of each family by its validation score.
These finalists are confirmed on seeds that no scheme has seen: the one with the highest validation score there is the
winner, and its mean test accuracy there is what counts. Reference: all policies under 5 seeds, or 10.

    trainings  the number for a family, one a seed
    steps      training steps, as a share of the reference's
    winner     how often the confirmed winner is the very policy that the reference leads to
    not worse  the same, or one that a paired one-sided t-test on the fresh seeds does not call worse (5 %)
    loss       mean test accuracy given up against the reference, in points, with its 95 % interval over repetitions
    families   the same for each family's finalist, averaged

All schemes see the same searches. The repetitions draw from one table, so their interval does not cover what another
table would change. `the same again` is the reference under other seeds: how far it agrees with itself.

`synchronous`: all of a family's policies run a heat; the best of them, by the mean over all seeds so far, run the next.
`asynchronous`: trials stop as under Tune's ASHAScheduler, one bracket a family. A policy that reaches a rung continues
if it is among the best 1/reduction of those that have reached it so far.
"""

from __future__ import annotations

import argparse
import csv
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.stats

TABLES = [
    pathlib.Path(__file__).parent / "data" / f"trials-{recipe}.csv"
    for recipe in ("digits-quick", "unreliable-batches-digits")
]
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


class Case(NamedTuple):
    """A scheme, and the seeds that it needs."""

    name: str
    scheme: Scheme
    seeds: int


def cases(most: int, trials: int) -> Iterator[Case]:
    """Yield all schemes to compare where the reference has `most` seeds, for families of so many trials."""
    yield Case("the same again", the_same_again(most), 2 * most)
    for seeds in (1, 2, 3, 4, 5, 10):
        if seeds < most:
            yield Case(f"no race, {seeds} seeds", all_alike(seeds), seeds)
    for ladder in {
        5: ((1, 3), (1, 2, 3), (1, 5), (1, 2, 5), (1, 3, 5), (2, 5)),
        10: ((1, 10), (1, 3, 10), (1, 2, 5, 10), (2, 10)),
    }[most]:
        entrants = {
            tuple(max(1, rounding(trials / reduction**k)) for k in range(len(ladder)))
            for reduction in (2, 3, 4)
            for rounding in (math.floor, math.ceil)
        }
        for policies in sorted(entrants, reverse=True):
            name = f"synchronous, {words(ladder)} seeds, {words(policies)} policies"
            yield Case(name, synchronous(ladder, policies), ladder[-1])
        for reduction in (2, 4):
            name = f"asynchronous, {words(ladder)} seeds, reduction {reduction}"
            yield Case(name, asynchronous(ladder, reduction), ladder[-1])


def words(numbers: tuple[int, ...]) -> str:
    """Join numbers to text like `1, 3, 10`."""
    return ", ".join(map(str, numbers))


class Search(NamedTuple):
    """A drawn search: rounds in the order of their suggestion, its seeds and the fresh ones."""

    rounds: Array
    seeds: Array
    fresh: Array


def draw(table: Table, trials: int, most: int, baselines: int, random: np.random.Generator) -> Search:
    """Draw a search: the rounds with baselines first, then others at random."""
    _, rounds, seeds = table.validation.shape
    others = random.choice(np.arange(baselines, rounds), trials - baselines, replace=False)
    order = random.permutation(seeds)
    return Search(np.concatenate([np.arange(baselines), others]), order[:most], order[most:])


class Outcome(NamedTuple):
    """The result of a scheme: each family's finalist as a round, the winner's place among the families, its cost."""

    finalists: tuple[int, ...]
    winner: int
    spent: int


def outcome(table: Table, search: Search, scheme: Scheme) -> Outcome:
    """Race each family, and confirm the finalists."""
    raced = [scheme(table.validation[f][np.ix_(search.rounds, search.seeds)]) for f in range(len(table.families))]
    finalists = tuple(int(search.rounds[place]) for place, _ in raced)
    fresh = [table.validation[f, r, search.fresh].mean() for f, r in enumerate(finalists)]
    return Outcome(finalists, int(np.argmax(fresh)), sum(spent for _, spent in raced))


def compare(table: Table, case: Case, most: int, searches: list[Search]) -> str:
    """Return one row of the table."""
    spent, same, kept, losses, family_losses = [], [], [], [], []
    for search in searches:
        seen = search
        if case.seeds > most:  # the reference again: fewer seeds are left as fresh ones
            more = case.seeds - most
            seen = Search(search.rounds, np.concatenate([search.seeds, search.fresh[:more]]), search.fresh[more:])
        full, raced = outcome(table, seen, all_alike(most)), outcome(table, seen, case.scheme)
        spent.append(raced.spent / len(table.families))
        difference = tested(table, seen, full, full.winner) - tested(table, seen, raced, raced.winner)
        alike = full.finalists[full.winner] == raced.finalists[raced.winner] and full.winner == raced.winner
        same.append(alike)
        kept.append(alike or not called_worse(difference))
        losses.append(100 * difference.mean())
        family_losses.append(
            100
            * np.mean(
                [
                    (tested(table, seen, full, f) - tested(table, seen, raced, f)).mean()
                    for f in range(len(table.families))
                ]
            )
        )
    half = 1.96 * np.std(losses, ddof=1) / math.sqrt(len(losses))
    trials = len(searches[0].rounds)
    return (
        f"| {case.name} | {np.mean(spent):.0f} | {np.mean(spent) / most / trials:.0%} | {np.mean(same):.0%} |"
        f" {np.mean(kept):.0%} | {np.mean(losses):+.2f} ± {half:.2f} | {np.mean(family_losses):+.2f} |"
    )


def tested(table: Table, search: Search, of: Outcome, family: int) -> Array:
    """Return the test accuracies of a family's finalist under the fresh seeds."""
    scores: Array = table.test[family, of.finalists[family], search.fresh]
    return scores


def called_worse(difference: Array) -> bool:
    """Return True if a paired one-sided t-test says that the reference is ahead."""
    error = difference.std(ddof=1) / math.sqrt(len(difference))
    return bool(difference.mean() > scipy.stats.t.ppf(0.95, len(difference) - 1) * error)


def main() -> None:
    """Print a table of races for each table of trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=pathlib.Path, action="append", help="[those of two recipes]")
    parser.add_argument("--trials", type=int, default=8, help="policies a family")
    parser.add_argument("--baselines", type=int, default=4, help="of them, rounds that are always drawn")
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for path in arguments.table or TABLES:
        table = read_table(path)
        families, rounds, seeds = table.validation.shape
        for most in (5, 10):
            if seeds < most + 2:
                continue
            random = np.random.default_rng(arguments.seed)  # the same searches for all
            searches = [
                draw(table, arguments.trials, most, arguments.baselines, random) for _ in range(arguments.repetitions)
            ]
            print(f"\n{table.name}: {families} families, {rounds} policies each, {seeds} seeds\n")
            print(f"| against all under {most} seeds | trainings | steps | winner | not worse | loss | families |")
            print("| --- | --- | --- | --- | --- | --- | --- |")
            for case in cases(most, arguments.trials):
                if seeds >= case.seeds + 2:
                    print(compare(table, case, most, searches), flush=True)


if __name__ == "__main__":
    main()
