"""Carries out an update under a rule that chooses one λ for the batch."""

from __future__ import annotations

import math

from policies.geometry import UNKNOWN
from policies.policy import BatchPolicy, Decision, Measurement, Observation
from policies.update.base import DecideOn, Plan, Update, mixing_weights
from policies.update.meter import accumulate
from policies.update.objective import Factor, Objective
from policies.update.readings import Readings
from policies.update.student import Student


class BatchUpdate(Update):
    """An update with one λ for all samples, chosen as soon as the readings that it depends on are known.

    If they are known before the first backward pass, a plain pass of the mixed loss follows for every micro-batch. If
    they are known after the last micro-batch only, both gradients are kept separately until then. This costs a second
    pass and memory for both.
    """

    def __init__(self, policy: BatchPolicy, plan: Plan, student: Student, decide_on: DecideOn) -> None:
        super().__init__(plan, student)
        self._policy = policy
        self._how = policy.measurement
        self._measured_whole = "geometry" in plan.reads and self._how.tier == "full"
        self._late = plan.probe or self._measured_whole or (plan.several and bool(plan.reads) and decide_on == "update")
        wanted = plan.wanted - {"geometry"} if self._measured_whole else plan.wanted
        if self._late:
            student.check_two_gradients(_occasion(policy, plan, self._measured_whole))
        self._readings = Readings(wanted, self._how, student)

    @property
    def takes_gradients_apart(self) -> bool:
        return self._late or ("geometry" in self.plan.reads and self._how.tier == "last_block")

    def _add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None:
        if self._late:
            self._add_pair(objective, share, factor, last)
            return
        if self.verdict is None:
            self._readings.add(objective, share=1.0, factor=factor, last=True)
            self._observe(self._readings)
            self.verdict = self.plan.judge(self._policy, self.observation)
        if not self.verdict.skip:
            objective.backward(*mixing_weights(self.verdict.decision), factor=share * factor)

    def _add_pair(self, objective: Objective, share: float, factor: Factor, last: bool) -> None:
        self._readings.add(objective, share=share, factor=factor, last=last)
        how = self._how if self._measured_whole else Measurement()
        pair = self._take_pair(objective, factor=share * factor, retain=False, last=last, how=how)
        if not last:
            return
        name = "geometry" if self._measured_whole else "whole"
        # It is averaged already, so averaging it once more changes nothing.
        self._observe(self._readings, **{name: pair.geometry(factor)})
        if self._measured_whole:
            self.geometry = self.observation.geometry
        self.verdict = self.plan.judge(self._policy, self.observation)
        if not self.verdict.skip:
            accumulate(pair.parameters, pair.distill, pair.task, *mixing_weights(self.verdict.decision))

    def _decide_blindly(self) -> Decision:
        if not self.plan.reads:
            return self._policy.decide(self.observation)
        unknown = Observation(self.plan.step, self.plan.progress, UNKNOWN, *[math.nan] * (len(Observation._fields) - 3))
        return self._policy.decide(self.plan.shown(unknown))


def _occasion(policy: BatchPolicy, plan: Plan, measured_whole: bool) -> tuple[str, str]:
    """Return (what needs both gradients, the remedy), in words."""
    if measured_whole:
        return f"`{policy.family}` measures the gradients of all parameters", 'set `tier` = "logit"'
    if plan.probe:
        return "`measure_now` measures the gradients of all parameters", "leave it out"
    return (
        f"`{policy.family}` decides on all micro-batches of an update, which keeps both gradients until the last",
        "pass `decide_on='first'` to decide on the first one",
    )
