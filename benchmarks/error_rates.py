"""Measures how often a confirmation's verdict is wrong, on simulated confirmations whose truth is known.

    python -m benchmarks.error_rates --simulations 1000

- nothing to find: rules exactly as good as the best constant. How often is one called better?
- one rule gains exactly the smallest gain that is worth it. How often is none said to be worth it?
- intervals: how often do they hold a rule's true gain, for new seeds and new samples?
- planted gains: one rule is ahead by the gain that would be seen four times in five, and by other multiples of it.
- two good rules: is the simpler one named where they are equally good, and the better one where it is clearly better?
- seeds added until a rule is named: how often is one, with nothing to find?

`benchmarks/simulated_confirmations.py` describes how they are drawn.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from benchmarks.scaffold import parser
from benchmarks.simulated_confirmations import CURVES, Problem, simulate
from search.evidence import Comparison, choose, compare, verdict_kind
from search.records import ConfirmationRecord
from search.settings import SMALLEST_POINTS

LOOKS = ((10,), (10, 20), (5, 10, 15, 20))
WIDTHS = (0.5, 1.0, 2.0)
"""Planted gains, in multiples of the gain that would be seen four times in five."""


@dataclasses.dataclass(frozen=True)
class Tally:
    """Counts and means over simulated confirmations of one problem; gains in points."""

    count: int
    kinds: dict[str, int]
    """The number of times each answer was given."""
    wins: dict[str, int]
    """The number of times each rule was said to beat the constants, whatever answer comes first."""
    too_low: int
    """The number of times no rule was said to be worth it although one gains as much as is worth it."""
    detectable: float
    """The mean of the gain that would have been seen."""
    covered: float
    """Share of the intervals, of all rules, that hold the true gain."""
    overstated: float
    """Mean of the named rules' gains minus their true ones; NaN if no rule was named."""

    @property
    def winners(self) -> int:
        """The number of times a rule was said to beat the constants."""
        return sum(self.wins.values())


def tally(problem: Problem, simulations: int, seed: int) -> Tally:
    """Judge simulated confirmations of a problem; the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    worths = problem.worths
    kinds: dict[str, int] = {}
    wins: dict[str, int] = {}
    detectable, too_low = 0.0, 0
    inside: list[bool] = []
    errors: list[float] = []
    for _ in range(simulations):
        record = simulate(problem, rng)
        comparison = compare(record)
        choice = choose(record, comparison)
        kind = verdict_kind(record, comparison, choice)
        kinds[kind] = kinds.get(kind, 0) + 1
        detectable += 100.0 * (comparison.detectable or 0.0)
        assert comparison.baseline is not None
        base = worths[comparison.baseline]
        best = max(worths[f"rule-{n}"] for n in range(problem.rules)) - base
        too_low += kind == "constant" and best >= SMALLEST_POINTS - 1e-9
        inside += _hits(comparison, worths, base)
        if choice is not None:
            wins[choice.winner] = wins.get(choice.winner, 0) + 1
            gain = comparison.of(choice.winner).difference
            assert gain is not None
            errors.append(100.0 * gain.mean - (worths[choice.winner] - base))
    return Tally(
        count=simulations,
        kinds=kinds,
        wins=wins,
        too_low=too_low,
        detectable=detectable / simulations,
        covered=float(np.mean(inside)),
        overstated=float(np.mean(errors)) if errors else float("nan"),
    )


def _hits(comparison: Comparison, worths: dict[str, float], base: float) -> list[bool]:
    hits = []
    for row in comparison.rows:
        gain = row.difference
        if row.role == "rule" and gain is not None and gain.low is not None and gain.high is not None:
            hits.append(100.0 * gain.low <= worths[row.key] - base <= 100.0 * gain.high)
    return hits


def named_at_a_look(problem: Problem, looks: Sequence[int], simulations: int, seed: int) -> tuple[int, int]:
    """Count how often a rule is named at one of several looks, each with more seeds, and also if looks were free."""
    rng = np.random.default_rng(seed)
    as_told, free = 0, 0
    for _ in range(simulations):
        whole = simulate(dataclasses.replace(problem, seeds=max(looks)), rng)
        records = [_first_seeds(whole, looks[: place + 1]) for place in range(len(looks))]
        as_told += any(choose(record, compare(record)) for record in records)
        unaware = [record.model_copy(update={"settings": {}}) for record in records]
        free += any(choose(record, compare(record)) for record in unaware)
    return as_told, free


def _first_seeds(whole: ConfirmationRecord, looks: Sequence[int]) -> ConfirmationRecord:
    return whole.model_copy(
        update={
            "seeds": whole.seeds[: looks[-1]],
            "results": tuple(result for result in whole.results if result.seed < looks[-1]),
            "settings": {"seeds_asked": list(looks)},
        }
    )


def no_difference() -> list[Problem]:
    """Return problems without a better rule."""
    sizes = [(rules, seeds) for rules in (6, 29) for seeds in (3, 5, 10)]
    shapes = [Problem(rules=r, seeds=s, curve=curve) for curve in CURVES for r, s in sizes]
    noises = [Problem(rules=6, seeds=s, noise=n) for n in ("heavy", "skewed", "collapsing") for s in (3, 5, 10)]
    small = [Problem(rules=r, seeds=s, test_size=n, own=o) for n, o in ((360, 0.1), (500, 0.8)) for r, s in sizes]
    large = [Problem(rules=6, seeds=s, curve=curve, test_size=10_000) for curve in ("flat", "peaked") for s in (5, 10)]
    blind = [Problem(rules=6, seeds=s, test_size=10_000, by_sample=False) for s in (3, 5, 10)]
    return [*shapes, *noises, *small, *large, *blind]


def at_the_margin(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems in which one rule gains just what is worth it: the hardest case for the answer that none is."""
    return [dataclasses.replace(problem, gains=(0.0, SMALLEST_POINTS)) for problem in problems if problem.rules == 6]


def planted(idle: Iterable[tuple[Problem, Tally]]) -> list[Problem]:
    """Return problems in which one rule leads by a multiple of the gain that verdicts without a gain promise to see."""
    return [
        dataclasses.replace(problem, gains=(0.0, width * result.detectable))
        for problem, result in idle
        if problem in [Problem(rules=r, seeds=s, curve=c) for r in (6, 29) for s in (5, 10) for c in ("peaked", "flat")]
        for width in WIDTHS
    ]


def two_good_rules(gain: float) -> list[Problem]:
    """Return problems in which the first (simplest) and third rule gain alike, or the third clearly more."""
    pairs = [(1.5, 1.5), (2.0, 2.0), (1.5, 3.0), (1.5, 1.8)]
    return [Problem(gains=(a * gain, 0.0, b * gain)) for a, b in pairs]


def main() -> None:
    """Print the tables."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--simulations", type=int, default=1_000, help="confirmations of each problem (1,000)")
    options.add_argument("--processes", type=int, default=1, help="side by side (1)")
    arguments = options.parse_args()
    began = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor(arguments.processes) as pool:

        def run(problems: Iterable[Problem]) -> Iterator[tuple[Problem, Tally]]:
            listed = list(problems)
            judged = pool.map(functools.partial(_judged, arguments.simulations), enumerate(listed))
            return zip(listed, judged, strict=True)

        idle = _print_answers("Nothing to find (a rule: at most 5 %; intervals: 95 ± 1 %)", run(no_difference()))
        _print_answers(
            "One rule gains what is worth it (wrongly none: at most 5 %)", run(at_the_margin(no_difference()))
        )
        _print_found(run(planted(idle)))
        _print_simplest(run(two_good_rules(next(t.detectable for p, t in idle if p == Problem()))))
        _print_looks(
            [named_at_a_look(Problem(), looks, arguments.simulations, 0) for looks in LOOKS], arguments.simulations
        )
    print(f"\n{arguments.simulations:,} confirmations a row, {time.perf_counter() - began:.0f} s")


def _judged(simulations: int, entry: tuple[int, Problem]) -> Tally:
    seed, problem = entry
    return tally(problem, simulations, seed)


def _print_answers(title: str, rows: Iterable[tuple[Problem, Tally]]) -> list[tuple[Problem, Tally]]:
    """Print each row as soon as it is known; return all rows."""
    done = []
    print(f"\n{title}")
    print(f"{'':<54} a rule  answer: rule  constant  cannot tell  wrongly none  interval holds  detectable")
    for problem, result in rows:
        done.append((problem, result))
        kinds = [result.kinds.get(kind, 0) / result.count for kind in ("rule", "constant", "cannot_tell")]
        print(
            f"{problem.title:<54} {result.winners / result.count:>6.1%} {kinds[0]:>13.1%} {kinds[1]:>9.1%}"
            f" {kinds[2]:>12.1%} {result.too_low / result.count:>13.1%} {result.covered:>15.1%}"
            f" {result.detectable:>11.2f}",
            flush=True,
        )
    return done


def _print_found(rows: Iterable[tuple[Problem, Tally]]) -> None:
    print("\nOne rule gains half, once and twice what would have been seen (promised: 80 % at once)")
    print(f"{'':<54}   gain   found   another named   overstated   interval holds")
    for problem, result in rows:
        found = result.wins.get("rule-1", 0)
        print(
            f"{problem.title:<54} {problem.gains[1]:>6.2f} {found / result.count:>7.1%}"
            f" {(result.winners - found) / result.count:>15.1%} {result.overstated:>12.2f} {result.covered:>16.1%}"
        )


def _print_simplest(rows: Iterable[tuple[Problem, Tally]]) -> None:
    print("\nTwo good rules, one of one number and one of three: which is named")
    print(f"{'':<54}    gains      simple   third   none   other")
    for problem, result in rows:
        simple, third = result.wins.get("rule-0", 0), result.wins.get("rule-2", 0)
        none = result.count - result.winners
        shares = [amount / result.count for amount in (simple, third, none, result.winners - simple - third)]
        print(
            f"{problem.title:<54} {problem.gains[0]:>5.2f}, {problem.gains[2]:.2f} "
            + " ".join(f"{share:>7.1%}" for share in shares)
        )


def _print_looks(rows: list[tuple[int, int]], simulations: int) -> None:
    print("\nNothing to find, seeds added until a rule is named (promised: at most 5 %)")
    print(f"{'seeds at each look':<54}  verdict   if looks were free")
    for looks, (as_told, free) in zip(LOOKS, rows, strict=True):
        print(f"{', '.join(map(str, looks)):<54} {as_told / simulations:>8.1%} {free / simulations:>20.1%}")


if __name__ == "__main__":
    main()
