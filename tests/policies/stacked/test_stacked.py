"""Students stacked into one train as the students with a balancer each."""

import math

import pytest
import torch

from policies import FAMILIES
from policies.balancer import LossBalancer
from policies.errors import PolicyError
from policies.guard import Guard
from policies.registry import create_policy
from policies.stacked.balancer import StackedBalancer
from tests.policies.small_training import Alarmed

MEMBERS, BATCH, INPUTS, HIDDEN, CLASSES = 3, 11, 6, 5, 4
SIZES = (HIDDEN * INPUTS, HIDDEN, CLASSES * HIDDEN, CLASSES)
STEPS = 14
RATE = 0.3

ELSEWHERE = [
    ("norm_balance", {"tier": "logit", "measure_every": 2}),
    ("norm_balance", {"tier": "last_block", "measure_every": 2}),
    ("norm_balance", {"pair": "halves", "measure_every": 2}),
    ("norm_balance", {"tier": "last_block", "pair": "halves", "measure_every": 2}),
    ("fixed", {"weight": 0.0}),
    ("fixed", {"weight": 1.0}),
]
RULES = [(family, {}) for family in FAMILIES] + ELSEWHERE


def named(rule):
    return "-".join([rule[0], *map(str, rule[1].values())])


def create(rule):
    family, values = rule
    if "measure_every" in FAMILIES[family].parameters():
        values = {"measure_every": 3, **values}
    return create_policy(family, dict(values))


class Both:
    """The same students twice: stacked, and apart with a module and a balancer each."""

    def __init__(self, rule, guards=None):
        torch.manual_seed(0)
        guards = guards or [Guard for _ in range(MEMBERS)]
        self.models = [
            torch.nn.Sequential(
                torch.nn.Linear(INPUTS, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, CLASSES)
            ).double()
            for _ in range(MEMBERS)
        ]
        self.flat = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in self.models])
        self.flat.requires_grad_()
        self.apart, self.together = (
            [
                LossBalancer(create(rule), model, total_steps=STEPS, guard=guard())
                for model, guard in zip(self.models, guards, strict=True)
            ]
            for _ in range(2)
        )
        self.stacked = StackedBalancer(self.together)

    def step(self, inputs, teacher, labels, **more):
        """Return (steps apart, the stacked step); every parameter follows its own gradient."""
        steps = []
        for member, (model, balancer) in enumerate(zip(self.models, self.apart, strict=True)):
            model.zero_grad()
            steps.append(balancer.backward_on_logits(model(inputs[member]), teacher[member], labels[member], **more))
        w1, b1, w2, b2 = self.flat.split(SIZES, 1)
        w1, w2 = w1.unflatten(1, (HIDDEN, INPUTS)), w2.unflatten(1, (CLASSES, HIDDEN))
        hidden = torch.tanh(torch.baddbmm(b1[:, None], inputs, w1.mT))
        logits = torch.baddbmm(b2[:, None], hidden, w2.mT)
        stacked = self.stacked.gradient_on_logits(logits, teacher, labels, parameters=self.flat, block=[w2, b2], **more)
        with torch.no_grad():
            for member, model in enumerate(self.models):
                gradients = [p.grad for p in model.parameters()]
                assert (gradients[0] is None) == (member in stacked.skipped)
                if member not in stacked.skipped:
                    apart = torch.cat([g.flatten() for g in gradients])
                    torch.testing.assert_close(stacked.gradient[member], apart, rtol=1e-9, atol=1e-12)
                    self.flat[member] -= RATE * stacked.gradient[member]
                    for parameter in model.parameters():
                        parameter -= RATE * parameter.grad
        return steps, stacked


def batches(count):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield (
            torch.randn(MEMBERS, BATCH, INPUTS, generator=generator).double(),
            3 * torch.randn(MEMBERS, BATCH, CLASSES, generator=generator).double(),
            torch.randint(0, CLASSES, (MEMBERS, BATCH), generator=generator),
        )


def close(value):
    """Compare up to rounding, at any depth of nesting."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {key: close(item) for key, item in value.items()}
    return pytest.approx(value, rel=1e-7, abs=1e-11, nan_ok=True)


def numbers(step):
    """Return the numbers of a step, without its words."""
    seen = step.observation
    geometries = [None if g is None else tuple(g) for g in (seen.geometry, step.geometry)]
    decision = (step.decision.weight, step.decision.scale, step.decision.branch)
    return [*seen._replace(geometry=None), *decision, float(step.task_loss), float(step.distill_loss)], geometries


def assert_same(one, other):
    (values, geometries), (expected, theirs) = numbers(one), numbers(other)
    assert values == [close(value) for value in expected]
    assert geometries == [close(geometry) for geometry in theirs]
    assert one.intervention == other.intervention
    if other.weights is None:
        assert one.weights is None
    else:
        torch.testing.assert_close(one.weights, other.weights, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=named)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_stacked_students_are_the_students(rule, smoothing):
    both = Both(rule)
    for number, batch in enumerate(batches(STEPS)):
        apart, stacked = both.step(*batch, label_smoothing=smoothing, measure_now=number % 4 == 1)
        for ours, theirs in zip(stacked.steps, apart, strict=True):
            assert_same(ours, theirs)
    for ours, theirs in zip(both.together, both.apart, strict=True):
        assert ours.step == theirs.step == STEPS
        assert ours.policy.state_dict() == close(theirs.policy.state_dict())
        assert ours.guard.state_dict() == close(theirs.guard.state_dict())


def test_members_decide_for_themselves():
    both = Both(("norm_balance", {"measure_every": 1, "smoothing": 0.0}))
    _, stacked = both.step(*next(batches(1)))
    assert len({step.decision.weight for step in stacked.steps}) == MEMBERS
    assert len({step.observation.geometry for step in stacked.steps}) == MEMBERS


@pytest.mark.parametrize("rule", [("fixed", {"weight": 0.3}), ELSEWHERE[0], ("norm_balance", {}), ("tree", {}),
                                  ("sample_norm_balance", {})], ids=named)  # fmt: skip
@pytest.mark.parametrize("broken", ["inputs", "teacher"])
@pytest.mark.parametrize("probe", [False, True])
def test_one_that_breaks_does_no_harm_to_the_others(rule, broken, probe):
    """A broken picture breaks both losses, a broken teacher one."""
    both = Both(rule)
    for number, (inputs, teacher, labels) in enumerate(batches(6)):
        if number in (2, 3):
            (inputs if broken == "inputs" else teacher)[1, 4, 2] = math.nan if number == 2 else math.inf
        apart, stacked = both.step(inputs, teacher, labels, measure_now=probe)
        for ours, theirs in zip(stacked.steps, apart, strict=True):
            assert ours.intervention == theirs.intervention
            assert ours.decision.weight == close(theirs.decision.weight)
        assert (stacked.steps[1].intervention is not None) == (number in (2, 3))
        assert [step.intervention for step in stacked.steps[::2]] == [None, None]
    assert both.together[1].guard.counts == both.apart[1].guard.counts
    assert both.together[1].guard.skipped == both.apart[1].guard.skipped
    assert both.together[0].guard.counts == {}


def test_a_gradient_that_is_not_finite_holds_its_member_back():
    both = Both(("fixed", {}))
    inputs, teacher, labels = next(batches(1))
    both.models[2][0].weight.register_hook(lambda gradient: gradient * math.inf)
    both.flat.register_hook(lambda gradient: gradient * torch.tensor([1.0, 1.0, math.inf])[:, None].double())
    apart, stacked = both.step(inputs, teacher, labels)
    assert stacked.skipped == {2}
    assert stacked.steps[2].intervention == apart[2].intervention == "a gradient is not finite: step skipped"


def test_without_guards_nothing_is_looked_at():
    both = Both(("fixed", {}), guards=[lambda: None] * MEMBERS)
    inputs, teacher, labels = next(batches(1))
    apart, stacked = both.step(inputs, teacher, labels)
    assert stacked.skipped == frozenset()
    assert [numbers(step) for step in stacked.steps] == [
        ([close(v) for v in values], geometries) for values, geometries in map(numbers, apart)
    ]
    assert stacked.steps[0].observation.task_loss is None


def test_no_gradient_where_all_are_held_back():
    both = Both(("fixed", {}))
    inputs, teacher, labels = next(batches(1))
    _, stacked = both.step(inputs * math.nan, teacher, labels)
    assert stacked.gradient is None
    assert stacked.skipped == {0, 1, 2}


def test_policies_that_differ_are_refused():
    model = torch.nn.Linear(2, 2)
    first = LossBalancer(create_policy("fixed", {"weight": 0.3}), model)
    second = LossBalancer(create_policy("fixed", {"weight": 0.4}), model)
    with pytest.raises(PolicyError, match=r"with the same parameters, but got `fixed` .*0\.3.* and `fixed` .*0\.4"):
        StackedBalancer([first, second])


def test_an_alarm_changes_nothing_in_the_step_of_a_rule_on_samples():
    inputs, teacher, labels = next(batches(1))
    alarmed, calm = (
        Both(("sample_norm_balance", {}), guards=[guard] * MEMBERS).step(inputs, teacher, labels)[1]
        for guard in (Alarmed, Guard)
    )
    assert all(step.intervention is not None for step in alarmed.steps)
    torch.testing.assert_close(alarmed.gradient, calm.gradient, rtol=0.0, atol=0.0)
