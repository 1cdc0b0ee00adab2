"""Diagnoses a search before it is run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.diagnosis.decision import decide
from search.diagnosis.plan import (
    FAINT,
    RULES,
    SCREENED,
    WEIGHTS,
    constant,
    interpolated,
    learning_rates,
    matched,
    rule,
    temperature,
    trainings,
)
from search.diagnosis.posterior import Floats, estimate, infer
from search.diagnosis.record import Arm, ArmKind, Diagnosis, DiagnosisCost, Places
from search.diagnosis.reliability import measure_reliability
from search.diagnosis.steps import try_steps
from search.diagnosis.trainer import Trained, Trainer
from search.diagnosis.wording import MISSING_IN_FUNCTIONS, paste_lines, reasons, rule_title
from search.errors import SearchError
from search.prepare import most_trainings, prepare_here
from search.records import Listener
from search.settings import CONSTANT_FAMILY, Launch, SearchConfig, smallest_difference
from search.wording import Scale, count, duration
from trainables.device import select_compute
from trainables.functions import FunctionPlace
from trainables.records import ACCURACY, Objective
from trainables.suggestion import apply_suggestion
from trainables.trainings import prepared_on


def diagnose_config(config: SearchConfig, launch: Launch, listener: Listener, *, seeds: int = 3) -> Diagnosis:
    """Diagnose a search in this process, without Ray.

    Args:
        config: the search.
        launch: its places.
        listener: receives the events.
        seeds: of every arm, at least 2: those of the search, and those that follow.

    Raises:
        SearchError: no constant, or not the labels alone, gives a student that stays finite.
        KDPolicySearchError: data, teacher or device are not available, or something does not fit.
    """
    prepared = prepare_here(config, launch, listener)
    data = prepared_on(prepared.assets, select_compute(config.device))
    most, whole = trainings(config, seeds), most_trainings(config)
    listener.stage(
        f"{count(most, 'training')} at most, {100 * most / whole:.0f} % of the search's {whole:,}, which it takes at"
        " most without its confirmation"
    )
    return _Diagnosing(config, data, listener, seeds).run()


class _Diagnosing:
    """A diagnosis under way."""

    def __init__(self, config: SearchConfig, data: Any, listener: Listener, seeds: int) -> None:
        self.config, self.data, self.listener = config, data, listener
        self.seeds = tuple(range(config.seed, config.seed + seeds))
        self.trainer = Trainer(config, data)
        self.scale = Scale(Objective(name=config.objective, direction=config.direction))
        self.warmth = temperature(config)
        self.arms: list[Arm] = []
        self.results: list[Trained] = []
        self._planned = trainings(config, seeds)

    def run(self) -> Diagnosis:
        config, function = self.config, isinstance(self.data, FunctionPlace)
        base = config.base_trial().model_copy(update={"temperature": self.warmth})
        reliability = None if function else measure_reliability(base, self.data)
        rates, screened, kept = self._screen()
        for weight in WEIGHTS:
            self._add_constant(weight, rates, kept.get(weight))
        if self._mean(0) > max(map(self._mean, range(1, len(WEIGHTS)))):
            self._add_constant(FAINT, rates)
            self.arms.insert(1, self.arms.pop())  # by λ
            self.results.insert(1, self.results.pop())
        known = [place for place, result in enumerate(self.results) if result.scores]
        if not self.results[0].scores or len(known) < 2:
            raise SearchError(
                "a diagnosis needs the labels alone and one more constant λ to give students that stay finite, but"
                f" {len(known)} of {len(self.arms)} did; lower `training.learning_rate` or `space.learning_rate`."
            )
        # Rules are matched with the best λ that uses the teacher at all.
        best = max(known[1:], key=self._mean)
        along = self._places(best)
        agreement = 1.0 if reliability is None else reliability.train.agreement
        for kind, family in RULES:
            ratio = statistics.geometric_mean(along.norm_ratio) if along is not None else 1.0
            own = matched(family, self.arms[best].weight, norm_ratio=ratio, agreement=agreement)
            self._add(kind, family, own, rule(family, own, self.arms[best].learning_rate, self.warmth))
        local = None
        if not function:
            self.listener.stage("trying every λ for one step along a training")
            began, used = time.monotonic(), time.process_time()
            suggestion = constant(self.arms[best].weight, self.arms[best].learning_rate, self.warmth)
            local = try_steps(apply_suggestion(base, {**suggestion, "seeds": self.seeds[:1]}), self.data)
            self.trainer.seconds += time.monotonic() - began
            self.trainer.cpu_seconds += time.process_time() - used
            self.trainer.trainings += 1
        return self._judged(screened, reliability, along, local)

    def _screen(self) -> tuple[dict[float, float], list[tuple[float, float, float]], dict[float, Trained]]:
        """Choose the learning rate of each screened λ under the first seed; return the chosen ones' trainings too."""
        rates, screened, kept = {}, [], {}
        for weight in SCREENED:
            tried = learning_rates(self.config)
            if len(tried) == 1:
                rates[weight] = tried[0]
                continue
            results = [self._train(constant(weight, rate, self.warmth), self.seeds[:1]) for rate in tried]
            scores = [result.scores.get(self.seeds[0], -math.inf) for result in results]
            screened += [(weight, rate, score) for rate, score in zip(tried, scores, strict=True)]
            best = max(range(len(tried)), key=lambda place: scores[place])
            rates[weight], kept[weight] = tried[best], results[best]
        return rates, screened, kept

    def _train(self, suggestion: Mapping[str, Any], seeds: Sequence[int]) -> Trained:
        first = not self.trainer.trainings
        result = self.trainer.train(suggestion, seeds)
        if first:
            each = self.trainer.seconds / len(seeds)
            self.listener.stage(
                f"a training of {count(self.trainer.steps, 'step')} takes {duration(each)} here, so all take about"
                f" {duration(each * self._planned)}"
            )
        return result

    def _add_constant(self, weight: float, rates: Mapping[float, float], begun: Trained | None = None) -> None:
        suggestion = constant(weight, interpolated(weight, rates), self.warmth)
        self._add("constant", CONSTANT_FAMILY, {"weight": weight}, suggestion, begun)

    def _mean(self, place: int) -> float:
        """Return an arm's mean score; −∞ without one."""
        scores = self.results[place].scores
        return statistics.fmean(scores.values()) if scores else -math.inf

    def _add(
        self,
        kind: ArmKind,
        family: str,
        parameters: Mapping[str, Any],
        suggestion: Mapping[str, Any],
        begun: Trained | None = None,
    ) -> None:
        """Train an arm under all seeds, or those that `begun` lacks."""
        left = self.seeds if begun is None else self.seeds[1:]
        result = self._train(suggestion, left)
        if begun is not None:
            result = begun.joined(result)
        arm = Arm(
            kind=kind,
            title=rule_title(family, parameters),
            family=family,
            parameters=dict(parameters),
            learning_rate=suggestion["learning_rate"],
            temperature=suggestion["temperature"],
            scores=dict(result.scores),
            problem=result.problem,
        )
        self.arms.append(arm)
        self.results.append(result)
        self.listener.stage(f"{arm.title}: {self.scale.value(self._mean(-1)) if arm.scores else arm.problem}")

    def _places(self, best: int) -> Places | None:
        trace = [point for point in self.results[best].trace if 0.0 < point.norm_ratio < math.inf]
        if not trace:
            return None
        return Places(
            weight=self.arms[best].weight,
            steps=tuple(point.step for point in trace),
            cosine=tuple(point.cosine for point in trace),
            norm_ratio=tuple(point.norm_ratio for point in trace),
        )

    def _judged(self, screened: Any, reliability: Any, places: Any, local: Any) -> Diagnosis:
        config = self.config
        known = [place for place, arm in enumerate(self.arms) if arm.scores]
        scores = np.array([[self.arms[place].scores[seed] for seed in self.seeds] for place in known])
        samples = self._samples(known)
        resolution = 0.0 if samples is None or config.objective != ACCURACY else 1.0 / samples.shape[2]
        posterior = infer(scores, samples, resolution)
        margin = smallest_difference(config.objective, config.confirm.smallest_gain)
        decision = decide([self.arms[place].kind for place in known], posterior, margin, local)
        arms = list(self.arms)
        for column, place in enumerate(known):
            level = posterior.levels[:, column]
            over = estimate(level - posterior.levels[:, 0]) if column else None
            arms[place] = arms[place].model_copy(update={"level": estimate(level), "over_labels": over})
        missing = MISSING_IN_FUNCTIONS if isinstance(self.data, FunctionPlace) else ()
        found = Diagnosis(
            name=config.name,
            objective=self.scale.objective,
            answer=decision.answer,
            leaning=decision.leaning,
            chances=decision.chances,
            size=decision.size,
            constant_gain=decision.constant_gain,
            sample_gain=decision.sample_gain,
            gradient_gain=decision.gradient_gain,
            smallest_gain=margin,
            seeds=self.seeds,
            best_constant=arms[known[decision.best_constant]].weight,
            seed_spread=posterior.noise,
            arms=tuple(arms),
            screened=tuple(screened),
            reliability=reliability,
            places=places,
            local=local,
            missing=missing,
            reasons=(),
            lines=(),
            cost=DiagnosisCost(
                trainings=self.trainer.trainings,
                steps=self.trainer.steps,
                search_trainings=most_trainings(config),
                seconds=self.trainer.seconds,
                cpu_seconds=self.trainer.cpu_seconds,
            ),
        )
        found = found.model_copy(update={"reasons": reasons(found)})
        return found.model_copy(update={"lines": paste_lines(found)})

    def _samples(self, known: Sequence[int]) -> Floats | None:
        """Return the scores by sample, [K, S, N]; None if an arm lacks them."""
        found = [self.results[place].by_sample for place in known]
        if not all(seed in of for of in found for seed in self.seeds):
            return None
        return np.array([[of[seed] for seed in self.seeds] for of in found])
