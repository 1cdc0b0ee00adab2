"""Two processes that train together decide alike, and train as one process does on the batches of both."""

import math
import pathlib
import re
import subprocess
import sys

import pytest
import torch

from policies import LossBalancer, create_policy
from policies.update.ranks import Ranks, is_sharded
from tests.policies.small_training import (
    SAMPLES,
    call,
    named,
    small_batches,
    small_student,
)
from tests.policies.update.ranks_worker import WAYS, train

WORKER = pathlib.Path(__file__).with_name("ranks_worker.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Run both processes and return their results."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0].decode() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def trainings(*, empty):
    return [
        pytest.param(way, rule, id=f"{way}-{named(rule)}")
        for way, (rules, _, more) in WAYS.items()
        if empty == more.get("empty_on_one", False)
        for rule in rules
    ]


@pytest.mark.parametrize(("way", "rule"), trainings(empty=False))
def test_two_processes_train_as_one(ranks, way, rule):
    first, second = (done[way, named(rule)] for done in ranks)
    expected = train(rule)
    assert first["weight"] == second["weight"]  # equal to the last bit, since the ranks must never drift apart
    assert first["scale"] == second["scale"]
    assert first["weight"] == pytest.approx(expected["weight"], rel=1e-6)
    assert first["scale"] == pytest.approx(expected["scale"], rel=1e-6)
    for mine, theirs in zip(first["geometry"], expected["geometry"], strict=True):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-6))
    for what in ("gradients", "student"):
        torch.testing.assert_close(first[what], second[what], rtol=0.0, atol=0.0)
        torch.testing.assert_close(first[what], expected[what], rtol=1e-6, atol=1e-10)


def test_a_parameter_that_one_rank_uses_gets_the_mean_and_one_that_none_uses_gets_nothing(ranks):
    first, second = (done["unused"] for done in ranks)
    torch.testing.assert_close(first[:4], second[:4], rtol=0.0, atol=0.0)
    assert all(gradient.abs().sum() > 0 for gradient in first[:4])
    assert first[4:] == second[4:] == [None, None]


def test_a_loss_that_is_broken_on_one_rank_is_left_out_on_both(ranks):
    first, second = (done["broken task"] for done in ranks)
    assert first["weight"] == second["weight"] == 1.0
    student = small_student()
    x, _, teacher = small_batches(1)[0]
    (student(x) - teacher).square().mean().backward()
    expected = [p.grad for p in student.parameters()]
    torch.testing.assert_close(first["gradients"], expected)
    torch.testing.assert_close(second["gradients"], expected)


@pytest.mark.parametrize(("way", "rule"), trainings(empty=True))
def test_a_rank_without_samples_keeps_pace_with_the_others(ranks, way, rule):
    first, second = (done[way, named(rule)] for done in ranks)
    assert first["weight"] == second["weight"]
    assert all(math.isfinite(weight) for weight in first["weight"])
    torch.testing.assert_close(first["student"], second["student"], rtol=0.0, atol=0.0)
    start = [parameter.detach() for parameter in small_student().parameters()]
    assert all((end - begin).norm() > 0.0 for end, begin in zip(first["student"], start, strict=True))


def test_a_rank_without_samples_adds_nothing_to_the_mean_of_λ(ranks):
    """The ranks' gradients are averaged, so the student moves half as far."""
    student = small_student()
    balancer = LossBalancer(create_policy(*SAMPLES), student)
    x, labels, teacher = (part[:6] for part in small_batches(1)[0])
    weight = call(balancer, student, (x, labels, teacher)).decision.weight
    assert ranks[1]["empty", named(SAMPLES)]["weight"][0] == pytest.approx(weight, rel=1e-6)


def test_losses_that_are_broken_on_one_rank_skip_the_step_on_both(ranks):
    for done in ranks:
        assert done["broken losses"]["gradients"] == [None] * 6


def test_a_gradient_that_is_broken_on_one_rank_withdraws_the_step_on_both(ranks):
    for done in ranks:
        assert done["broken shard"] == {"gradients": [None, None], "skipped": 1}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("not told", "2 processes run.*process_group"),
        ("parameters not told", "2 processes run.*process_group"),
        ("static", "norm_balance.*static_graph.*logit"),
        ("static block", "norm_balance.*static_graph.*logit"),
        ("static probe", "measure_now.*static_graph.*leave it out"),
        ("sharded", "norm_balance.*spread over several processes.*logit"),
        ("sharded block", "norm_balance.*spread over several processes.*logit"),
        ("sharded parameters", "norm_balance.*spread over several processes.*logit"),
        ("sharded probe", "measure_now.*spread over several processes"),
        ("sharded update", "loss_ratio.*spread over several processes.*decide_on='first'"),
    ],
)
def test_what_cannot_be_done_right_is_refused_with_the_remedy(ranks, case, words):
    for done in ranks:
        assert re.search(words, done["refusals"][case] or ""), done["refusals"][case]


def test_a_student_of_one_process_and_a_named_group_are_taken(ranks):
    for done in ranks:
        assert done["refusals"]["alone"] is None
        assert done["refusals"]["told"] is None


def test_without_other_processes_nothing_is_averaged():
    ranks = Ranks.of(small_student())
    gradients = [torch.ones(2), None]
    assert ranks.count == 1
    assert ranks.average_gradients(gradients, gradients)[0] is gradients[0]
    assert not is_sharded(small_student())
