"""The contract suite finds violations: for each clause one rule breaks just that one."""

import dataclasses
import math
import random
from typing import ClassVar

import pytest

from policies import FAMILIES, BatchPolicy, Decision, Policy, SamplePolicy
from policies.measuring import MeasuringPolicy
from policies.parameter import real
from policies.testing import BATCH, COMMON, SAMPLE, check_policy, clauses_of


@dataclasses.dataclass(kw_only=True, eq=False)
class Ramp(BatchPolicy):
    """λ rises with progress."""

    family: ClassVar[str] = "ramp"
    source: ClassVar[str] = "this test"

    end: float = real(0.5, low=0.0, high=1.0, meaning="λ at the end")

    @property
    def needs(self):
        return frozenset({"progress"})

    def decide(self, observation):
        return Decision(self.end * observation.progress, reason="ramp")

    def rule(self):
        return f"λ rises to {self.end:.3g}."

    @property
    def complexity(self):
        return 1


@dataclasses.dataclass(kw_only=True, eq=False)
class Follow(MeasuringPolicy):
    """λ follows the task loss."""

    family: ClassVar[str] = "follow"
    source: ClassVar[str] = "this test"

    @property
    def needs(self):
        return frozenset({"losses"})

    def readings(self, observation):
        return None if observation.task_loss is None else (observation.task_loss,)

    def respond(self, means):
        return Decision(1.0 / (1.0 + means[0] ** 2), reason="loss")

    def rule(self):
        return "λ falls with the task loss."

    @property
    def complexity(self):
        return 1


@dataclasses.dataclass(kw_only=True, eq=False)
class Balance(SamplePolicy):
    """λ falls with the norm ratio."""

    family: ClassVar[str] = "balance"
    source: ClassVar[str] = "this test"

    kappa: float = real(1.0, low=0.5, high=2.0, meaning="κ")

    def weights(self, samples):
        return (samples.norm_ratio / self.kappa + 1.0).reciprocal()

    def rule(self):
        return "λ = κ/(κ + r)."

    @property
    def complexity(self):
        return 1


def changed(base, **members):
    """Return the class with some of its members replaced; a plain member of that name stands for a property too."""
    made = type(base.__name__, (base,), {"__doc__": base.__doc__, **members})
    return dataclasses.dataclass(kw_only=True, eq=False)(made)


CALLS = {"count": 0}


def counting(self, observation):
    CALLS["count"] += 1
    return Decision(0.5 / CALLS["count"], reason="shared")


def remembering(self, observation):
    self.seen = getattr(self, "seen", 0) + 1
    return Decision(1.0 / self.seen, reason="memory")


def peeking(self, observation):
    return Decision(0.5 if observation.geometry is None else 0.6, reason="peek")


def taking_everything(self, observation):
    self._decision = Decision(1.0 / (1.0 + abs(observation.task_loss or 0.0)), reason="loss")
    return self._decision


def assuming(self, o):
    return Decision(abs(o.geometry.cosine), reason="geometry")


def state_of_objects(self):
    return {"decision": Decision(0.5)}


def in_place(self, samples):
    return samples.norm_ratio.clamp_(0.0, 1.0)


def if_reliable(rule, samples):
    """Return weights from a reading that the rule did not ask for, if it is there."""
    return samples.confidence if samples.class_reliability is None else samples.class_reliability


BROKEN = [
    (Ramp, {"source": ""}, "is_complete", r"source` must say where"),
    (Ramp, {"family": "No Name"}, "is_complete", r"family` must be a name"),
    (Ramp, {"from_parameters": classmethod(lambda cls, values: cls())}, "parameters_are_checked", "'0.5' is accepted"),
    (Ramp, {"values": lambda self: {"end": 0.1}}, "values_survive", r"created with end=0.0, its values are"),
    (Ramp, {"rule": lambda self: "It rises"}, "rule_is_a_sentence", "one sentence from 'λ' to '.'"),
    (Follow, {"rule": lambda self: "It falls"}, "rule_is_a_sentence", "but with its defaults it is 'It falls'"),
    (Ramp, {"short_rule": lambda self: "two\nlines"}, "rule_is_a_sentence", "one short line, but .* 'two.nlines'"),
    (Ramp, {"complexity": 7}, "rule_is_a_sentence", "complexity must be from 1 to 1"),
    (Ramp, {"needs": frozenset({"gradient"})}, "needs_are_known", r"unknown needs \['gradient'\]"),
    (Ramp, {"decide": lambda s, o: Decision(1.2, reason="x")}, "decisions_are_in_range", r"weight=1.2"),
    (Ramp, {"decide": assuming}, "decisions_are_in_range", "AttributeError.*raised in .*o.geometry.cosine"),
    (Ramp, {"decide": lambda s, o: Decision(math.nan, reason="x")}, "decisions_are_in_range", r"weight=nan"),
    (Ramp, {"decide": lambda s, o: Decision(0.5, 0.0, "x")}, "decisions_are_in_range", r"scale=0.0"),
    (Ramp, {"decide": lambda s, o: Decision(0.5)}, "decisions_are_in_range", r"reason=''"),
    (Follow, {"decide": taking_everything}, "broken_measurements_are_passed_over", r"task_loss = nan at step 10"),
    (Ramp, {"decide": remembering}, "training_resumes_exactly", r"after a resume"),
    (Ramp, {"state_dict": state_of_objects}, "training_resumes_exactly", r"keeps no state, but got"),
    (Ramp, {"state_dict": lambda self: {"x": object()}}, "training_resumes_exactly", r"TypeError.*not JSON.*raised in"),
    (Ramp, {"decide": counting}, "instances_are_independent", r"in a second training"),
    (Ramp, {"decide": lambda s, o: Decision(random.random(), reason="x")}, "instances_are_independent", "second"),
    (Ramp, {"needs": frozenset()}, "needs_suffice", r"without what `needs` = \[\]"),
    (Ramp, {"decide": peeking}, "needs_suffice", r"without what `needs` = \['progress'\]"),
    (Ramp, {"measures_at": lambda self, step: step == 3}, "needs_suffice", r"measures at step \[3\]"),
    (Balance, {"weights": lambda self, s: s.norm_ratio}, "weights_are_in_range", r"λ = 2\.0"),
    (Balance, {"weights": lambda self, s: s.norm_ratio.mean()}, "weights_are_in_range", r"must be \[196\] of"),
    (Balance, {"weights": lambda self, s: s.confidence.double()}, "weights_are_in_range", r"float64"),
    (Balance, {"weights": lambda self, s: 0.5}, "weights_are_in_range", r"but are 0\.5"),
    (Balance, {"weights": in_place}, "weights_are_in_range", r"changed the observation's tensors"),
    (Balance, {"weights": lambda s, o: o.confidence * o.agreement.mean()}, "samples_are_weighed_alone", "alone"),
    (Balance, {"weights": lambda s, o: o.class_reliability}, "readings_are_declared", "add 'reliability'"),
    (Balance, {"weights": if_reliable}, "readings_are_declared", "depends on the teacher's reliability"),
    (
        Balance,
        {"needs": frozenset(), "weights": lambda s, o: 1 - o.agreement},
        "readings_are_declared",
        "add 'teacher'",
    ),
    (Balance, {"weights": lambda s, o: o.confidence * o.progress}, "progress_is_declared", "depends on the step"),
]


@pytest.mark.parametrize("policy", [Ramp, Follow, Balance])
def test_a_good_rule_keeps_the_contract(policy):
    check_policy(policy)


@pytest.mark.parametrize(
    ("base", "members", "clause", "message"),
    BROKEN,
    ids=[f"{clause}-{next(iter(members))}-{number}" for number, (_, members, clause, _) in enumerate(BROKEN)],
)
def test_each_clause_catches_the_rule_that_breaks_it(base, members, clause, message):
    policy = changed(base, **members)
    (broken,) = [c for c in clauses_of(policy) if c.__name__ == clause]
    with pytest.raises(AssertionError, match=rf"{base.__name__}` breaks `{clause}`: .*{message}"):
        broken(policy)
    with pytest.raises(AssertionError):
        check_policy(policy)


def test_every_clause_is_shown_to_catch_something():
    assert {clause for _, _, clause, _ in BROKEN} == {clause.__name__ for clause in (*COMMON, *BATCH, *SAMPLE)}


def test_every_clause_says_what_it_wants():
    for clause in (*COMMON, *BATCH, *SAMPLE):
        assert clause.__doc__


@pytest.mark.parametrize("nonsense", [int, Policy, "fixed"])
def test_what_is_no_rule_at_all_is_told(nonsense):
    with pytest.raises(AssertionError, match="must be a class derived from policies.BatchPolicy"):
        check_policy(nonsense)


def test_checking_registers_nothing():
    check_policy(Ramp)
    assert "ramp" not in FAMILIES
