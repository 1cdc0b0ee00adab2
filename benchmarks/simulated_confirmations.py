"""Simulates confirmations whose truth is known.

A student's expected accuracy is that of its finalist plus two effects of the seed: one on all finalists alike, one on
this finalist. Its validation accuracy shares most of these effects. A test sample is right if a normal number falls
below the accuracy's quantile. One part of that number is the sample's difficulty, one part is the finalist's own (which
no seed removes), and the rest is the single training's.

The search's stage is a short one: each constant's validation score with the noise of a few seeds decides on the best
one and its rivals. `benchmarks/honest.py` simulates the whole search.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from policies.parameter import Value
from search.records import ConfirmationRecord, ConstantFacts, Finalist, Role, SeedResult
from trainables.records import SetScore

Array: TypeAlias = npt.NDArray[np.float64]
Noise: TypeAlias = Callable[[np.random.Generator, tuple[int, ...]], Array]

CONSTANTS = (0.1, 0.25, 0.5, 0.75, 0.9)
CURVES = {
    "peaked": (-3.0, -1.5, -0.5, 0.0, -1.0),
    "flat": (0.0, 0.0, 0.0, 0.0, 0.0),
    "near": (-0.2, -0.2, 0.0, -0.2, -0.2),
}
"""Accuracies of the `CONSTANTS`, in points against the best one."""
_LABELS, _TEACHER = -4.0, -2.0
_LEVEL = 85.0
_SEARCH_SEEDS = 3


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(rng.standard_t(3, shape) / np.sqrt(3.0))


def _skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(1.0 - rng.standard_exponential(shape))


def _collapsing(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw normal noise in which one training in fifty falls by ten deviations."""
    return rng.standard_normal(shape) - 10.0 * (rng.random(shape) < 0.02)


NOISES: dict[str, Noise] = {"normal": _normal, "heavy": _heavy, "skewed": _skewed, "collapsing": _collapsing}
"""Kinds of noise, with mean about 0 and deviation about 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Problem:
    """A kind of confirmation. Worths, gains and deviations in points of accuracy."""

    rules: int = 6
    seeds: int = 10
    curve: str = "peaked"
    noise: str = "normal"
    test_size: int = 2_000
    by_sample: bool = True
    """True if the results on each test sample are kept; if not, the samples' noise is drawn but not known."""
    shared: float = 0.4
    """Standard deviation of a seed's effect on all finalists."""
    own: float = 0.3
    """Standard deviation of a seed's effect on one finalist; a difference of two has 1.4 times that."""
    persistent: float = 0.02
    """Share of the variance of a sample's latent number that is a finalist's own, under every seed."""
    passing: float = 0.05
    """Share of that variance that is one training's own."""
    gains: tuple[float, ...] = ()
    """The first rules' gains over the best constant; the others gain nothing. The first rule is the simplest."""

    @property
    def title(self) -> str:
        """The problem as the start of a row of a table."""
        counts = f"{self.rules:>2} rules {self.seeds:>2} seeds"
        samples = f"{self.test_size:>6,}{'' if self.by_sample else ' seeds only'}"
        return f"{counts} {self.curve:<6} {self.noise:<10} {self.own:.1f} {samples}"

    @property
    def all_gains(self) -> tuple[float, ...]:
        """The gain of each rule, in points over the best constant."""
        return (*self.gains, *(0.0 for _ in range(self.rules - len(self.gains))))

    @property
    def worths(self) -> dict[str, float]:
        """Each finalist's true accuracy, in points over the best constant."""
        worths = (*self.all_gains, *CURVES[self.curve], _LABELS, _TEACHER)
        return {finalist.key: worth for finalist, worth in zip(finalists(self.rules), worths, strict=True)}


def _finalist(key: str, role: Role, family: str, complexity: int, parameters: dict[str, Value]) -> Finalist:
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


def rules_of(count: int) -> list[Finalist]:
    """Return so many rules in the order of their complexity."""
    return [_finalist(f"rule-{n}", "rule", f"rule_{n}", n + 1, {}) for n in range(count)]


def constant_of(key: str, role: Role, weight: float) -> Finalist:
    """Return a constant."""
    return _finalist(key, role, "fixed", 1, {"weight": weight})


@functools.cache
def finalists(rule_count: int) -> tuple[Finalist, ...]:
    """Return rules in the order of their complexity, then the constants."""
    constants = [constant_of(f"fixed-{w:g}", "constant", w) for w in CONSTANTS]
    ends = [constant_of("labels_alone", "labels_alone", 0.0), constant_of("teacher_alone", "teacher_alone", 1.0)]
    return (*rules_of(rule_count), *constants, *ends)


class KnownSamples:
    """Stands in for `SampleValues` without packing: results on each test sample, [N]."""

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        self._values = values

    def values(self) -> npt.NDArray[np.float32]:
        """The results, float32 [N]."""
        return self._values


def simulate(problem: Problem, rng: np.random.Generator) -> ConfirmationRecord:
    """Simulate one confirmation of a problem."""
    return draw(problem, rng, finalists(problem.rules), np.array([*problem.worths.values()]), _facts(problem, rng))


def draw(
    problem: Problem,
    rng: np.random.Generator,
    entries: tuple[Finalist, ...],
    worth: Array,
    facts: ConstantFacts,
) -> ConfirmationRecord:
    """Draw one confirmation of given finalists.

    Args:
        problem: noises, numbers of seeds and samples.
        rng: draws everything.
        entries: the finalists.
        worth: true accuracy of each, in points over the best constant.
        facts: what the search recorded on the constant.
    """
    shape = (len(entries), problem.seeds)
    noise = NOISES[problem.noise]
    student = problem.shared * noise(rng, (1, problem.seeds)) + problem.own * np.sqrt(0.75) * noise(rng, shape)
    favour = problem.own / 2.0 * rng.standard_normal((len(entries), 1))
    tested = _LEVEL + worth[:, None] + student + problem.own / 2.0 * rng.standard_normal(shape)
    validated = _LEVEL + worth[:, None] + student + favour + problem.own / 2.0 * rng.standard_normal(shape)
    right = _right(problem, rng, np.clip(tested / 100.0, 1e-6, 1.0 - 1e-6))
    accuracy, validation = right.mean(axis=2, dtype=np.float64), np.clip(validated / 100.0, 0.0, 1.0)
    return ConfirmationRecord.model_construct(
        search="simulated",
        seeds=tuple(range(problem.seeds)),
        finalists=entries,
        results=tuple(
            SeedResult.model_construct(
                finalist=entry.key,
                seed=seed,
                validation=_score(validation[place, seed]),
                test=_score(accuracy[place, seed]),
                seconds=0.0,
                began=None,
                own_kpis={},
                validation_kpis={},  # every field is given, since pydantic takes long to make defaults
                trace=(),
                interventions={},
                skipped_steps=0,
                conduct=None,
                samples={"accuracy": KnownSamples(right[place, seed])} if problem.by_sample else {},
            )
            for place, entry in enumerate(entries)
            for seed in range(problem.seeds)
        ),
        test_size=problem.test_size,
        constant=facts,
        complete=True,
    )


def _right(problem: Problem, rng: np.random.Generator, accuracy: Array) -> npt.NDArray[np.float32]:
    """Draw results by finalist, seed and sample, [F, S, N]."""
    count, seeds = accuracy.shape
    size = problem.test_size
    common = np.float32(np.sqrt(1.0 - problem.persistent - problem.passing))
    latent = common * rng.standard_normal((1, 1, size), np.float32)
    latent = latent + np.float32(np.sqrt(problem.persistent)) * rng.standard_normal((count, 1, size), np.float32)
    latent = latent + np.float32(np.sqrt(problem.passing)) * rng.standard_normal((count, seeds, size), np.float32)
    return np.asarray(latent < special.ndtri(accuracy)[:, :, None].astype(np.float32), np.float32)


def _facts(problem: Problem, rng: np.random.Generator) -> ConstantFacts:
    """Draw the constant that a short search would choose, and the rivals within two standard errors of its lead."""
    error = problem.own / np.sqrt(_SEARCH_SEEDS)
    keys = [f"fixed-{weight:g}" for weight in CONSTANTS]
    scores = np.array(CURVES[problem.curve]) + error * rng.standard_normal(len(keys))
    first = int(scores.argmax())
    near = scores >= scores[first] - 2.0 * np.sqrt(2.0) * error
    return ConstantFacts(
        bracketed=True,
        chosen=keys[first],
        rivals=tuple(key for place, key in enumerate(keys) if near[place] and place != first),
    )


def _score(accuracy: float) -> SetScore:
    return SetScore.model_construct(accuracy=float(accuracy), loss=0.0, calibration_error=0.0, agreement=None)
