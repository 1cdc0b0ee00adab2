"""Simulates whole searches whose truth is known: the constant is tuned first, then rules are confirmed against it.

    python -m benchmarks.honest --searches 200 --confirmations 5

For each shape of the curve "accuracy against constant λ" the search proposes constants and observes them with the
noise of its seeds. It stops by its certificate or budget, as `search.constants` does. The confirmation then compares
rules with the chosen constant, its rivals and both extremes, on fresh seeds and test samples. The rules are exactly
as good as the best constant. Each simulated search is confirmed several times, since the constant's stage is slower.

Reported are the share of confirmations that call a rule better (at most 5 % for each shape), the answers, the share of
certificates that held, and what the constant cost: trainings, and points below the best constant.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

import numpy as np

from benchmarks.constant_procedures import DOMAINS, HARD, SHAPES, Accuracy, planted, tuned
from benchmarks.scaffold import parser
from benchmarks.simulated_confirmations import Problem, constant_of, draw, rules_of
from search.constants import ConstantPoint, Surface
from search.evidence import choose, compare, verdict_kind
from search.records import ConstantFacts, Finalist, Role

CURVES = {**SHAPES, **HARD}
_PERSISTENT = 0.001  # small, so that the test set's noise does not hide an error of the constant


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """The settings of simulated searches."""

    shape: str
    settings: str = "one"
    """The settings that are tuned: λ alone ("one"), or a learning rate and a temperature as well ("several")."""
    noise: float = 0.6
    """Standard deviation of one training's score, without the seed's effect on all, in points."""
    problem: Problem = dataclasses.field(default_factory=lambda: Problem(own=0.6))


@dataclasses.dataclass
class Rates:
    """Counts and sums over simulated searches."""

    searches: int = 0
    confirmations: int = 0
    named: int = 0
    """Confirmations that said that a rule beats the constants, whatever answer comes first."""
    answers: Counter[str] = dataclasses.field(default_factory=Counter)
    certified: int = 0
    trainings: int = 0
    regret: float = 0.0
    too_low: int = 0
    """Confirmations that said that no rule is worth it although one gains the smallest gain that is."""


def finalists_of(
    problem: Problem, surface: Surface, accuracy: Accuracy, best: float
) -> tuple[tuple[Finalist, ...], np.ndarray, ConstantFacts]:
    """Make the finalists with their true worths in points over the best constant; rules gain `problem.gains`."""
    entries, worths = rules_of(problem.rules), list(problem.all_gains)
    chosen, labels = surface.chosen, surface.chosen.model_copy(update={"weight": 0.0})
    points = dict.fromkeys((chosen, *surface.rivals, labels, labels.model_copy(update={"weight": 1.0})))
    roles: dict[float, Role] = {0.0: "labels_alone", 1.0: "teacher_alone"}
    for point in points:
        entries.append(constant_of(_key(point), roles.get(point.weight, "constant"), point.weight))
        worths.append(accuracy(point) - best)
    facts = ConstantFacts(
        chosen=_key(chosen),
        rivals=tuple(map(_key, surface.rivals)),
        bracketed=surface.certificate.holds,
        reason=surface.certificate.reason,
        expected_loss=surface.certificate.expected_loss / 100.0,
    )
    return tuple(entries), np.array(worths), facts


def _key(point: ConstantPoint) -> str:
    return f"fixed-{point.weight:g}-{point.learning_rate or 0:g}-{point.temperature or 0:g}"


def rates(search: Search, searches: int, confirmations: int, seed: int) -> Rates:
    """Simulate whole searches; the same ones for the same seed."""
    rng, found = np.random.default_rng(seed), Rates(searches=searches, confirmations=searches * confirmations)
    domain = DOMAINS[search.settings]
    for place in range(searches):
        accuracy, best = planted(CURVES[search.shape], 2.0 * (place + 0.5) / searches - 1.0, rng, domain)
        surface = tuned(accuracy, domain, search.noise, rng)
        entries, worths, facts = finalists_of(search.problem, surface, accuracy, best)
        known = dict(zip((entry.key for entry in entries), worths, strict=True))
        found.certified += surface.certificate.holds
        found.trainings += surface.certificate.trainings
        found.regret -= known[facts.chosen or ""]
        for _ in range(confirmations):
            record = draw(search.problem, rng, entries, worths, facts)
            comparison = compare(record)
            choice = choose(record, comparison)
            kind = verdict_kind(record, comparison, choice)
            found.named += choice is not None and facts.bracketed
            found.answers[kind] += 1
            gain = max(worths[: search.problem.rules]) - known[comparison.baseline or ""]
            found.too_low += kind == "constant" and 100.0 * (record.margin or 0.0) <= gain + 1e-9
    return found


def main() -> None:
    """Print a row for each shape and size."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--searches", type=int, default=200, help="searches of each row (200)")
    options.add_argument("--confirmations", type=int, default=5, help="confirmations of each search (5)")
    options.add_argument("--rules", type=int, nargs="+", default=[6, 29], help="rules among the finalists (6 29)")
    options.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10], help="fresh seeds (3 5 10)")
    options.add_argument("--settings", choices=list(DOMAINS), default="one", help="what is tuned beside λ (one)")
    options.add_argument("--noise", type=float, nargs="+", default=[0.3, 0.6], help="points of one training (.3 .6)")
    arguments = options.parse_args()
    began = time.perf_counter()
    print(f"{'':<52} a rule   answers: rule  constant  cannot tell   wrongly none   certified  trainings  below best")
    for noise in arguments.noise:
        for rules in arguments.rules:
            for seeds in arguments.seeds:
                for place, shape in enumerate(SHAPES):
                    problem = Problem(rules=rules, seeds=seeds, own=noise, persistent=_PERSISTENT)
                    search = Search(shape=shape, settings=arguments.settings, noise=noise, problem=problem)
                    found = rates(search, arguments.searches, arguments.confirmations, place)
                    _print_row(f"{rules:>2} rules {seeds:>2} seeds {noise:.1f} {shape}", found)
    print(f"\n{time.perf_counter() - began:.0f} s")


def _print_row(title: str, found: Rates) -> None:
    shares = [found.answers[kind] / found.confirmations for kind in ("rule", "constant", "cannot_tell")]
    print(
        f"{title:<52} {found.named / found.confirmations:>6.1%} {shares[0]:>14.1%} {shares[1]:>9.1%} {shares[2]:>12.1%}"
        f" {found.too_low / found.confirmations:>13.1%} {found.certified / found.searches:>11.1%}"
        f" {found.trainings / found.searches:>10.1f} {found.regret / found.searches:>11.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
