"""Small rule trees: a few questions about the training at each step."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import ClassVar

from policies.bases.tree_nodes import Visit, Voice, route, splits
from policies.bases.tree_rule import TreeRule
from policies.geometric import LocatedPolicy
from policies.measuring import MeasuringPolicy
from policies.policy import Decision, Measurement, Need, Observation
from policies.smoothing import RunningMean


@dataclasses.dataclass(kw_only=True, eq=False)
class Tree(TreeRule, LocatedPolicy):
    """Asks at most two questions in a row about the last steps, and so chooses among at most four λ.

    Questions are about the gradients' cosine and norm ratio, the training's progress, the losses' ratio, the teacher's
    confidence and its agreement with the labels. All readings but progress are smoothed, each by itself. If none of its
    readings was finite so far, a question has no answer, and λ is one half.

    Source: decision trees (CART, Breiman et al. 1984) of depth two; the thresholds on cosine (arXiv 1812.02224) and
    norm ratio (arXiv 1711.02257) and the step schedule (arXiv 1910.01348) are trees of one question.
    """

    family: ClassVar[str] = "tree"
    source: ClassVar[str] = "decision trees (CART, Breiman et al. 1984) of depth 2 over readings of a step"
    voice: ClassVar[Voice] = Voice("λ", "while", "the labels")

    def _begin(self) -> None:
        super()._begin()
        asked = {split.feature.name: split.feature for split in splits(self.tree)}
        self._measured = [feature for name, feature in asked.items() if name != "progress"]
        self._means = [RunningMean(self.smoothing) for _ in self._measured]
        self._progress = 0.0

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset(split.feature.need for split in splits(self.tree))

    @property
    def measurement(self) -> Measurement:
        return super().measurement if "geometry" in self.needs else Measurement()

    def measures_at(self, step: int) -> bool:
        return bool(self._measured) and super().measures_at(step)

    def tied(self) -> dict[str, str]:
        return super().tied() if self._measured else {}

    def readings(self, observation: Observation) -> tuple[float, ...]:
        return tuple(feature.reading(observation) for feature in self._measured)

    def decide(self, observation: Observation) -> Decision:
        if self.measures_at(observation.step):
            for mean, reading in zip(self._means, self.readings(observation), strict=True):
                if math.isfinite(reading):
                    mean.update(reading)
        self._progress = observation.progress
        self._decision = self.respond(tuple(mean.mean for mean in self._means))
        return self._decision

    def respond(self, means: tuple[float, ...]) -> Decision:
        numbers, way = self._route(means)
        if len(numbers) > 1:
            return Decision(self.initial_weight, reason="nothing measured yet")
        reason = ", ".join(map(_in_words, way)) or "constant"
        return Decision(self.leaf_weights[numbers[0]], reason=reason, branch=numbers[0])

    def _route(self, means: tuple[float, ...]) -> tuple[range, list[Visit]]:
        values = {f.name: f.value(mean) for f, mean in zip(self._measured, means, strict=True)}
        return route(self.tree, {**values, "progress": self._progress})

    def simplify(self, observations: Iterable[Observation]) -> Tree:
        """Return the smallest rule of this form that decides the same on these observations, from a fresh start.

        Questions that always got one answer are left out, and so are the measurements that only they needed.

        Args:
            observations: the observations of a training, in order; without any, the rule stays as it is.
        """
        replayed = self._with_tree(self.tree)
        reached: set[int] = set()
        for observation in observations:
            replayed.decide(observation)
            reached.update(replayed._route(tuple(mean.mean for mean in replayed._means))[0])
        return self.acting_part(reached) if reached else replayed

    def rule(self) -> str:
        return f"{self._sentence()} ({self._measuring_in_words()})." if self._measured else f"{self._sentence()}."

    def _measuring_in_words(self) -> str:
        if "geometry" in self.needs:
            return super()._measuring_in_words()
        return MeasuringPolicy._measuring_in_words(self)  # where gradients are measured does not matter

    @property
    def complexity(self) -> int:
        return super().complexity + (self.smoothing > 0.0 and bool(self._measured))


def _in_words(visit: Visit) -> str:
    name = visit.split.feature.name.replace("_", " ")
    return f"{name} {visit.value:.3g} {'above' if visit.high else 'not above'} {visit.split.threshold:.3g}"
