"""Ranks the families by their best rule, and compares each with the best constant λ.

Differences are paired by seed. Trials that share a seed share the initial weights, the order of the batches and the
augmentation. So the difference within a seed is free of the seed's own effect on the score.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Literal

from policies.parameter import Value
from search.evidence.conduct.acting import effective_trial
from search.evidence.statistics.paired import PairedTest, paired_test, spread
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
from search.wording import family_title, number
from trainables.records import Objective
from trainables.settings import Settings


class SeedScore(Settings):
    """The score of one seed of a trial, by the search's objective; higher is better."""

    seed: int
    score: float


class BestTrial(Settings):
    """The best finished trial of a family. Scores are the objective's, on the validation pictures."""

    number: int
    trial_id: str
    score: float
    """Mean over the seeds."""
    spread: float | None
    """Standard deviation (ddof 1) over the seeds; None with one seed."""
    seeds: tuple[SeedScore, ...]
    rule: str
    """The rule in words: as written, or as it acted where that differs."""
    complexity: int
    """The count of numbers that the rule needs, as it acted."""
    parameters: dict[str, Value]
    """The parameters of the rule as written."""
    shared: dict[str, float | int]
    acts: bool = True
    """False where the rule did what a simpler one does."""
    note: str = ""
    """The reason why it did not act as written, or how rarely it did."""
    unused: Literal["labels", "teacher"] | None = None
    """The loss that had (almost) no weight at any step."""


class FamilyRank(Settings):
    """A family's place. `rank` and `best` are None while none of its trials has finished."""

    rank: int | None
    family: str
    best: BestTrial | None
    median: float | None
    """Median of the finished trials' scores."""
    finished: int
    eliminated: int
    """Trials that left the race over seeds, so they have no score."""
    failed: int
    unfinished: int


class PairedDifference(Settings):
    """A family's best trial minus the best constant λ, by seed, in scores; above zero the family is ahead.

    `low` and `high` bound the mean's 95 % interval (Student's t over the seeds). They and `standard_error` are None if
    fewer than two seeds are common to both. The deviation of the seeds is taken to be at least the step in which the
    score moves. If that step is not known and all differences are exactly equal, the bounds are None too.
    """

    family: str
    number: int
    seeds: tuple[int, ...]
    mean: float
    standard_error: float | None
    low: float | None
    high: float | None
    too_few_seeds: bool = False
    """The same as in `search.evidence.statistics.paired.PairedTest`."""

    @property
    def above_zero(self) -> bool:
        """True if the uncorrected interval lies above zero. For the best of many trials this does not show a winner."""
        return self.low is not None and self.low > 0.0

    @property
    def below_zero(self) -> bool:
        """True if the uncorrected interval lies below zero."""
        return self.high is not None and self.high < 0.0

    @property
    def mark(self) -> str:
        """The place of the uncorrected interval, in a few words."""
        if self.low is None or self.high is None:
            return "noise unknown"
        if self.too_few_seeds:
            return "too few seeds"
        return "interval above 0" if self.above_zero else "interval below 0" if self.below_zero else "interval holds 0"


class ConstantComparison(Settings):
    """Every other family's best trial against the best constant λ."""

    constant: BestTrial | None
    """The best constant; None if no trial of the family `fixed` has finished, so there is nothing to compare with."""
    labels_alone: BestTrial | None
    """The best finished trial with λ = 0, which is training without a teacher."""
    differences: tuple[PairedDifference, ...]
    """The differences, in the order of the ranking."""

    def of(self, family: str) -> PairedDifference | None:
        """Return the difference of one family; None if it has none."""
        return next((d for d in self.differences if d.family == family), None)


def rule_title(family: str, parameters: Mapping[str, Value]) -> str:
    """Name a rule by its family and a constant by its λ: `norm balance`, `λ = 0.9`."""
    return f"λ = {number(parameters.get('weight'))}" if family == CONSTANT_FAMILY else family_title(family)


def best_trials(search: SearchRecord) -> dict[str, TrialRecord]:
    """Return the best finished trial of each family, best family first."""
    best: dict[str, TrialRecord] = {}
    for trial in search.finished:
        best.setdefault(trial.family, trial)
    return best


def rank_families(search: SearchRecord) -> tuple[FamilyRank, ...]:
    """Rank the families by their best trial; ties go to the simpler rule. Families without one come last."""
    best = best_trials(search)
    families = [*best, *sorted({t.family for t in search.trials} - set(best))]
    scores: dict[str, list[float]] = {}
    for trial in search.finished:
        scores.setdefault(trial.family, []).append(trial.score or 0.0)
    count = Counter((trial.family, trial.status) for trial in search.trials)
    return tuple(
        FamilyRank(
            rank=place if family in best else None,
            family=family,
            best=_best(best[family], search.objective) if family in best else None,
            median=statistics.median(scores[family]) if family in scores else None,
            finished=len(scores.get(family, ())),
            eliminated=count[family, "eliminated"],
            failed=count[family, "failed"],
            unfinished=count[family, "pending"] + count[family, "running"],
        )
        for place, family in enumerate(families, start=1)
    )


def compare_to_constant(search: SearchRecord) -> ConstantComparison:
    """Compare each family's best trial with the best trial of the family `fixed`, paired by seed."""
    best = best_trials(search)
    constant = best.get(CONSTANT_FAMILY)
    labels_alone = next(filter(saw_labels_alone, search.finished), None)
    rules = [trial for family, trial in best.items() if family != CONSTANT_FAMILY]
    return ConstantComparison(
        constant=_best(constant, search.objective) if constant else None,
        labels_alone=_best(labels_alone, search.objective) if labels_alone else None,
        differences=tuple(_paired(search, rule, constant) for rule in rules) if constant else (),
    )


def _best(trial: TrialRecord, objective: Objective) -> BestTrial:
    did = effective_trial(trial)
    plain = did.acts and not did.note and did.unused is None
    return BestTrial(
        number=trial.number,
        trial_id=trial.trial_id,
        score=trial.score or 0.0,
        spread=trial.history.score_std,
        seeds=tuple(SeedScore(seed=seed, score=score) for seed, score in scores_by_seed(trial, objective).items()),
        rule=trial.rule if plain else did.text,
        complexity=did.complexity,
        parameters=trial.parameters,
        shared=trial.shared,
        acts=did.acts,
        note=did.note,
        unused=did.unused,
    )


def scores_by_seed(trial: TrialRecord, objective: Objective) -> dict[int, float]:
    """Return a trial's finite scores on the validation pictures, by seed."""
    scores = {r.seed: objective.score_of(r) for r in trial.history.replicates}
    return {seed: score for seed, score in scores.items() if math.isfinite(score)}


def saw_labels_alone(trial: TrialRecord) -> bool:
    """Tell whether a trial is the constant λ = 0, which is training without a teacher."""
    return trial.family == CONSTANT_FAMILY and trial.parameters.get("weight") == 0.0


def compare_trials(search: SearchRecord, ours: TrialRecord, theirs: TrialRecord) -> PairedTest | None:
    """Test the difference of two trials' scores on the validation pictures; None without a seed in common."""
    objective = search.objective
    return paired_test(scores_by_seed(ours, objective), scores_by_seed(theirs, objective), search.resolution)


def _paired(search: SearchRecord, trial: TrialRecord, constant: TrialRecord) -> PairedDifference:
    ours, theirs = scores_by_seed(trial, search.objective), scores_by_seed(constant, search.objective)
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    test = compare_trials(search, trial, constant)
    # The test's own deviation agrees with its interval: it is at least the step in which scores move.
    deviation = test.deviation if test and test.deviation else spread([ours[seed] - theirs[seed] for seed in seeds])
    return PairedDifference(
        family=trial.family,
        number=trial.number,
        seeds=seeds,
        mean=test.mean if test else (trial.score or 0.0) - (constant.score or 0.0),
        standard_error=None if deviation is None else deviation / math.sqrt(len(seeds)),
        low=test.low if test else None,
        high=test.high if test else None,
        too_few_seeds=test is not None and test.too_few_seeds,
    )
