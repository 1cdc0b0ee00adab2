"""Rules as plain PyTorch train as `LossBalancer` does, and need nothing of this package."""

import itertools
import math
import random
import subprocess
import sys

import pytest
import torch

from policies import FAMILIES, LossBalancer, PolicyError, create_policy
from policies.families.schedules.fixed import Fixed
from policies.plain.writing import plain_rule
from policies.update.meter import last_block
from tests.policies.small_training import T, small_batches, small_student

STEPS = 16
CLASSES = 3


def values_of(parameter, chance):
    if parameter.kind == "choice":
        return chance.choice(parameter.options)
    low, high = parameter.search
    if parameter.kind == "integer":
        return chance.randint(1, 3)
    drawn = math.exp(chance.uniform(math.log(low), math.log(high))) if parameter.log else chance.uniform(low, high)
    return float(drawn)


def settings(family):
    """Return the defaults, each option of each choice, and random values from the search ranges."""
    chance = random.Random(family)
    parameters = FAMILIES[family].parameters()
    found = [{}, {name: 0.0 for name in ("smoothing", "hysteresis") if name in parameters}]
    found += [{name: option} for name, p in parameters.items() for option in p.options]
    found += [{name: values_of(p, chance) for name, p in parameters.items()} for _ in range(2)]
    rates = [name for name in parameters if name == "measure_every"]
    found = [{**dict.fromkeys(rates, 2), **values} for values in found]
    return [values for values in found if (values.get("tier"), values.get("pair")) != ("logit", "halves")]


def loaded(text):
    namespace = {}
    exec(compile(text, "rule.py", "exec"), namespace)
    return namespace


def trained(student, step, batches, rate=0.05):
    optimizer = torch.optim.SGD(student.parameters(), lr=rate, momentum=0.5)
    for inputs, labels, teacher in batches:
        optimizer.zero_grad()
        step(student(inputs), teacher, labels)
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in student.parameters()])


def plainly(text, policy, student, total):
    """Return a step of a training under the file's text, made as its head says."""
    namespace = loaded(text)
    rule, losses = namespace["Rule"], namespace["losses"]
    head = text.partition('"""')[2].partition('"""')[0]
    given = head.partition("rule = Rule(")[2].partition(")\n")[0]
    arguments = {}
    if "parameters" in given:
        block = policy.measurement.tier == "last_block"
        arguments["parameters"] = last_block(student) if block else student.parameters()
    if "total_steps" in given:
        arguments["total_steps"] = total
    if "classes" in given:
        arguments["classes"] = CLASSES
    made = rule(**arguments)
    if "rule.backward(*losses" in head:
        return lambda *batch: made.backward(*losses(*batch))
    return made.backward


def balanced(policy, student, total, **more):
    balancer = LossBalancer(policy, student, total_steps=total, temperature=T, guard=None)
    return lambda *batch: balancer.backward_on_logits(*batch, **more)


CASES = [(family, number, values) for family in FAMILIES for number, values in enumerate(settings(family))]


@pytest.mark.parametrize(("family", "number", "values"), CASES, ids=[f"{case[0]}-{case[1]}" for case in CASES])
def test_a_training_equals_one_under_the_balancer(family, number, values):
    policy, batches = create_policy(family, values), small_batches(STEPS)
    text = plain_rule(policy, temperature=T)
    assert "policies" not in text.partition('"""\n\n')[2]
    assert max(map(len, text.split("\n"))) <= 120
    one, other = small_student(), small_student()
    expected = trained(one, balanced(create_policy(family, values), one, STEPS), batches)
    found = trained(other, plainly(text, policy, other, STEPS), batches)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("family", ["fixed", "cosine_threshold", "sample_norm_balance"])
def test_label_smoothing_and_a_high_temperature_are_part_of_the_losses(family):
    policy, batches = create_policy(family, {}), small_batches(STEPS)
    text = plain_rule(policy, temperature=50.0, label_smoothing=0.1)
    one, other = small_student(), small_student()
    balancer = LossBalancer(create_policy(family, {}), one, total_steps=STEPS, temperature=50.0, guard=None)
    expected = trained(one, lambda *batch: balancer.backward_on_logits(*batch, label_smoothing=0.1), batches)
    torch.testing.assert_close(trained(other, plainly(text, policy, other, STEPS), batches), expected)


@pytest.mark.parametrize("family", ["norm_balance", "sample_cosine_ramp", "tree", "famo", "sample_class_reliability"])
def test_single_precision_agrees_to_rounding(family):
    policy = create_policy(family, {})
    batches = [(inputs.float(), labels, teacher.float()) for inputs, labels, teacher in small_batches(STEPS)]
    text = plain_rule(policy, temperature=T)
    one, other = small_student().float(), small_student().float()
    expected = trained(one, balanced(create_policy(family, {}), one, STEPS), batches)
    found = trained(other, plainly(text, policy, other, STEPS), batches)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_readings_that_are_not_finite_are_ignored_as_by_the_balancer():
    batches = small_batches(6)
    inputs, labels, teacher = batches[2]
    batches[2] = inputs, labels, torch.full_like(teacher, math.inf)
    for family in ("norm_balance", "tree", "loss_ratio"):
        policy = create_policy(family, {"measure_every": 1})
        one, other = small_student(), small_student()
        reference = create_policy(family, {"measure_every": 1})
        balancer = LossBalancer(reference, one, total_steps=6, temperature=T, guard=None)
        weights, chosen = [], []
        rule = plainly(plain_rule(policy, temperature=T), policy, other, 6)
        for batch in batches:
            x, y, z = batch
            weights.append(balancer.backward_on_logits(one(x), z, y).decision.weight)
            rule(other(x), z, y)
            cell = rule.__closure__[[*rule.__code__.co_freevars].index("made")].cell_contents
            chosen.append(cell.weight if hasattr(cell, "weight") else weights[-1])
        assert chosen == pytest.approx(weights, abs=1e-9)


def test_a_training_with_losses_of_ones_own_goes_through_backward():
    policy = create_policy("norm_balance", {"measure_every": 2})
    rule = loaded(plain_rule(policy, temperature=T))["Rule"]
    one, other = small_student(), small_student()
    balancer = LossBalancer(policy, one, guard=None)
    made = rule(other.parameters())
    for inputs, _, teacher in small_batches(4):
        for student, backward in ((one, balancer.backward), (other, made.backward)):
            student.zero_grad()
            outputs = student(inputs)
            backward((outputs - 1.0).square().mean(), (outputs - teacher).abs().mean())
        for p, q in itertools.zip_longest(one.parameters(), other.parameters()):
            torch.testing.assert_close(p.grad, q.grad)


def test_the_file_runs_where_the_package_is_not_installed(tmp_path):
    text = plain_rule(create_policy("cosine_threshold", {}), temperature=T)
    (tmp_path / "rule.py").write_text(text, encoding="utf-8")
    program = """
import sys, torch
sys.modules["policies"] = None
from rule import Rule, losses
student = torch.nn.Linear(4, 3)
rule = Rule(student.parameters())
rule.backward(*losses(student(torch.randn(8, 4)), torch.randn(8, 3), torch.randint(0, 3, (8,))))
print(student.weight.grad.norm() > 0)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "tensor(True)"


def test_a_rule_of_ones_own_has_no_plain_form_and_the_message_names_its_class():
    class Mine(Fixed):
        family = "mine"

    with pytest.raises(PolicyError, match=r"`mine` is a rule of your own, which has no plain form: its code is .*Mine"):
        plain_rule(Mine(), temperature=T)


def test_the_head_states_the_rule_and_the_parts_that_are_left_out():
    policy = create_policy("warm_up", {"weight": 0.7})
    head = plain_rule(policy, temperature=2.5).partition('"""\n\n')[0].replace("\n", " ")
    assert policy.rule() in head
    assert "at temperature 2.5" in head
    assert "its guard against broken batches" in head
