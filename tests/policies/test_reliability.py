"""The table counts how often teacher and label agree.

A training that is interrupted, stacked or split counts the same.
"""

import json

import pytest
import torch

from policies import LossBalancer, PolicyError, create_policy
from policies.update.logits import LogitPair
from policies.update.ranks import Ranks
from policies.update.reliability import BINS, Answers, ReliabilityTable, StackedTables
from tests.policies.small_training import SAMPLES_RELIABILITY, call, small_batches, small_student

CLASSES = 3


def answers(labels, teacher_class, confidence=None):
    labels, teacher_class = torch.tensor(labels), torch.tensor(teacher_class)
    confidence = torch.full((len(labels),), 0.95) if confidence is None else torch.tensor(confidence)
    return Answers(labels, teacher_class, confidence, CLASSES)


def table_of(*batches):
    table = ReliabilityTable(Ranks())
    for batch in batches:
        table.begin()
        table.note(batch)
        table.close()
    return table


def drawn(count, seed=0):
    torch.manual_seed(seed)
    return Answers(torch.randint(0, 3, (count,)), torch.randint(0, 3, (count,)), torch.rand(count), CLASSES)


def test_counts_are_those_of_a_loop_over_the_samples():
    batch = drawn(200)
    agreed, seen = batch.counts()[0].tolist()
    for c in range(CLASSES):
        for offset, classes in ((0, batch.labels), (CLASSES, batch.teacher_class)):
            here = classes == c
            assert seen[offset + c] == int(here.sum())
            assert agreed[offset + c] == int((here & (batch.labels == batch.teacher_class)).sum())
    for b in range(BINS):
        here = (batch.confidence * BINS).long() == b
        assert seen[2 * CLASSES + b] == int(here.sum())
        assert agreed[2 * CLASSES + b] == int((here & (batch.labels == batch.teacher_class)).sum())


def test_rates_approach_the_share_that_agreed():
    table = table_of(answers([0] * 400 + [1] * 400 + [2] * 400, [0] * 300 + [1] * 500 + [0] * 400))
    by_label, by_answer, by_confidence = table.look_up(answers([0, 1, 2], [0, 1, 0], [0.95, 0.95, 0.05]))
    assert by_label.tolist() == pytest.approx([300 / 400, 1.0, 0.0], abs=0.005)
    assert by_answer.tolist() == pytest.approx([300 / 700, 400 / 500, 300 / 700], abs=0.005)
    assert by_confidence[:2].tolist() == pytest.approx([700 / 1200] * 2, abs=0.005)
    assert by_confidence[2].item() == pytest.approx(700 / 1200, abs=0.005)  # a bin without samples has the rate of all


def test_before_anything_is_counted_every_rate_is_one_half():
    assert (table_of().look_up(drawn(20)) == 0.5).all()


def test_rates_know_an_update_only_once_it_is_closed():
    table = table_of()
    table.begin()
    table.note(drawn(20))
    assert (table.look_up(drawn(20)) == 0.5).all()
    table.close()
    assert (table.look_up(drawn(20)) != 0.5).all()


def test_an_update_that_failed_is_not_counted():
    table = table_of(drawn(20))
    before = table.state_dict()
    table.begin()
    table.note(drawn(20, seed=1))
    table.begin()
    table.close()
    assert table.state_dict() == before


def test_labels_as_probabilities_of_one_class_count_like_classes():
    hard = drawn(50)
    soft = Answers(torch.nn.functional.one_hot(hard.labels, 3).float(), hard.teacher_class, hard.confidence, CLASSES)
    assert torch.equal(soft.counts(), hard.counts())
    table = table_of(hard)
    torch.testing.assert_close(table.look_up(soft), table.look_up(hard))


def test_mixed_labels_count_by_their_mass_and_samples_without_one_for_nothing():
    labels = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 0.0]])
    mixed = Answers(labels, torch.tensor([1, 2]), torch.tensor([0.5, 0.5]), CLASSES)
    agreed, seen = mixed.counts()[0].tolist()
    assert seen[:CLASSES] == [0.75, 0.25, 0.0]
    assert agreed[:CLASSES] == [0.0, 0.25, 0.0]
    assert seen[CLASSES : 2 * CLASSES] == [0.0, 1.0, 0.0]
    rates = table_of(mixed).rates(labels, mixed.cells)
    assert table_of(mixed).look_up(mixed)[0, 0].item() == pytest.approx((0.75 * rates[0] + 0.25 * rates[1]).item())


@pytest.mark.parametrize("soft", [False, True])
def test_a_broken_output_of_the_teacher_counts_for_nothing(soft):
    teacher = torch.randn(4, CLASSES)
    teacher[1, 0] = torch.nan
    labels = torch.tensor([0, 1, 2, 1])
    if soft:
        labels = torch.nn.functional.one_hot(labels, CLASSES).float()
    pair = LogitPair(torch.randn(4, CLASSES).requires_grad_(), teacher, labels, temperature=4.0)
    counts = pair.answers.counts()[0]
    assert counts.isfinite().all()
    assert counts[1, :CLASSES].tolist() == [1.0, 1.0, 1.0]
    assert table_of(pair.answers).look_up(pair.answers).isfinite().all()


def test_batches_without_samples_change_nothing():
    table = table_of(drawn(20))
    before = table.state_dict()
    table.begin()
    table.note(drawn(0))
    table.close()
    assert table.state_dict() == before
    assert table.look_up(drawn(0)).shape == (3, 0)


def test_stacked_tables_are_the_tables():
    batches = [drawn(12, seed) for seed in range(3)]
    apart, stacked = [table_of(batch) for batch in batches], [table_of() for _ in batches]
    together = StackedTables(stacked, 12)
    filled = Answers(
        *(
            torch.cat([*[getattr(b, name) for b in batches], getattr(batches[0], name)[:5]])
            for name in ("labels", "teacher_class", "confidence")
        ),
        CLASSES,
    )
    together.note(filled)
    assert [table.state_dict() for table in stacked] == [table.state_dict() for table in apart]
    looked_up = together.look_up(filled)
    assert looked_up.shape == (3, 41)
    for number, (table, batch) in enumerate(zip(apart, batches, strict=True)):
        assert torch.equal(looked_up[:, 12 * number : 12 * number + 12], table.look_up(batch))


def train(balancer, model, optimizer, batches):
    for batch in batches:
        optimizer.zero_grad()
        call(balancer, model, batch)
        optimizer.step()


def made(student):
    return (
        LossBalancer(create_policy(*SAMPLES_RELIABILITY), student, total_steps=8),
        student,
        torch.optim.SGD(student.parameters(), lr=0.5),
    )


def test_a_resumed_training_equals_an_uninterrupted_one():
    batches = small_batches(8)
    whole, first, second = made(small_student()), made(small_student()), made(small_student())
    train(*whole, batches)
    train(*first, batches[:5])
    second[1].load_state_dict(first[1].state_dict())
    second[0].load_state_dict(json.loads(json.dumps(first[0].state_dict())))
    train(*second, batches[5:])
    for one, other in zip(whole[1].parameters(), second[1].parameters(), strict=True):
        assert torch.equal(one, other)
    assert whole[0].state_dict() == second[0].state_dict()


def test_a_state_without_counts_begins_anew():
    balancer, *_ = made(small_student())
    state = balancer.state_dict()
    del state["reliability"]
    balancer.load_state_dict(state)
    assert balancer.state_dict()["reliability"] is None


def test_counts_of_other_classes_are_refused():
    balancer, student, _ = made(small_student())
    call(balancer, student, small_batches(1)[0])
    x, labels, teacher = small_batches(1)[0]
    wider = torch.cat([student(x), student(x)], 1)
    with pytest.raises(PolicyError, match="counted for 3 classes, but the logits have 6"):
        balancer.backward_on_logits(wider, torch.cat([teacher, teacher], 1), labels)


def test_rules_that_do_not_ask_for_it_keep_no_table():
    balancer = LossBalancer(create_policy("sample_norm_balance"), small_student())
    assert balancer.reliability is None
    assert "reliability" not in balancer.state_dict()


def test_classes_that_the_teacher_never_names_are_left_to_the_labels():
    student = small_student()
    balancer = LossBalancer(create_policy("sample_class_reliability", {"trust": 1.0}), student)
    for x, labels, _ in small_batches(200):
        teacher = 5.0 * torch.nn.functional.one_hot(labels.clamp(max=1), CLASSES).double()
        step = call(balancer, student, (x, labels, teacher))
    assert step.weights[labels == 2].max() < 0.01
    assert step.weights[labels == 0].min() > 0.99
