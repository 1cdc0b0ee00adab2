import copy
import math

import pytest
import torch

from policies import LossBalancer, PolicyError, create_policy, distillation_loss
from policies.guard import Guard
from tests.policies.small_training import Alarmed


class Student(torch.nn.Module):
    """Two heads, so that each loss has a parameter the other does not reach."""

    def __init__(self):
        super().__init__()
        self.body = torch.nn.Linear(6, 5)
        self.task_head = torch.nn.Linear(5, 3)
        self.distill_head = torch.nn.Linear(5, 3)
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x):
        hidden = torch.tanh(self.body(x))
        return self.task_head(hidden), self.distill_head(hidden)


@pytest.fixture
def student():
    torch.manual_seed(0)
    return Student().double()


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(7, 6).double(), torch.randint(0, 3, (7,)), torch.randn(7, 3).double()


def losses(student, batch):
    x, labels, teacher = batch
    task_logits, distill_logits = student(x)
    return torch.nn.functional.cross_entropy(task_logits, labels), (distill_logits - teacher).square().mean()


def reference_gradients(student, batch, weight, scale=1.0):
    twin = copy.deepcopy(student)
    task, distill = losses(twin, batch)
    (scale * (weight * distill + (1 - weight) * task)).backward()
    return {name: p.grad for name, p in twin.named_parameters()}


def gradients(student):
    return {name: p.grad for name, p in student.named_parameters()}


def assert_same(actual, expected):
    for name, value in expected.items():
        mine = actual[name]
        if value is None or mine is None:
            other = mine if value is None else value
            assert other is None or not other.any(), name
        else:
            torch.testing.assert_close(mine, value)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("measure_now", [False, True])
def test_gradients_equal_those_of_the_mixed_loss(student, batch, weight, measure_now):
    balancer = LossBalancer(create_policy("fixed", {"weight": weight}), student)
    balancer.backward(*losses(student, batch), measure_now=measure_now)
    assert_same(gradients(student), reference_gradients(student, batch, weight))


@pytest.mark.parametrize("measure_now", [False, True])
def test_gradients_accumulate_like_backward(student, batch, measure_now):
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.3}), student)
    for _ in range(2):
        balancer.backward(*losses(student, batch), measure_now=measure_now)
    expected = reference_gradients(student, batch, 0.3)
    assert_same(gradients(student), {name: g if g is None else 2 * g for name, g in expected.items()})


def test_geometry_is_exact(student, batch):
    step = LossBalancer(create_policy("fixed"), student).backward(*losses(student, batch), measure_now=True)
    trained = [parameter for parameter in student.parameters() if parameter.requires_grad]
    both = losses(student, batch)
    task, distill = (
        torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained, retain_graph=True, materialize_grads=True)])
        for loss in both
    )
    expected = torch.stack([distill @ distill, task @ task, distill @ task]).tolist()
    assert step.geometry == pytest.approx(expected, rel=1e-12)
    assert (step.task_loss, step.distill_loss) == both


@pytest.mark.parametrize("measure_now", [False, True])
def test_a_broken_loss_without_weight_spoils_nothing(student, batch, measure_now):
    task, _ = losses(student, batch)
    broken = student(batch[0])[1].sum() * math.inf
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.0}), student)
    balancer.backward(task, broken, measure_now=measure_now)
    assert_same(gradients(student), reference_gradients(student, batch, 0.0))


@pytest.mark.parametrize("measure_now", [False, True])
def test_a_parameter_that_is_given_twice_is_trained_once(student, batch, measure_now):
    """Tied weights are listed twice if the parameters of two modules are put together."""
    expected = reference_gradients(student, batch, 0.3)
    twice = [*student.parameters(), student.body.weight]
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.3}), twice)
    balancer.backward(*losses(student, batch), measure_now=measure_now)
    assert_same(gradients(student), expected)


@pytest.mark.parametrize("family", ["fixed", "norm_balance", "loss_ratio"])
def test_a_loss_of_one_element_is_one_number(student, batch, family):
    def step_on(*pair):
        student.zero_grad()
        return LossBalancer(create_policy(family), student).backward(*pair), gradients(student)

    plain, expected = step_on(*losses(student, batch))
    task, distill = losses(student, batch)
    step, found = step_on(task[None], distill[None, None])
    assert step.observation == plain.observation
    assert_same(found, expected)


def test_a_loss_of_several_numbers_is_refused_with_the_remedy(student, batch):
    task, distill = losses(student, batch)
    balancer = LossBalancer(create_policy("fixed"), student)
    with pytest.raises(PolicyError, match=r"`distill_loss` must be one number, but has shape \[2\]; take the mean"):
        balancer.backward(task, torch.stack([distill, distill]))


class CountWalks(torch.autograd.Function):
    """The identity; it counts how often gradients pass through it."""

    walks = 0

    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        CountWalks.walks += 1
        return gradient


@pytest.mark.parametrize(
    ("rule", "walks"), [(("norm_balance", {"measure_every": 3}), [2, 1, 1, 2]), (("loss_ratio",), [1, 1, 1, 1])]
)
def test_a_measured_step_walks_the_graph_twice_and_any_other_once(student, batch, rule, walks):
    x, labels, teacher = batch
    balancer = LossBalancer(create_policy(*rule), student)
    counts = []
    for _ in range(4):
        hidden = CountWalks.apply(torch.tanh(student.body(x)))
        task = torch.nn.functional.cross_entropy(student.task_head(hidden), labels)
        distill = (student.distill_head(hidden) - teacher).square().mean()
        CountWalks.walks = 0
        balancer.backward(task, distill)
        counts.append(CountWalks.walks)
    assert counts == walks


def test_a_policy_sees_what_it_asked_for_only(student, batch):
    seen = []

    class Spy(type(create_policy("norm_balance"))):
        def decide(self, observation):
            seen.append(observation.geometry is not None)
            return super().decide(observation)

    balancer = LossBalancer(Spy(measure_every=2), student)
    for _ in range(4):
        balancer.backward(*losses(student, batch), measure_now=True)
    assert seen == [True, False, True, False]


def test_probing_changes_no_decision(student, batch):
    def weights(measure_now):
        twin = copy.deepcopy(student)
        balancer = LossBalancer(create_policy("norm_balance", {"measure_every": 2}), twin)
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
        result = []
        for _ in range(6):
            optimizer.zero_grad()
            result.append(balancer.backward(*losses(twin, batch), measure_now=measure_now).decision.weight)
            optimizer.step()
        return result

    assert weights(True) == pytest.approx(weights(False), abs=1e-12)


def test_progress_runs_from_zero_towards_one(student, batch):
    balancer = LossBalancer(create_policy("linear_schedule", {"start": 1.0, "end": 0.0}), student, total_steps=4)
    weights = [balancer.backward(*losses(student, batch)).decision.weight for _ in range(6)]
    assert weights == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])


@pytest.mark.parametrize(
    ("family", "parameters"),
    [("norm_ratio_threshold", {}), ("cosine_threshold", {"threshold": 0.1}), ("famo", {})],
)
def test_the_state_of_another_rule_is_refused(student, batch, family, parameters):
    """Thresholds on the ratio of norms and on the cosine keep the same numbers with different meanings."""
    first = LossBalancer(create_policy("cosine_threshold"), student)
    first.backward(*losses(student, batch))
    second = LossBalancer(create_policy(family, parameters), student)
    with pytest.raises(
        PolicyError, match=rf"under `cosine_threshold` .*=0\.3.*rule is `{family}`.*create the balancer"
    ):
        second.load_state_dict(first.state_dict())
    assert second.step == 0


def test_distillation_loss_sends_no_gradient_to_the_teacher():
    student, teacher = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    distillation_loss(student, teacher, 4.0).backward()
    assert student.grad is not None
    assert teacher.grad is None


def test_parameters_that_share_a_gradient_get_each_its_own(batch):
    """`a + b` gives autograd one tensor for both; scaling it in place would scale it twice."""
    x, labels, teacher = batch

    def gradients_of(backward):
        torch.manual_seed(0)
        a, b = torch.randn(3, 6).double().requires_grad_(), torch.randn(3, 6).double().requires_grad_()
        logits = x @ (a + b).T
        backward([a, b], torch.nn.functional.cross_entropy(logits, labels), (logits - teacher).square().mean())
        return a.grad, b.grad

    def measured(parameters, task, distill):
        LossBalancer(create_policy("fixed", {"weight": 0.3}), parameters).backward(task, distill, measure_now=True)

    def plain(parameters, task, distill):
        (0.3 * distill + 0.7 * task).backward()

    mine, expected = gradients_of(measured), gradients_of(plain)
    torch.testing.assert_close(mine, expected)
    assert mine[0] is not mine[1]


def test_gradients_whose_elements_share_memory_are_summed_right():
    """The gradient of a sum is one number, expanded."""
    p = torch.ones(4, requires_grad=True)
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.25}), [p])
    step = balancer.backward(p.sum(), 3 * p.sum(), measure_now=True)
    torch.testing.assert_close(p.grad, torch.full((4,), 0.25 * 3 + 0.75))
    assert step.geometry.cosine == pytest.approx(1.0)
    assert step.geometry.norm_ratio == pytest.approx(3.0)


def test_a_layer_unfrozen_later_is_trained_at_measured_steps_too(student, batch):
    student.body.requires_grad_(False)
    balancer = LossBalancer(create_policy("fixed"), student)
    balancer.backward(*losses(student, batch), measure_now=True)
    assert student.body.weight.grad is None
    student.body.requires_grad_(True)
    balancer.backward(*losses(student, batch), measure_now=True)
    assert student.body.weight.grad is not None


@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 3, 4)), ((2, 3), (2, 4)), ((3,), (3,))])
def test_logits_of_another_shape_are_told(shapes):
    with pytest.raises(ValueError, match=r"\[samples, classes\]"):
        distillation_loss(torch.zeros(shapes[0]), torch.zeros(shapes[1]), 4.0)


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("sample_norm_balance", {}),
        ("norm_balance", {"tier": "logit"}),
        ("norm_balance", {"pair": "halves"}),
        ("class_reliability", {}),
        ("sample_confidence_reliability", {}),
    ],
)
def test_a_rule_on_logits_refuses_two_losses_and_names_the_other_call(student, batch, family, parameters):
    balancer = LossBalancer(create_policy(family, parameters), student)
    with pytest.raises(PolicyError, match=f"{family}.*backward_on_logits"):
        balancer.backward(*losses(student, batch))
    assert balancer.step == 0


def test_the_last_block_of_bare_parameters_has_to_be_named(student, batch):
    policy = create_policy("norm_balance", {"tier": "last_block", "measure_every": 1})
    with pytest.raises(PolicyError, match="last_block"):
        LossBalancer(policy, list(student.parameters()))
    balancer = LossBalancer(policy, list(student.parameters()), last_block=student.body)
    step = balancer.backward(*losses(student, batch))
    whole = LossBalancer(create_policy("fixed"), student.body).backward(*losses(student, batch), measure_now=True)
    assert step.observation.geometry == pytest.approx(whole.geometry)


@pytest.mark.parametrize("measure_every", [1, 2])
def test_clipping_parameter_groups_and_a_projector_work_as_after_backward(student, batch, measure_every):
    """λ of `norm_balance` is read from each step and put into an ordinary loss."""
    x, labels, teacher = batch

    def parts(model):
        torch.manual_seed(2)
        projector = torch.nn.Linear(5, 4).double()
        optimizer = torch.optim.SGD(
            [{"params": model.parameters(), "lr": 0.5}, {"params": projector.parameters(), "lr": 0.05}], momentum=0.9
        )
        return projector, optimizer, [*model.parameters(), *projector.parameters()]

    def both(model, projector):
        hidden = torch.tanh(model.body(x))
        features = torch.cat([teacher, teacher[:, :1]], dim=1)
        task = torch.nn.functional.cross_entropy(model.task_head(hidden), labels)
        return task, (projector(hidden) - features).square().mean()

    twin = copy.deepcopy(student)
    mine, expected = parts(student), parts(twin)
    policy = create_policy("norm_balance", {"measure_every": measure_every})
    balancer = LossBalancer(policy, mine[2])
    for _ in range(4):
        for _, optimizer, _ in (mine, expected):
            optimizer.zero_grad()
        weight = balancer.backward(*both(student, mine[0])).decision.weight
        task, distill = both(twin, expected[0])
        (weight * distill + (1 - weight) * task).backward()
        for _, optimizer, parameters in (mine, expected):
            torch.nn.utils.clip_grad_norm_(parameters, 0.1)
            optimizer.step()
    torch.testing.assert_close(mine[2], expected[2])


def test_an_optimiser_may_call_the_step_as_a_closure(student, batch):
    balancer = LossBalancer(create_policy("norm_balance", {"measure_every": 2}), student)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)

    def closure():
        optimizer.zero_grad()
        return balancer.backward(*losses(student, batch)).task_loss

    found = [float(optimizer.step(closure)) for _ in range(4)]
    assert balancer.step == 4
    assert found[-1] < found[0]


class Listening(Guard):
    """A guard that keeps what it is asked to review."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.heard = []

    def review(self, observation, decision, mixed_loss=None):
        self.heard.append((observation, mixed_loss))
        return super().review(observation, decision, mixed_loss)


def test_the_guard_is_told_the_loss_that_a_rule_on_samples_trains(student, batch):
    x, labels, teacher = batch
    guard = Listening()
    balancer = LossBalancer(create_policy("sample_norm_balance"), student, guard=guard)
    logits = student(x)[0]
    step = balancer.backward_on_logits(logits, teacher, labels)
    log_student, log_teacher = torch.log_softmax(logits / 4, 1), torch.log_softmax(teacher / 4, 1)
    distill = 16 * (log_teacher.exp() * (log_teacher - log_student)).sum(1)
    task = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    ((_, mixed_loss),) = guard.heard
    assert mixed_loss == pytest.approx((step.weights * distill + (1 - step.weights) * task).mean().item(), rel=1e-5)


@pytest.mark.parametrize("parts", [1, 2])
def test_an_alarm_changes_nothing_in_the_step_of_a_rule_on_samples(student, batch, parts):
    x, labels, teacher = batch[0][:6], batch[1][:6], batch[2][:6]

    def step_under(guard):
        student.zero_grad()
        balancer = LossBalancer(create_policy("sample_norm_balance"), student, guard=guard)
        for part in range(parts):
            rows = slice(part * 6 // parts, (part + 1) * 6 // parts)
            step = balancer.backward_on_logits(
                student(x[rows])[0], teacher[rows], labels[rows], share=1 / parts, update=part == parts - 1
            )
        return step.decision.weight, step.weights, gradients(student)

    weight, weights, expected = step_under(None)
    assert weights.std() > 0.05
    alarmed = step_under(Alarmed())
    assert alarmed[0] == pytest.approx(weight)
    assert_same(alarmed[2], expected)


@pytest.mark.parametrize("measure_now", [False, True])
def test_the_guard_is_told_what_the_rule_reads_and_nothing_of_a_probe(student, batch, measure_now):
    guard = Listening(check_every=100)
    balancer = LossBalancer(create_policy("norm_balance", {"measure_every": 2}), student, guard=guard)
    for _ in range(4):
        balancer.backward(*losses(student, batch), measure_now=measure_now)
    told = [(seen.geometry is not None, seen.task_loss is not None) for seen, _ in guard.heard]
    assert told == [(True, True), (False, False), (True, True), (False, False)]
