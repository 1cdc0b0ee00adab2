"""Every rule of one λ a sample does what it says; `test_families.py` holds it to the contract."""

import itertools

import pytest
import torch

from policies import FAMILIES, LossBalancer, create_policy
from policies.policy import MEASURED
from policies.sample import SampleObservation
from policies.testing.zoo import columns_of, part_of, sample_batch
from policies.update.logits import LogitPair

SAMPLE_FAMILIES = [family for family, policy in FAMILIES.items() if policy.scope == "sample"]
COLUMNS = SampleObservation._fields[2:]


def variants():
    """Yield every family with its defaults, and trees about everything that a tree can ask."""
    yield from ((family, {}) for family in SAMPLE_FAMILIES)
    for root, low, high in itertools.product(("progress", "loss_ratio"), ("confidence", "cosine"), ("agreement",)):
        yield "sample_tree", {"root": root, "low": low, "high": high}


@pytest.fixture(params=variants(), ids=str)
def policy(request):
    return create_policy(*request.param)


def zoo(device="cpu", dtype=torch.float32):
    observed = sample_batch()
    columns = (column.to(device, dtype if column.is_floating_point() else None) for column in columns_of(observed))
    return SampleObservation(observed.step, observed.progress, *columns)


def samples(progress=0.0, **columns):
    """Return samples with these readings; other readings are 0.5 for all."""
    count = len(next(iter(columns.values())))
    return SampleObservation(
        0,
        progress,
        *(torch.tensor(columns.get(name, [0.5] * count), dtype=torch.float64) for name in COLUMNS),
    )


def test_weights_have_the_readings_type(policy):
    assert policy.weights(zoo(dtype=torch.float64)).dtype == torch.float64


def test_a_batch_without_samples_has_no_weights(policy):
    assert policy.weights(part_of(zoo(), slice(0))).shape == (0,)


def test_nothing_waits_for_the_device(policy):
    """Tensors on the device `meta` have no values, so whatever asks for one fails."""
    weights = policy.weights(zoo(device="meta"))
    assert weights.device.type == "meta"


def test_every_parameter_has_an_effect(policy):
    """Rules of one λ a sample have no period of measuring, no smoothing and no place in the network."""
    assert not {"measure_every", "smoothing", "tier", "pair", "hysteresis"} & set(policy.parameters())


@pytest.mark.parametrize("family", [family for family in SAMPLE_FAMILIES if family != "sample_tree"])
def test_moving_any_parameter_moves_a_weight(family):
    plain = create_policy(family).weights(zoo())
    for name, parameter in create_policy(family).parameters().items():
        moved = [create_policy(family, {name: end}).weights(zoo()) for end in parameter.options or parameter.search]
        assert any(not torch.equal(plain, weights) for weights in moved), name


def test_norm_ratio_threshold_trusts_the_teacher_where_it_pulls_little():
    policy = create_policy("sample_norm_ratio_threshold", {"threshold": 2.0, "above": 0.1, "below": 0.8})
    assert policy.weights(samples(norm_ratio=[0.5, 2.0, 2.1, 100.0])).tolist() == [0.8, 0.8, 0.1, 0.1]


def test_cosine_threshold_switches_on_the_samples_cosine():
    policy = create_policy("sample_cosine_threshold", {"threshold": 0.2, "above": 0.8, "below": 0.1})
    assert policy.weights(samples(cosine=[-1.0, 0.2, 0.21, 1.0])).tolist() == [0.1, 0.1, 0.8, 0.8]


def test_agreement_threshold_switches_on_the_teachers_probability_of_the_label():
    policy = create_policy("sample_agreement_threshold", {"threshold": 0.4, "above": 0.8, "below": 0.1})
    assert policy.weights(samples(agreement=[0.0, 0.4, 0.41, 1.0])).tolist() == [0.1, 0.1, 0.8, 0.8]


def test_cosine_ramp_is_a_clipped_line():
    policy = create_policy("sample_cosine_ramp", {"middle": 0.6, "slope": 1.0})
    weights = policy.weights(samples(cosine=[-1.0, -0.5, 0.0, 0.3, 1.0]))
    assert weights.tolist() == pytest.approx([0.0, 0.1, 0.6, 0.9, 1.0])
    falling = create_policy("sample_cosine_ramp", {"middle": 0.5, "slope": -0.5})
    assert falling.weights(samples(cosine=[-1.0, 1.0])).tolist() == pytest.approx([1.0, 0.0])


def test_norm_balance_sets_the_weighted_pulls_in_the_ratio_kappa():
    for balance in (0.5, 1.0, 3.0):
        ratio = torch.tensor([0.1, 1.0, 9.0], dtype=torch.float64)
        weights = create_policy("sample_norm_balance", {"balance": balance}).weights(samples(norm_ratio=ratio.tolist()))
        torch.testing.assert_close(weights * ratio / (1 - weights), torch.full_like(ratio, balance))


@pytest.mark.parametrize(
    ("family", "parameters", "reading"),
    [
        ("sample_class_reliability", {}, "class_reliability"),
        ("sample_class_reliability", {"of": "teacher"}, "answer_reliability"),
        ("sample_confidence_reliability", {}, "confidence_reliability"),
    ],
)
def test_reliability_rules_trust_the_teacher_as_far_as_it_agreed(family, parameters, reading):
    policy = create_policy(family, {"trust": 0.4, **parameters})
    assert policy.weights(samples(**{reading: [0.0, 0.5, 1.0]})).tolist() == pytest.approx([0.0, 0.2, 0.4])
    policy = create_policy(family, {"trust": 2.0, **parameters})
    assert policy.weights(samples(**{reading: [0.0, 0.25, 0.9]})).tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_a_tree_can_hold_a_warm_up():
    policy = create_policy(
        "sample_tree",
        {"root": "progress", "root_cut": 0.1, "low_low": 0.25, "high": "norm_ratio", "high_low": 0.9, "high_high": 0.0},
    )
    assert policy.weights(samples(progress=0.1, norm_ratio=[0.5, 9.0])).tolist() == [0.25, 0.25]
    assert policy.weights(samples(progress=0.2, norm_ratio=[0.5, 9.0])).tolist() == [0.9, 0.0]


# The student is sure of class 0. The samples: a right pair, a wrong teacher and a wrong label.
STUDENT = torch.tensor([[4.0, 0.0, 0.0]] * 3, dtype=torch.float64)
TEACHER = torch.tensor([[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [8.0, 0.0, 0.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1])


@pytest.mark.parametrize("family", ["sample_norm_ratio_threshold", "sample_norm_balance", "sample_tree"])
def test_by_default_the_student_sides_with_the_source_near_its_belief(family):
    observed = LogitPair(STUDENT, TEACHER, LABELS, temperature=4.0).samples(0, 0.0)
    _, wrong_teacher, wrong_label = create_policy(family).weights(observed).tolist()
    assert wrong_teacher < 0.15
    assert wrong_label > 0.4


@pytest.mark.parametrize("family", SAMPLE_FAMILIES)
def test_a_training_step_follows_the_samples_weights(family):
    policy = create_policy(family)
    logits = STUDENT.clone().requires_grad_()
    LossBalancer(policy, [logits], total_steps=10).backward_on_logits(logits, TEACHER, LABELS)
    pair = LogitPair(STUDENT, TEACHER, LABELS, temperature=4.0)
    observed = pair.samples(0, 0.0)
    half = torch.full_like(observed.cosine, 0.5)  # before anything is counted
    weights = policy.weights(observed._replace(**dict.fromkeys(MEASURED["reliability"], half)))[:, None]
    expected = (weights * pair.distill_gradients + (1 - weights) * pair.task_gradients) / 3
    torch.testing.assert_close(logits.grad, expected)
