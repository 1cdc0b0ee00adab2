"""Collects the scores of a confirmation's finalists by seed, and by test sample where these are known."""

from __future__ import annotations

from search.evidence.statistics.paired import PairedTest, common_seeds, judged, noises_of, paired_test
from search.evidence.statistics.two_noises import Array, TwoNoises
from search.records import ConfirmationRecord, ConstantFacts
from trainables.records import ACCURACY


class Scores:
    """The scores by which finalists are compared, on the test and the validation set; higher is better.

    `test` and `validation` are by finalist and seed.

    Args:
        record: the confirmation's, finished or not.
        unit: the plural of what one test sample is.
    """

    def __init__(self, record: ConfirmationRecord, unit: str = "samples") -> None:
        self.record, self.unit = record, unit
        self.facts = record.constant or ConstantFacts()
        self._noises: dict[tuple[str, str], TwoNoises | None] = {}
        self._by_key = {
            finalist.key: [r for r in record.results if r.finalist == finalist.key] for finalist in record.finalists
        }
        score, by_key = record.score, self._by_key.items()
        self.test = {key: {result.seed: score(result) for result in own} for key, own in by_key}
        self.validation = {key: {result.seed: score(result, "validation") for result in own} for key, own in by_key}

    @property
    def resolution(self) -> float:
        """The step of one test sample in accuracy; 0 if it is not known, or if the score is a KPI of unknown steps."""
        size = self.record.test_size
        return 1.0 / size if size and self.record.objective.name == ACCURACY else 0.0

    def difference(self, ours: str, theirs: str) -> PairedTest | None:
        """Test the paired difference of two finalists' test scores; None without a seed in common."""
        seeds = common_seeds(self.test[ours], self.test[theirs])
        return judged(self.test[ours], self.test[theirs], seeds, self.noises(ours, theirs)) if seeds else None

    def noises(self, ours: str, theirs: str) -> TwoNoises | None:
        """Return the noise of the same difference; None with fewer than two seeds in common."""
        if (ours, theirs) not in self._noises:
            seeds = common_seeds(self.test[ours], self.test[theirs])
            samples = self._samples(ours), self._samples(theirs)
            found = noises_of(self.test[ours], self.test[theirs], seeds, self.resolution, samples)
            self._noises[ours, theirs] = found
        return self._noises[ours, theirs]

    def validated(self, ours: str, theirs: str) -> PairedTest | None:
        """Test the paired difference of two finalists' validation scores, over the seeds only."""
        return paired_test(self.validation[ours], self.validation[theirs])

    def _samples(self, key: str) -> dict[int, Array]:
        """Return the values on each test sample by seed, [N], turned so that higher is better."""
        objective = self.record.objective
        found = {result.seed: result.samples.get(objective.name) for result in self._by_key[key]}
        known = {seed: kept.values() for seed, kept in found.items() if kept is not None}
        return known if objective.direction == "maximize" else {seed: -values for seed, values in known.items()}


def teacher_score(record: ConfirmationRecord) -> float | None:
    """Return the teacher's own score on the test samples; None if it is not known."""
    objective, teacher = record.objective, record.teacher
    if objective.name == ACCURACY:
        return None if teacher is None else teacher.accuracy
    value = record.teacher_kpis.get(objective.name)
    return None if value is None else objective.score(value)
