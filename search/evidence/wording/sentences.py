"""Writes the sentences of a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from search.evidence.choice import Choice
from search.evidence.comparison import Comparison, FinalistRow
from search.evidence.scores import Scores, teacher_score
from search.evidence.statistics.power import LEVEL
from search.evidence.wording.naming import p_text, title, with_interval
from search.wording import Scale, count, number, sentence_case, setting_title


class Sentences:
    """Writes the sentences of one confirmation's verdict; a sentence that does not apply is empty.

    Args:
        scores: the confirmation's.
        comparison: the confirmation's.
        baseline: key of the best constant.
    """

    def __init__(self, scores: Scores, comparison: Comparison, baseline: str) -> None:
        self._scores, self._record, self._comparison = scores, scores.record, comparison
        self._scale, self._baseline = Scale(scores.record.objective), baseline
        self._constant, self._reached = self._title(baseline), self._scale.value(comparison.of(baseline).test)

    def a_rule(self, choice: Choice) -> tuple[str, str]:
        """Write headline and grounds where a rule beats the best constant."""
        row, objective = self._comparison.of(choice.winner), self._record.objective.name
        gain, claim = row.tested
        hardest = self._hardest(row)
        size = f"{self._scale.size(gain.mean)} of test {objective}"
        headline = f"{self._subject(row.key)} beats the best constant {self._constant} by {size}."
        parts = [
            f"{self._subject(row.key)} reaches {self._scale.value(row.test)}, the constant {self._reached}:"
            f" {with_interval(self._record, gain)}, paired over {count(len(gain.seeds), 'seed')};"
            f" {p_text(claim.p_corrected)} after Holm's correction for {count(self._comparison.rules, 'rule')}.",
            self._allowance(),
            f"The lead also holds against {hardest}." if hardest else "",
            self._other_rules(choice),
        ]
        return headline, join(parts)

    def _allowance(self) -> str:
        allowance = self._scores.facts.expected_loss
        if allowance <= 0.0:
            return ""
        size = self._scale.size(allowance)
        return f"The test asks for more than {size}, by which a constant that was not tried may be better."

    def a_constant(self, choice: Choice | None) -> tuple[str, str]:
        """Write headline and grounds where no rule gains enough to be worth it."""
        reached = f"The constant reaches {self._reached} on the test set."
        if not self._comparison.rules:
            return f"The best constant is {self._constant}; no rule was confirmed.", reached
        largest = self._comparison.largest_gain
        assert largest is not None  # without it, the answer would not be this one
        most = f"at most {self._scale.size(largest)}" if largest > 0.0 else "nothing"
        bound = (
            f"With 97.5 % confidence any of these rules, as tuned here, gains {most} over {self._constant},"
            f" and {self._scale.size(self._record.margin)} would be worth a rule."
        )
        nearest = self._nearest() if choice is None else self._real_but_small(choice)
        return f"Use {self._constant}: no rule is worth it here.", join([bound, reached, nearest])

    def no_answer(self, choice: Choice | None) -> tuple[str, str]:
        """Write headline and grounds where it is not known whether a rule is worth it."""
        parts = [f"Until then use {self._constant}, the safe choice: {self._reached} on the test set."]
        if choice is None:
            parts += [self._nearest(), self._would_have_been_seen()]
        else:
            parts.append(self._unproven(choice))
        if self._record.margin is None:
            parts.append(
                "`confirm.smallest_gain` is not set, so it cannot be said that a gain is too small to be worth it."
            )
        return f"Cannot tell yet whether a rule beats the best constant {self._constant}.", join(parts)

    def levels(self) -> str:
        """Write the scores of the labels alone and of the teacher."""
        labels = self._comparison.labels_alone
        if labels is None:
            return ""
        itself = teacher_score(self._record)
        teacher = "" if itself is None else f" and the teacher itself {self._scale.value(itself)}"
        return f"Labels alone reach {self._scale.value(labels.test)}{teacher}."

    def not_bracketed(self) -> str:
        """Write a caveat if the search did not bracket the constant."""
        if self._scores.facts.bracketed:
            return ""
        return (
            f"The constant was not bracketed ({self._reason()}): another λ may do better than the best one here. A"
            " search with a larger `constant.most_trials` brackets it."
        )

    def range_ends(self, keys: Sequence[str]) -> str:
        """Write a caveat for each setting of these finalists that lies at an end of the range that was searched."""
        whose: dict[str, list[str]] = {}
        for key in keys:
            for end in (end for end in self._scores.facts.ends if end.finalist == key):
                name, side = setting_title(end.setting), "lower" if end.end == "low" else "upper"
                place = f"the best {name} ({number(end.value)}) lies at the {side} end of the range"
                whose.setdefault(place, []).append(self._subject(key))
        return join(
            f"{first}{' and ' if others else ''}{count(len(others), 'other finalist') if others else ''}: {place};"
            " widen it before believing this."
            for place, (first, *others) in whose.items()
        )

    def test_uses(self) -> str:
        """Write a caveat if other confirmations have used the test set too."""
        uses = self._record.test_uses
        if uses is None or uses < 2:
            return ""
        chance = 100.0 * (1.0 - (1.0 - LEVEL) ** uses)
        return (
            f"This test set has been used by {uses} confirmations in this storage. If none of them had anything to"
            f" find, one would still name a rule with a chance of up to {chance:.0f} %."
        )

    def lost(self) -> str:
        """Name the finalists that were left out for a training without a finite score."""
        rows = [row for row in self._comparison.rows if row.lost]
        told = [f"{self._title(row.key)} (seed {', '.join(map(str, row.lost))})" for row in rows]
        return f"Left out, for a training that gave no finite score: {'; '.join(told)}." if told else ""

    def optimism(self) -> str:
        """Compare the search's own scores with those on fresh seeds."""
        mean = self._comparison.optimism
        if mean is None:
            return ""
        if mean <= 0.0:
            return "On fresh seeds the finalists' validation scores are no worse than in the search."
        return (
            f"The finalists' search scores were better than their validation scores on fresh seeds by"
            f" {self._scale.size(mean)}: the best of many trials is partly luck."
        )

    def looks(self) -> str:
        """Say what it cost to add seeds after a look at the results."""
        looks = self._comparison.looks
        if looks == 1:
            return ""
        times = count(looks - 1, "time")
        return f"Seeds were added {times}; for these looks each corrected p is {looks} times as large."

    def scope(self) -> str:
        """Say which noise the intervals cover."""
        size = f"{self._record.test_size:,} " if self._record.test_size else ""
        turned = " Gains are signed so that more is better." if self._record.objective.direction == "minimize" else ""
        samples = f"and of the choice of {size}test {self._scores.unit}"
        if self._comparison.seeds_only:
            samples = f"only, on these {size}test {self._scores.unit}"
        return f"The noise is that of the training seeds {samples}; other data or another student may differ.{turned}"

    def _title(self, key: str) -> str:
        return title(self._record, key)

    def _subject(self, key: str) -> str:
        return sentence_case(self._title(key))

    def _gain(self, ours: str, theirs: str) -> str:
        """Write the gain of one finalist over another; empty without a seed in common."""
        test = self._scores.difference(ours, theirs)
        return "" if test is None else with_interval(self._record, test)

    def _hardest(self, row: FinalistRow) -> str:
        """Name the constant that is harder to beat than the best one; empty without one.

        The rule's gain over it is not told: a rule has one gain, the one over the best constant.
        """
        hardest = row.tested[1].hardest
        if hardest == self._baseline:
            return ""
        which = "which the search could not tell from the best constant"
        if hardest == self._comparison.highest:
            which = "the constant with the highest test score"
        return f"{self._title(hardest)}, {which}"

    def _other_rules(self, choice: Choice) -> str:
        if len(choice.standing) == 1:
            return ""
        parts = [
            f"{self._subject(key)} is simpler and beats the constant too, but {self._title(better)} is ahead of it:"
            f" {self._gain(better, key)}."
            for key, better in choice.outdone.items()
        ]
        top = max((self._comparison.of(key) for key in choice.standing), key=lambda row: row.test or 0.0)
        rules = f"Among the {len(choice.standing)} rules that beat the constant"
        if top.key == choice.winner:
            return join([*parts, f"{rules} it has the highest test score."])
        fewest = self._comparison.of(choice.winner).complexity
        needs = (
            f", which needs {count(fewest, 'number')} instead of {top.complexity}," if fewest < top.complexity else ""
        )
        parts.append(
            f"{rules}, {self._title(top.key)} has the highest test score, but its lead over this one{needs} cannot be"
            f" told from noise: {self._gain(top.key, choice.winner)}."
        )
        return join(parts)

    def _would_have_been_seen(self) -> str:
        seeds, gain = count(len(self._record.seeds), "seed"), self._comparison.detectable
        if gain is None:
            return f"The noise between the {seeds} is not known, so nothing can be said of gains that were missed."
        return f"With {seeds} a gain above {self._scale.size(gain)} would have been seen four times in five."

    def _nearest(self) -> str:
        """Describe the rule with the highest test score, and say why an interval above zero is no proof."""
        row = self._comparison.nearest
        if row is None:
            return ""
        stands, hardest = with_interval(self._record, row.tested[0]), self._hardest(row)
        return join(
            [
                f"The nearest rule, {self._title(row.key)}, stands at {stands}.",
                self._resolved(row),
                f"It is not shown to be ahead of {hardest}." if hardest else "",
            ]
        )

    def _resolved(self, row: FinalistRow) -> str:
        """Say why a gain whose interval excludes zero does not decide."""
        gain, claim = row.tested
        if gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
            return ""
        if gain.high < 0.0:
            return "It is behind the constant."
        if claim.hardest != self._baseline and claim.p_value > LEVEL:
            return ""  # the next sentence names that constant
        if claim.p_value > LEVEL:
            return f"With so few seeds a claim asks for more than an interval above zero ({p_text(claim.p_value)})."
        if not claim.stands:
            among, after = count(self._comparison.rules, "rule"), "after Holm's correction"
            if self._comparison.rules == 1:  # so the looks are the reason
                among, after = count(self._comparison.looks, "look"), "for all of them"
            return f"Among {among} such a lead is not rare by chance ({p_text(claim.p_corrected)} {after})."
        return ""

    def _real_but_small(self, choice: Choice) -> str:
        gain, claim = self._comparison.of(choice.winner).tested
        return (
            f"{self._subject(choice.winner)} is ahead by {with_interval(self._record, gain)}"
            f", {p_text(claim.p_corrected)} after correction: a real gain, but smaller than what is worth a rule."
        )

    def _unproven(self, choice: Choice) -> str:
        """Describe a rule that is ahead of a constant that was not bracketed."""
        gain = with_interval(self._record, self._comparison.of(choice.winner).tested[0])
        return (
            f"{self._subject(choice.winner)} is ahead of the best constant that was tried by {gain}. That constant was"
            f" not bracketed ({self._reason()}), so a better one may have been missed; no number of seeds can tell."
            " Search again until the constant is bracketed."
        )

    def _reason(self) -> str:
        return self._scores.facts.reason or "the search tried a few constants only"


def join(parts: Iterable[str]) -> str:
    """Join sentences to one paragraph, without the empty ones."""
    return " ".join(filter(None, parts))
