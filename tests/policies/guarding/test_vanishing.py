"""A loss without a gradient stops no training silently: the student moves under every rule, or a warning says why."""

import copy
import json
import logging
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from policies import FAMILIES, Decision, Geometry, LossBalancer, Observation, create_policy, distillation_loss
from policies.guard import Guard
from policies.guarding.intervention import Intervention, intervention_kind
from policies.guarding.vanishing import VanishedGradient
from policies.stacked.balancer import StackedBalancer
from trainables.training.decision_log import DecisionLog

T = 4.0
PHASE = 50
STEPS = 120
UNREAD = frozenset({"fixed", "linear_schedule", "cosine_schedule", "step_schedule", "warm_up"})
"""Families whose λ depends on progress alone."""


def student_of(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(8, 12), torch.nn.Tanh(), torch.nn.Linear(12, 4))


def on_two_losses(family):
    policy = create_policy(family)
    return policy.scope == "batch" and not policy.needs & {"teacher", "reliability"}


CASES = [
    *((family, "logits") for family in FAMILIES),
    *((family, "losses") for family in FAMILIES if on_two_losses(family)),
]


class Training:
    """A student on random batches, whose teacher is a network of the same kind."""

    def __init__(self, rule, *, entry="logits", start=None, guard="default", rate=0.5, scaler=None, micro_batches=1):
        family, values = rule if isinstance(rule, tuple) else (rule, {})
        self.teacher = student_of(1)
        self.student = copy.deepcopy(self.teacher) if start == "copy" else student_of(0)
        self.scaler, self.entry, self.micro_batches = scaler, entry, micro_batches
        self.balancer = LossBalancer(
            create_policy(family, values), self.student, total_steps=STEPS, guard=guard, grad_scaler=scaler
        )
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=rate)
        self.generator = torch.Generator().manual_seed(2)

    def batch(self):
        x = torch.randn(24, 8, generator=self.generator)
        return x, (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()

    def backward(self, x, labels, vanished, last):
        logits, share = self.student(x), 1 / self.micro_batches
        teacher = self.teacher(x).detach()
        if self.entry == "logits":
            teacher = logits.detach().clone() if vanished == "distill" else teacher
            given = torch.softmax(logits.detach(), 1) if vanished == "task" else labels
            return self.balancer.backward_on_logits(logits, teacher, given, share=share, update=last)
        task, distill = cross_entropy(logits, labels), distillation_loss(logits, teacher, T)
        task = task * 0.0 if vanished == "task" else task
        distill = {"distill": 0.0 * distill, "constant": 0.0 * distill + 3.0}.get(vanished, distill)
        return self.balancer.backward(task * share, distill * share, update=last)

    def step(self, vanished=None):
        """Train one step; return (step, how far the student moved)."""
        before = self.weights()
        self.optimizer.zero_grad()
        parts = list(zip(*(part.chunk(self.micro_batches) for part in self.batch()), strict=True))
        for number, (x, labels) in enumerate(parts, start=1):
            step = self.backward(x, labels, vanished, number == len(parts))
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return step, float((self.weights() - before).norm())

    def run(self, count, vanished=None):
        return [self.step(vanished) for _ in range(count)]

    def weights(self):
        return torch.cat([parameter.detach().flatten() for parameter in self.student.parameters()])


def warned(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "policies.guard"]


def told_of(training):
    return training.balancer.guard.counts.get(Intervention.VANISHED, 0)


@pytest.mark.parametrize(("family", "entry"), CASES)
def test_a_student_that_is_a_copy_of_its_teacher_moves(family, entry, caplog):
    training = Training(family, entry=entry, start="copy")
    start = training.weights()
    with caplog.at_level(logging.WARNING):
        done = training.run(STEPS)
    assert done[0][1] > 0.01
    assert all(moved > 0.0 for _, moved in done)
    assert (training.weights() - start).norm() > 0.01
    messages = warned(caplog)
    assert len(messages) == (told_of(training) > 0)
    assert all(message.startswith("step 0: one loss has no gradient: the distillation loss") for message in messages)


@pytest.mark.parametrize("lost", ["distill", "task"])
@pytest.mark.parametrize(("family", "entry"), CASES)
def test_a_loss_that_has_no_gradient_at_first_stops_no_training(family, entry, lost, caplog):
    training = Training(family, entry=entry)
    with caplog.at_level(logging.WARNING):
        lame = training.run(PHASE, lost)
        afterwards = training.run(STEPS - PHASE)
    stood_still = [step for step, moved in lame if moved < 1e-4]
    if family == "warm_up" and lost == "task":  # it begins at λ = 0
        stood_still = stood_still[1:]
    assert not stood_still
    assert all(moved > 1e-4 for _, moved in afterwards)
    assert len(warned(caplog)) == (told_of(training) > 0)
    assert set(training.balancer.guard.counts) <= {Intervention.VANISHED}


@pytest.mark.parametrize("lost", ["distill", "task"])
@pytest.mark.parametrize("family", [case for case, entry in CASES if entry == "losses" and case not in UNREAD])
def test_a_rule_remembers_nothing_of_readings_without_a_gradient(family, lost):
    training = Training(family, entry="losses")
    training.run(PHASE, lost)
    assert training.balancer.policy.state_dict() == create_policy(family).state_dict()
    assert told_of(training) == PHASE


@pytest.mark.parametrize("lost", ["distill", "task"])
@pytest.mark.parametrize(("family", "entry"), CASES)
def test_a_loss_that_loses_its_gradient_later_leaves_λ_near_where_it_was(family, entry, lost):
    training = Training(family, entry=entry)
    before = training.run(30)[-1][0].decision.weight
    lame = training.run(30, lost)
    after = training.run(20)
    assert all(moved > 1e-4 for _, moved in lame[1:] + after)
    if training.balancer.plan(probe=False).compared and told_of(training) > 0:
        kept = before if (1.0 - before if lost == "distill" else before) > 1e-5 else 0.5
        assert {step.decision.weight for step, _ in lame} == {kept}


@pytest.mark.parametrize(
    "family", ["norm_balance", "mgda", "cagrad", "gradnorm", "loss_ratio", "famo", "sample_norm_balance"]
)
def test_without_a_guard_these_rules_would_stand_still(family):
    """This shows that the tests above can fail."""
    done = Training(family, start="copy", guard=None).run(20)
    assert all(moved < 1e-6 for _, moved in done)


@pytest.mark.parametrize("family", [family for family, entry in CASES if entry == "losses"])
def test_a_constant_loss_without_a_gradient_stops_no_training(family):
    training = Training(family, entry="losses")
    lame = training.run(PHASE, "constant")
    assert all(moved > 1e-4 for _, moved in lame[1:])
    assert all(moved > 1e-4 for _, moved in training.run(STEPS - PHASE))


@pytest.mark.parametrize("vanished", ["distill", "constant"])
def test_a_λ_that_the_user_wrote_down_is_kept_and_told_once(vanished, caplog):
    training = Training(("fixed", {"weight": 1.0}), entry="losses")
    with caplog.at_level(logging.WARNING):
        done = training.run(20, vanished)
    assert all(moved == 0.0 and step.decision.weight == 1.0 for step, moved in done)
    (message,) = warned(caplog)
    assert message.startswith("step 0: one loss has no gradient: the distillation loss, so the student learns nothing")
    assert all(moved > 1e-4 for _, moved in training.run(5))


def test_a_schedule_that_stands_still_only_for_a_while_goes_on():
    training = Training(("step_schedule", {"before": 0.0, "after": 0.5, "switch": 0.5}), entry="losses")
    done = training.run(STEPS, "task")
    assert all(moved == 0.0 for _, moved in done[: STEPS // 2])
    assert all(moved > 1e-4 for _, moved in done[STEPS // 2 :])
    assert told_of(training) == STEPS // 2


def test_a_rule_that_gives_all_weight_to_the_lost_loss_shares_it_equally():
    training = Training("sample_norm_balance", start="copy")
    (step, _), *_ = training.run(1)
    assert step.decision.weight == 0.5
    assert step.intervention == step.decision.reason
    assert step.intervention == "one loss has no gradient: the distillation loss, so λ = 1 became 0.5"
    assert step.weights.tolist() == [0.5] * 24


def test_what_is_kept_from_a_rule_is_still_in_the_record():
    training = Training(("norm_balance", {"measure_every": 1}), start="copy")
    step, _ = training.step()
    assert step.observation.geometry.distill_sq == 0.0
    assert step.decision.weight == 0.5
    assert intervention_kind(step.intervention) == Intervention.VANISHED


@pytest.mark.parametrize("measure_every", [1, 7, 10])
def test_a_measurement_holds_until_the_next(measure_every):
    training = Training(("norm_balance", {"measure_every": measure_every}), entry="losses")
    lame = training.run(20, "distill")
    assert all(step.intervention is not None for step, _ in lame)
    later = training.run(2 * measure_every)
    first = next(step for step, _ in later if step.observation.geometry is not None)
    assert first.intervention is None
    assert first.decision.reason.startswith("norm ratio")


def test_the_decision_log_has_one_entry_for_the_whole_phase():
    training, log = Training("norm_balance", entry="losses"), DecisionLog(seed=0, limit=100)
    for step, _ in training.run(PHASE, "distill") + training.run(PHASE):
        log.note(step, steps_per_epoch=10)
    told = [entry for entry in log.entries if entry.intervention is not None]
    assert [(entry.step, entry.repeats) for entry in told] == [(0, PHASE - 1)]
    assert "the distillation loss, so the rule does not see its readings and λ stays at 0.5" in told[0].intervention


@pytest.mark.parametrize(("lowest", "highest", "done"), [(0.0, 0.3, 0.3), (0.7, 0.95, 0.95), (0.0, 1.0, 0.5)])
def test_equal_shares_keep_to_the_bounds(lowest, highest, done):
    guard = Guard(lowest=lowest, highest=highest)
    (step, moved), *_ = Training("sample_norm_balance", start="copy", guard=guard).run(1)
    assert step.decision.weight == pytest.approx(done)
    assert moved > 1e-4


def test_bounds_that_leave_no_other_λ_are_told():
    guard = Guard(lowest=1.0, highest=1.0)
    (step, moved), *_ = Training("loss_ratio", start="copy", guard=guard).run(1)
    assert moved == 0.0
    assert step.decision.weight == 1.0
    assert guard.counts[Intervention.VANISHED] == 1


def test_the_limit_on_λs_speed_does_not_hold_a_student_in_place():
    guard = Guard(learning_rate=1e-3)
    training = Training(("tree", {"root": "norm_ratio"}), guard=guard, entry="losses")
    training.run(10)
    assert all(moved > 1e-5 for _, moved in training.run(20, "distill"))


@pytest.mark.parametrize("check_every", [1, 10])
@pytest.mark.parametrize("family", ["sample_norm_balance", "loss_ratio", "norm_balance"])
def test_a_copy_moves_where_the_guard_looks_seldom(family, check_every):
    done = Training(family, start="copy", guard=Guard(check_every=check_every)).run(30)
    assert done[0][1] > 0.01
    assert all(moved > 0.0 for _, moved in done)


def test_what_was_seen_last_does_not_outlive_the_next_look():
    """The rule gives λ = 1 to every sample; after the lost steps the teacher teaches again."""
    rule = ("sample_norm_ratio_threshold", {"below": 1.0, "above": 1.0})
    training = Training(rule)
    assert [step.decision.weight for step, _ in training.run(3, "distill")] == [0.5] * 3
    assert [step.decision.weight for step, _ in training.run(3)] == [1.0] * 3


@pytest.mark.parametrize("family", ["norm_balance", "loss_ratio", "sample_norm_balance", "gradnorm"])
def test_gradient_scaling_and_accumulation_change_nothing(family):
    for options in (
        {"scaler": torch.amp.GradScaler("cpu", init_scale=2.0**10)},
        {"micro_batches": 3},
        {"scaler": torch.amp.GradScaler("cpu", init_scale=2.0**10), "micro_batches": 2},
    ):
        training = Training(family, start="copy", **options)
        done = training.run(30)
        assert done[0][0].decision.weight == 0.5
        assert done[0][1] > 0.01
        assert told_of(training) > 0
        lame = Training(family, **options).run(20, "distill")
        assert all(moved > 1e-4 for _, moved in lame)


def test_the_alarm_takes_no_return_of_a_loss_for_a_divergence(caplog):
    for family in ("fixed", "norm_balance", "loss_ratio"):
        training = Training(family, entry="losses", rate=0.1)
        training.teacher[-1].weight.data *= 20.0
        training.run(PHASE, "distill")
        training.run(200)
        assert Intervention.DIVERGENCE not in training.balancer.guard.counts


@pytest.mark.parametrize("family", ["norm_balance", "loss_ratio", "sample_norm_balance", "famo"])
@pytest.mark.parametrize("cut", [7, 20, 31])
def test_a_training_that_is_interrupted_in_the_phase_goes_on_exactly(family, cut):
    def run(interrupted):
        training = Training(family)
        for number in range(45):
            if interrupted and number == cut:
                state = json.loads(json.dumps(training.balancer.state_dict()))
                training.balancer = LossBalancer(create_policy(family), training.student, total_steps=STEPS)
                training.balancer.load_state_dict(state)
            training.step("distill" if number < 30 else None)
        return training.weights(), training.balancer.guard.state_dict()

    whole, resumed = run(False), run(True)
    assert torch.equal(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_the_state_of_an_earlier_release_is_taken():
    state = {name: value for name, value in Guard().state_dict().items() if "vanished" not in name.lower()}
    state.pop("count_EMPTY")
    state.pop("alarm_told_EMPTY")
    guard = Guard()
    guard.load_state_dict(state)
    assert guard.state_dict() == Guard().state_dict()


@pytest.mark.parametrize("rule", ["norm_balance", "loss_ratio", "sample_norm_balance", "fixed", "tree"])
def test_stacked_students_are_kept_moving_each_by_itself(rule):
    """The first member is a copy of its teacher, the second is not."""
    torch.manual_seed(0)
    weights = torch.randn(2, 3, 4).requires_grad_()
    balancers = [LossBalancer(create_policy(rule), [torch.zeros(1, requires_grad=True)], total_steps=9) for _ in "ab"]
    stacked = StackedBalancer(balancers)
    x, labels = torch.randn(2, 16, 4), torch.randint(0, 3, (2, 16))
    logits = torch.bmm(x, weights.mT)
    teacher = logits.detach().clone()
    teacher[1] += torch.randn(16, 3)
    step = stacked.gradient_on_logits(logits, teacher, labels, parameters=weights, block=[weights])
    assert step.gradient[0].norm() > 0.01
    kinds = [None if one.intervention is None else intervention_kind(one.intervention) for one in step.steps]
    assert kinds == [None if rule == "fixed" else Intervention.VANISHED, None]
    assert step.steps[0].decision.weight == (0.9 if rule == "fixed" else 0.5)


@pytest.mark.parametrize(
    ("geometry", "distill", "task"),
    [
        (Geometry(0.0, 1.0, 0.0), True, False),
        (Geometry(1e-12, 1.0, 0.0), True, False),
        (Geometry(1.0, 1e-12, 0.0), False, True),
        (Geometry(1e-8, 1.0, 0.0), False, False),
        (Geometry(0.0, 0.0, 0.0), False, False),
        (Geometry(1.0, 1.0, -1.0), False, False),  # a minimum of their sum, not the end of one loss
    ],
)
def test_gradients_tell_which_loss_has_none(geometry, distill, task):
    vanished = VanishedGradient()
    shown = vanished.look(Observation(0, 0.0, geometry, 1.0, 2.0), compared=True)
    assert (vanished.distill, vanished.task) == (distill, task)
    kept = distill or task or geometry.distill_sq == 0.0
    assert math.isnan(shown.geometry.cosine) == math.isnan(shown.task_loss) == kept


@pytest.mark.parametrize(
    ("task", "distill", "lost"),
    [
        (1.0, 0.0, "distill"),
        (1.0, -1e-8, "distill"),
        (0.0, 1.0, "task"),
        (1e-7, 1.0, "task"),
        (1e-3, 1.0, None),
        (-1.0, 1.0, None),
        (0.0, 0.0, None),
        (math.inf, 0.0, None),
        (math.nan, 0.0, None),
    ],
)
def test_losses_tell_where_no_gradient_is_measured(task, distill, lost):
    vanished = VanishedGradient()
    vanished.look(Observation(0, 0.0, None, task, distill), compared=True)
    assert (vanished.distill, vanished.task) == (lost == "distill", lost == "task")


def reviewed(guard, readings, weight):
    for step, (geometry, task, distill) in enumerate(readings):
        observation = Observation(step, 0.0, geometry, task, distill)
        guard.admit(observation)
        guard.review(observation, Decision(weight))


@pytest.mark.parametrize(
    "reading",
    [(Geometry(1e-6, 1.0, 0.0), None, None), (None, 1.0, 1e-4)],
    ids=["gradients", "losses"],
)
def test_a_rule_that_rests_beside_a_copy_is_warned_about_once(reading, caplog):
    """Rounding keeps the distillation loss of a copy in half precision above 0."""
    guard = Guard()
    with caplog.at_level(logging.WARNING, logger="policies.guard"):
        reviewed(guard, [reading] * 49, 1.0)
        assert not caplog.records
        state = json.loads(json.dumps(guard.state_dict()))
        resumed = Guard()
        resumed.load_state_dict(state)
        reviewed(resumed, [reading] * 200, 1.0)
    (message,) = warned(caplog)
    assert "for 50 steps the rule (λ = 1) has given almost all weight to a loss that can hardly get" in message
    assert resumed.counts == {}
    caplog.clear()
    reviewed(resumed, [(None, 1.0, 1.0)] * 5 + [reading] * 100, 1.0)
    assert not caplog.records


@pytest.mark.parametrize(
    ("reading", "weight"),
    [
        ((Geometry(1e-6, 1.0, 0.0), None, None), 0.9),
        ((Geometry(1.0, 1.0, -1.0), None, None), 0.5),
        ((Geometry(1e-3, 1.0, 0.0), None, None), 1.0),
        ((None, 1.0, 0.01), 1.0),
        ((None, 1e-4, 1.0), 1.0),
    ],
)
def test_a_rule_that_follows_something_is_not_warned_about(reading, weight, caplog):
    with caplog.at_level(logging.WARNING, logger="policies.guard"):
        reviewed(Guard(), [reading] * 100, weight)
    assert not caplog.records


def test_a_loss_that_began_at_almost_nothing_may_rise():
    guard = Guard()
    reviewed(guard, [(None, 3.0, 1e-4)] * 12 + [(None, 3.0, 5e-3)] * 200, 1.0)
    assert Intervention.DIVERGENCE not in guard.counts
