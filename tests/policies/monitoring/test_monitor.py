"""The monitor logs any loop, rings outside the ranges, and falls back by choice."""

import gc
import json
import logging
import math

import pytest
import torch

from policies import LossBalancer, Monitor, PolicyError, create_policy
from policies.guarding.intervention import Intervention
from policies.monitoring import read_log
from policies.monitoring.windows import WINDOWS
from tests.policies.monitoring.small_monitor import CONSTANT, STEPS, balancer_of, batches, document, train, wide
from tests.policies.small_training import ON_LOGITS, named, small_student

CALM = {"task_loss": wide(0.0, 50.0)}
LOUD = {"task_loss": wide(40.0, 50.0)}


@pytest.mark.parametrize("rule", ON_LOGITS, ids=named)
def test_a_monitor_changes_no_training(rule, tmp_path):
    students = []
    for watched in (False, True):
        student = small_student()
        balancer = LossBalancer(create_policy(*rule), student, total_steps=STEPS)
        if watched:
            Monitor(balancer, to=tmp_path / "log.jsonl", every=7)
        train(balancer, student, batches())
        students.append(student)
    assert all(map(torch.equal, *(s.parameters() for s in students)))


def test_the_log_holds_means_of_all_steps_and_each_change_of_the_decision(tmp_path):
    balancer, student = balancer_of(tmp_path, document(ranges=CALM))
    with Monitor(balancer, to=tmp_path / "log.jsonl", every=10):
        steps = train(balancer, student, batches())
    log = read_log(tmp_path / "log.jsonl")
    assert (log.start["policy"]["family"], log.start["total_steps"], log.steps) == ("norm_balance", STEPS, STEPS)
    means = log.of("readings")
    assert [record["step"] for record in means] == [9, 19, 29, 39]
    for record, part in zip(means, _tens(steps), strict=True):
        count = len(part)
        assert record["means"]["weight"] == pytest.approx(sum(s.decision.weight for s in part) / count)
        assert record["means"]["task_loss"] == pytest.approx(sum(float(s.task_loss) for s in part) / count)
        logs = [math.log(s.observation.geometry.norm_ratio) for s in part]
        assert record["means"]["norm_ratio"] == pytest.approx(math.exp(sum(logs) / count))
    first = log.of("decision")[0]
    assert (first["step"], first["weight"]) == (0, steps[0].decision.weight)
    assert log.records[-1]["kind"] == "end"


def _tens(steps):
    return [steps[i : i + 10] for i in range(0, len(steps), 10)]


def test_losses_that_nobody_reads_are_looked_at_once_a_record(tmp_path):
    student = small_student()
    balancer = LossBalancer(create_policy("fixed"), student, guard=None)
    with Monitor(balancer, to=tmp_path / "log.jsonl", every=20):
        steps = train(balancer, student, batches())
    means = read_log(tmp_path / "log.jsonl").of("readings")
    assert [record["means"]["task_loss"] for record in means] == [
        float(steps[19].task_loss),
        float(steps[39].task_loss),
    ]


def test_interventions_of_the_guard_are_logged(tmp_path):
    balancer, student = balancer_of(tmp_path, document())
    given = batches()
    given[5] = (given[5][0], given[5][1], given[5][2] * math.nan)
    with Monitor(balancer, to=tmp_path / "log.jsonl", every=20):
        train(balancer, student, given)
    log = read_log(tmp_path / "log.jsonl")
    found = [r for r in log.of("decision") if r["intervention"] is not None]
    assert [r["step"] for r in found] == [5]
    assert "not finite" in found[0]["intervention"]
    assert log.of("readings")[-1]["interventions"] == 1


def test_a_log_is_complete_without_closing_once_the_balancer_is_gone(tmp_path):
    balancer, student = balancer_of(tmp_path, document())
    Monitor(balancer, to=tmp_path / "log.jsonl", every=1000)
    train(balancer, student, batches(3))
    del balancer
    gc.collect()
    assert read_log(tmp_path / "log.jsonl").records[-1]["kind"] == "end"


def test_an_undisturbed_training_does_not_ring(tmp_path):
    balancer, student = balancer_of(tmp_path, document(ranges=CALM))
    monitor = Monitor(balancer)
    train(balancer, student, batches())
    assert monitor.alarm_off == ""
    assert monitor.alarms == []


def test_a_reading_outside_its_range_rings_once_at_the_end_of_its_first_window(tmp_path, caplog):
    balancer, student = balancer_of(tmp_path, document(ranges=LOUD))
    monitor = Monitor(balancer, to=tmp_path / "log.jsonl")
    with caplog.at_level(logging.WARNING, logger="policies.monitoring.monitor"):
        train(balancer, student, batches())
    (alarm,) = monitor.alarms
    assert (alarm.step, alarm.reading, alarm.low, alarm.high) == (STEPS // WINDOWS - 1, "task_loss", 40.0, 50.0)
    assert "task loss" in alarm.text
    assert "outside 40 to 50, the range of 10 confirmed trainings" in alarm.text
    assert [record.message for record in caplog.records] == [f"step 1: {alarm.text}"]
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl").of("alarm")] == [1]


def test_only_the_windows_mean_counts_and_no_single_step(tmp_path):
    student = small_student()
    balancer, _ = balancer_of(tmp_path, document(ranges={"agreement": wide(0.4, 0.6)}, family="tree", **TREE), student)
    monitor = Monitor(balancer)
    given = batches()
    for place in range(0, STEPS, 2):  # every second batch has a teacher that is sure and right, every other one wrong
        for step, sign in ((place, 50.0), (place + 1, -50.0)):
            x, labels, _ = given[step]
            given[step] = x, labels, sign * torch.nn.functional.one_hot(labels, 3).double()
    steps = train(balancer, student, given)
    assert {round(step.observation.agreement) for step in steps} == {0, 1}
    assert monitor.alarms == []


TREE = {"root": "agreement", "low": "agreement", "measure_every": 1}


def test_a_window_of_few_readings_is_not_judged(tmp_path):
    balancer, student = balancer_of(tmp_path, document(ranges={"task_loss": wide(40.0, 50.0, observations=5)}))
    monitor = Monitor(balancer)
    train(balancer, student, batches())  # two steps a window
    assert monitor.alarms == []


def test_only_watched_readings_ring(tmp_path):
    ranges = {**LOUD, "weight": wide(0.0, 1.0)}
    balancer, student = balancer_of(tmp_path, document(ranges=ranges))
    monitor = Monitor(balancer, watch=["weight"])
    train(balancer, student, batches())
    assert monitor.alarms == []


def test_after_an_alarm_the_constant_and_its_temperature_hold_from_the_next_update_on(tmp_path, caplog):
    balancer, student = balancer_of(tmp_path, document(ranges=LOUD))
    Monitor(balancer, to=tmp_path / "log.jsonl", fallback="constant")
    steps = train(balancer, student, batches())
    assert [step.decision.weight for step in steps[2:]] == [CONSTANT["weight"]] * (STEPS - 2)
    assert CONSTANT["weight"] not in [step.decision.weight for step in steps[:2]]
    assert (balancer.temperature, balancer.fallen_back.weight) == (2.0, 0.3)
    assert steps[2].decision.reason.startswith("fell back to the constant: task loss")
    assert steps[2].observation.geometry is None  # nothing is measured for a rule that is not asked
    (record,) = read_log(tmp_path / "log.jsonl").of("fall_back")
    assert (record["step"], record["weight"]) == (1, 0.3)
    assert record["reason"] in caplog.text


@pytest.mark.parametrize("family", ["sample_norm_balance", "class_reliability", "fixed", "linear_schedule"])
def test_every_kind_of_rule_falls_back(family, tmp_path):
    balancer, student = balancer_of(tmp_path, document(family, ranges=LOUD))
    Monitor(balancer, fallback="constant")
    steps = train(balancer, student, batches())
    assert steps[-1].decision.weight == 0.3
    assert steps[-1].weights is None


def test_a_fallen_back_training_is_that_of_the_constant(tmp_path):
    fallen, student = balancer_of(tmp_path, document())
    fallen.fall_back(0.3, reason="by hand", temperature=2.0)
    other = small_student()
    constant = LossBalancer(create_policy("fixed", {"weight": 0.3}), other, temperature=2.0)
    train(fallen, student, batches())
    train(constant, other, batches())
    assert all(map(torch.equal, student.parameters(), other.parameters()))


def test_a_resumed_training_rings_and_falls_back_as_an_uninterrupted_one(tmp_path):
    late = {"task_loss": wide(0.0, 50.0)._replace(low=(0.0,) * 10 + (40.0,) * 10)}
    for cut in (7, 21, 30):
        whole, student = balancer_of(tmp_path, document(ranges=late))
        monitor = Monitor(whole, fallback="constant")
        expected = train(whole, student, batches())
        first, student = balancer_of(tmp_path, document(ranges=late))
        Monitor(first, fallback="constant")
        train(first, student, batches()[:cut])
        state = json.loads(json.dumps(first.state_dict()))
        resumed, _ = balancer_of(tmp_path, document(ranges=late), student)
        if cut == 21:  # the state may come before the monitor
            resumed.load_state_dict(state)
            again = Monitor(resumed, fallback="constant")
        else:
            again = Monitor(resumed, fallback="constant")
            resumed.load_state_dict(state)
        steps = train(resumed, student, batches()[cut:])
        assert again.alarms == monitor.alarms
        assert [s.decision.weight for s in steps] == [s.decision.weight for s in expected[cut:]]
        assert resumed.temperature == 2.0


def test_a_fall_back_survives_a_resume_without_a_monitor(tmp_path):
    balancer, _ = balancer_of(tmp_path, document())
    balancer.fall_back(0.3, reason="by hand", temperature=2.0)
    resumed, student = balancer_of(tmp_path, document())
    resumed.load_state_dict(balancer.state_dict())
    assert train(resumed, student, batches(1))[0].decision.weight == 0.3


@pytest.mark.parametrize(("temperature", "rings"), [(None, True), (8.0, False)])
def test_a_fall_back_to_another_temperature_is_no_rise_of_the_loss(temperature, rings):
    student = torch.nn.Linear(1, 1)
    balancer = LossBalancer(create_policy("fixed"), student, temperature=2.0)
    for step in range(1500):
        if step == 500:
            balancer.fall_back(0.9, reason="by hand", temperature=temperature)
        nothing = 0.0 * student(torch.ones(1, 1)).sum()
        balancer.backward(nothing + 1.0, nothing + (20.0 if step >= 500 else 1.0))
    assert (Intervention.DIVERGENCE in balancer.guard.counts) == rings


def test_a_state_of_an_earlier_release_is_read(tmp_path):
    balancer, _ = balancer_of(tmp_path, document(ranges=CALM))
    state = balancer.state_dict()
    assert not {"monitor", "fall_back"} & set(state)
    Monitor(balancer)
    balancer.fall_back(0.3, reason="by hand")
    balancer.load_state_dict(state)
    assert balancer.fallen_back is None


def test_a_reset_returns_to_the_rule_and_lets_readings_ring_again_from_the_next_window_on(tmp_path):
    balancer, student = balancer_of(tmp_path, document(ranges=LOUD))
    monitor = Monitor(balancer, to=tmp_path / "log.jsonl", fallback="constant")
    train(balancer, student, batches()[:11])
    monitor.reset()
    assert (balancer.fallen_back, balancer.temperature) == (None, 4.0)
    steps = train(balancer, student, batches()[11:])
    assert steps[0].decision.branch == 0
    assert [alarm.step for alarm in monitor.alarms] == [1, 13]  # the window of steps 10 and 11 is left out
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl").of("reset")] == [10]


@pytest.mark.parametrize(
    ("contents", "more", "reason"),
    [
        (document(), {}, "no confirmed ranges"),
        (document(ranges=CALM), {"total_steps": None}, "no `total_steps`"),
    ],
)
def test_where_no_alarm_can_ring_the_monitor_says_why_and_refuses_to_fall_back(contents, more, reason, tmp_path):
    balancer, student = balancer_of(tmp_path, contents, **more)
    with pytest.raises(PolicyError, match=reason):
        Monitor(balancer, fallback="constant")
    monitor = Monitor(balancer)
    assert reason in monitor.alarm_off
    train(balancer, student, batches())
    assert monitor.alarms == []


def test_a_balancer_without_a_file_has_a_log_and_no_alarm():
    monitor = Monitor(LossBalancer(create_policy("fixed"), small_student()))
    assert "not created from a policy.json" in monitor.alarm_off


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": 0}, "`every` must be at least 1"),
        ({"fallback": "rule"}, '`fallback` must be "constant"'),
        ({"watch": ["cosine"]}, "names 'cosine', but readings with a range are task_loss"),
        ({"to": [3]}, "file names or sinks"),
        ({"to": "/proc/no/log.jsonl"}, "cannot write the log"),
    ],
)
def test_wrong_arguments_are_named_and_leave_the_balancer_free(arguments, message, tmp_path):
    balancer, _ = balancer_of(tmp_path, document(ranges=CALM))
    with pytest.raises(PolicyError, match=message):
        Monitor(balancer, **arguments)
    Monitor(balancer)


def test_a_file_without_a_constant_cannot_fall_back(tmp_path):
    balancer, _ = balancer_of(tmp_path, document(ranges=CALM, constant=None))
    with pytest.raises(PolicyError, match="names no constant"):
        Monitor(balancer, fallback="constant")


def test_a_second_monitor_is_refused(tmp_path):
    balancer, _ = balancer_of(tmp_path, document())
    Monitor(balancer)
    with pytest.raises(PolicyError, match="has a monitor already"):
        Monitor(balancer)


class _Broken:
    def write(self, records):
        raise OSError("no space left")

    def close(self):
        raise AssertionError("it was given up before")


def test_a_log_that_fails_ends_no_training_and_no_other_log(tmp_path, caplog):
    balancer, student = balancer_of(tmp_path, document())
    with Monitor(balancer, to=[_Broken(), tmp_path / "log.jsonl"], every=10):
        train(balancer, student, batches())
    assert caplog.text.count("no space left") == 1
    assert read_log(tmp_path / "log.jsonl").steps == STEPS


def test_of_several_processes_only_the_first_one_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    balancer, student = balancer_of(tmp_path, document(ranges=LOUD), process_group="alone")
    monitor = Monitor(balancer, to=tmp_path / "log.jsonl", fallback="constant")
    monkeypatch.undo()
    train(balancer, student, batches())
    assert not (tmp_path / "log.jsonl").exists()
    assert len(monitor.alarms) == 1  # every process decides alike
    assert balancer.fallen_back is not None


def test_accumulated_updates_count_once(tmp_path):
    balancer, student = balancer_of(tmp_path, document(ranges=CALM))
    with Monitor(balancer, to=tmp_path / "log.jsonl", every=5):
        for number, (x, labels, teacher) in enumerate(batches(20)):
            balancer.backward_on_logits(student(x), teacher, labels, share=0.5, update=number % 2 == 1)
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl").of("readings")] == [4, 9]
