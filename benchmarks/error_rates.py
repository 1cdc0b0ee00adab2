"""How often a confirmation's verdict is wrong, on simulated confirmations whose truth is known.

    python benchmarks/error_rates.py --simulations 2000

Accuracies are made of what a finalist is worth, what a seed does to all finalists alike, what it does to this one, and
the step of one picture; one student's validation and test accuracy share part of its noise, and the validation pictures
favour some finalists for good. Four questions:

- nothing to find: rules exactly as good as the best constant. How often is a winner named?
- a gain: one rule is ahead by what the verdict itself says would have been seen. How often is it found?
- two good rules: is the simpler one named where they are equally good, and the better one where it is clearly better?
- seeds added until a winner is named: how often is one, with nothing to find?
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from search.confirmation import ConfirmationRecord, Finalist, Role, SeedResult, SetScore
from search.evidence.choice import choose
from search.evidence.comparison import Comparison, compare, difference
from search.evidence.paired import holm
from search.evidence.power import LEVEL

Array: TypeAlias = npt.NDArray[np.float64]
Noise: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]
CONSTANTS = (0.1, 0.25, 0.5, 0.75, 0.9)
CURVES = {
    "peaked": (-3.0, -1.5, -0.5, 0.0, -1.0),
    "flat": (0.0, 0.0, 0.0, 0.0, 0.0),
    "near": (-0.2, -0.2, 0.0, -0.2, -0.2),
}
"""What the constants of `CONSTANTS` are worth, in points below the best."""
LOOKS = ((10,), (10, 20), (5, 10, 15, 20))


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_t(3, shape) / np.sqrt(3.0))


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(1.0 - rng.standard_exponential(shape))


def _collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal, but one training in fifty falls by ten deviations."""
    return rng.standard_normal(shape) - 10.0 * (rng.random(shape) < 0.02)


NOISES: dict[str, Noise] = {"normal": _normal, "heavy": _heavy, "skewed": _skewed, "collapsing": _collapsing}
"""Mean about 0 and deviation about 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A kind of confirmation. Worths, gains and deviations in points of accuracy."""

    rules: int = 5
    seeds: int = 10
    curve: str = "peaked"
    noise: str = "normal"
    test_size: int = 10_000
    shared: float = 0.4
    """Deviation of what a seed does to all finalists."""
    own: float = 0.3
    """Deviation of what it does to one: a difference of two has 1.4 times that."""
    gains: tuple[float, ...] = ()
    """Of the first rules over the best constant; the others gain nothing. The first rule is the simplest."""

    @property
    def title(self) -> str:
        """The problem as the start of a row of the table."""
        counts = f"{self.rules:>2} rules {self.seeds:>2} seeds"
        return f"{counts} {self.curve:<6} {self.noise:<10} {self.own:.1f} {self.test_size:>6,}"


@functools.cache
def finalists(rule_count: int) -> tuple[Finalist, ...]:
    """Rules in the order of their complexity, then the constants."""

    def finalist(key: str, role: Role, family: str, complexity: int, weight: float | None) -> Finalist:
        parameters = {} if weight is None else {"weight": weight}
        return Finalist(
            key=key,
            role=role,
            family=family,
            parameters=parameters,
            shared={},
            rule=key,
            complexity=complexity,
            trial=None,
            search_score=None,
        )

    rules = [finalist(f"rule-{n}", "rule", f"rule_{n}", n + 1, None) for n in range(rule_count)]
    constants = [finalist(f"fixed-{w:g}", "constant", "fixed", 1, w) for w in CONSTANTS]
    ends = [
        finalist("labels_alone", "labels_alone", "fixed", 1, 0.0),
        finalist("teacher_alone", "teacher_alone", "fixed", 1, 1.0),
    ]
    return (*rules, *constants, *ends)


def simulate(problem: Problem, rng: np.random.Generator) -> ConfirmationRecord:
    """One confirmation of a problem."""
    entries = finalists(problem.rules)
    gains = (*problem.gains, *(0.0 for _ in range(problem.rules - len(problem.gains))))
    worth = np.array([*gains, *CURVES[problem.curve], -4.0, -2.0])
    shape = (len(entries), problem.seeds)
    noise = NOISES[problem.noise]
    student = problem.shared * noise(rng, (1, problem.seeds)) + problem.own * np.sqrt(0.75) * noise(rng, shape)
    favour = problem.own / 2.0 * rng.standard_normal((len(entries), 1))
    test = student + problem.own / 2.0 * rng.standard_normal(shape)
    validation = student + favour + problem.own / 2.0 * rng.standard_normal(shape)

    def scores(points: Array, size: int) -> Array:
        return np.asarray(np.clip(np.rint((85.0 + worth[:, None] + points) / 100.0 * size), 0, size) / size)

    return ConfirmationRecord.model_construct(
        search="simulated",
        seeds=tuple(range(problem.seeds)),
        finalists=entries,
        results=tuple(
            SeedResult.model_construct(
                finalist=entry.key,
                seed=seed,
                validation=_score(ours[seed]),
                test=_score(sealed[seed]),
                seconds=0.0,
                own_kpis={},
            )
            for entry, ours, sealed in zip(
                entries, scores(validation, problem.test_size // 2), scores(test, problem.test_size), strict=True
            )
            for seed in range(problem.seeds)
        ),
        test_size=problem.test_size,
        complete=True,
    )


@functools.lru_cache(maxsize=8192)
def _score(accuracy: float) -> SetScore:
    return SetScore.model_construct(accuracy=float(accuracy), loss=0.0, calibration_error=0.0, agreement=None)


@dataclasses.dataclass(frozen=True)
class Tally:
    """Of some simulations of one problem: how often each key won, and means in points."""

    wins: dict[str, int]
    by_validation: int
    """How often a winner would have been named if only the constant that validation names had to be beaten."""
    by_test: int
    """The same for the constant with the highest test accuracy."""
    detectable: float
    """Mean of the gain that would have been seen."""
    overstated: float
    """Mean of a winner's gain minus its true one; NaN without a winner."""
    covered: float
    """Share of the winners' intervals that hold the true gain; NaN without a winner."""
    count: int

    @property
    def winners(self) -> int:
        """How often a rule was named."""
        return sum(self.wins.values())


def tally(problem: Problem, simulations: int, seed: int) -> Tally:
    """Judge simulated confirmations of a problem; the same ones for the same seed.

    `choose` is what decides a verdict; its sentences take no part.
    """
    rng = np.random.default_rng(seed)
    wins: dict[str, int] = {}
    detectable, by_validation, by_test = 0.0, 0, 0
    errors, inside = [], []
    for _ in range(simulations):
        record = simulate(problem, rng)
        comparison = compare(record)
        choice = choose(record, comparison)
        assert comparison.baseline is not None
        by_validation += _named(record, comparison, comparison.baseline)
        by_test += _named(record, comparison, comparison.highest)
        detectable += 100.0 * (comparison.detectable or 0.0)
        if choice is not None:
            wins[choice.winner] = wins.get(choice.winner, 0) + 1
            gain = comparison.of(choice.winner).difference
            truth = _true_gain(problem, choice.winner, comparison.baseline)
            assert gain is not None
            assert gain.low is not None
            assert gain.high is not None
            errors.append(100.0 * gain.mean - truth)
            inside.append(100.0 * gain.low <= truth <= 100.0 * gain.high)
    return Tally(
        wins=wins,
        by_validation=by_validation,
        by_test=by_test,
        detectable=detectable / simulations,
        overstated=float(np.mean(errors)) if errors else float("nan"),
        covered=float(np.mean(inside)) if inside else float("nan"),
        count=simulations,
    )


def named_at_a_look(problem: Problem, looks: Sequence[int], simulations: int, seed: int) -> tuple[int, int]:
    """How often a winner is named at one of several looks, each with more seeds, and how often it would be if looks
    were free.
    """
    rng = np.random.default_rng(seed)
    as_told, free = 0, 0
    for _ in range(simulations):
        whole = simulate(dataclasses.replace(problem, seeds=max(looks)), rng)
        records = [
            whole.model_copy(
                update={
                    "seeds": whole.seeds[:look],
                    "results": tuple(result for result in whole.results if result.seed < look),
                    "settings": {"seeds_asked": list(looks[: place + 1])},
                }
            )
            for place, look in enumerate(looks)
        ]
        as_told += any(choose(record, compare(record)) for record in records)
        unaware = [record.model_copy(update={"settings": {}}) for record in records]
        free += any(choose(record, compare(record)) for record in unaware)
    return as_told, free


def _named(record: ConfirmationRecord, comparison: Comparison, constant: str | None) -> bool:
    """Whether a rule would be said to beat this one constant."""
    rules = [row for row in comparison.rows if row.role == "rule"]
    if constant is None:
        return False
    if constant == comparison.baseline:
        tests = [row.difference for row in rules]
    else:
        tests = [difference(record, row.key, constant) for row in rules]
    return any(p <= LEVEL for p in holm(t.p_ahead for t in tests if t is not None and t.p_ahead is not None))


def _true_gain(problem: Problem, rule: str, constant: str) -> float:
    place = int(rule.removeprefix("rule-"))
    gain = problem.gains[place] if place < len(problem.gains) else 0.0
    known = dict(zip((f"fixed-{w:g}" for w in CONSTANTS), CURVES[problem.curve], strict=True))
    return gain - {**known, "labels_alone": -4.0, "teacher_alone": -2.0}[constant]


def no_difference() -> list[Problem]:
    """Problems without a better rule."""
    sizes = [(rules, seeds) for rules in (5, 12) for seeds in (10, 5)]
    plain = [Problem(rules=r, seeds=s, curve=curve) for curve in CURVES for r, s in sizes]
    other = [Problem(rules=r, seeds=s, noise=noise) for noise in ("heavy", "skewed", "collapsing") for r, s in sizes]
    small = [Problem(rules=r, seeds=s, test_size=360, own=own) for own in (0.1, 0.8) for r, s in sizes]
    return plain + other + small


def planted(idle: Iterable[tuple[Problem, Tally]]) -> list[Problem]:
    """One rule ahead of the best constant by what the verdicts on the same problem without a gain promise to see."""
    return [
        dataclasses.replace(problem, gains=(0.0, result.detectable))
        for problem, result in idle
        if problem.curve in ("peaked", "flat") and problem.noise != "collapsing"
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2_000, help="confirmations of each problem (2,000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="side by side (all cores)")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    _warm_up()  # a forked process inherits what is warm
    with concurrent.futures.ProcessPoolExecutor(options.processes, initializer=_warm_up) as pool:

        def run(problems: Iterable[Problem]) -> list[tuple[Problem, Tally]]:
            listed = list(problems)
            jobs = [pool.submit(tally, problem, options.simulations, seed) for seed, problem in enumerate(listed)]
            return [(problem, job.result()) for problem, job in zip(listed, jobs, strict=True)]

        idle = run(no_difference())
        _print_false_winners(idle)
        gains = planted(idle)
        _print_found(run(gains))
        _print_simplest(run(two_good_rules(gains[0])))
        grown = [pool.submit(named_at_a_look, Problem(), looks, options.simulations, 0) for looks in LOOKS]
        _print_looks([job.result() for job in grown], options.simulations)
    print(f"\n{options.simulations:,} confirmations a row, {time.perf_counter() - began:.0f} s")


def _warm_up() -> None:
    """Import what judging imports."""
    for rules in (5, 12):
        tally(Problem(rules=rules), 20, seed=0)


def two_good_rules(planted_problem: Problem) -> list[Problem]:
    """The first (simplest) and third rule gain alike, or the third clearly more."""
    gain = planted_problem.gains[1]
    pairs = [(1.5, 1.5), (2.0, 2.0), (1.5, 3.0), (1.5, 1.8)]
    return [dataclasses.replace(planted_problem, gains=(a * gain, 0.0, b * gain)) for a, b in pairs]


def _print_false_winners(rows: list[tuple[Problem, Tally]]) -> None:
    print("Nothing to find: share of confirmations with a winner (promised: at most 5 %)")
    print(f"{'':<44}  verdict  against validation's choice alone  against the highest test score alone")
    for problem, result in rows:
        print(
            f"{problem.title:<44} {result.winners / result.count:>7.1%} {result.by_validation / result.count:>20.1%}"
            f" {result.by_test / result.count:>36.1%}"
        )


def _print_found(rows: list[tuple[Problem, Tally]]) -> None:
    print("\nOne rule gains what would have been seen (promised: 80 %)")
    print(f"{'':<44}   gain   found   another rule named   gain overstated   interval holds the truth")
    for problem, result in rows:
        found = result.wins.get("rule-1", 0)
        print(
            f"{problem.title:<44} {problem.gains[1]:>6.2f} {found / result.count:>7.1%}"
            f" {(result.winners - found) / result.count:>16.1%} {result.overstated:>19.2f} {result.covered:>18.1%}"
        )


def _print_looks(rows: list[tuple[int, int]], simulations: int) -> None:
    print("\nNothing to find, seeds added until a winner is named (promised: at most 5 %)")
    print(f"{'seeds at each look':<44}  verdict   if looks were free")
    for looks, (as_told, free) in zip(LOOKS, rows, strict=True):
        print(f"{', '.join(map(str, looks)):<44} {as_told / simulations:>8.1%} {free / simulations:>20.1%}")


def _print_simplest(rows: list[tuple[Problem, Tally]]) -> None:
    print("\nTwo good rules, one of one number and one of three: which is named")
    print(f"{'':<44}    gains      simple   third   none   other")
    for problem, result in rows:
        simple, third = result.wins.get("rule-0", 0), result.wins.get("rule-2", 0)
        none = result.count - result.winners
        shares = [amount / result.count for amount in (simple, third, none, result.winners - simple - third)]
        print(
            f"{problem.title:<44} {problem.gains[0]:>5.2f}, {problem.gains[2]:.2f} "
            + " ".join(f"{share:>7.1%}" for share in shares)
        )


if __name__ == "__main__":
    main()
