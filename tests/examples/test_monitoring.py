"""A training in which something goes wrong rings, and one in which nothing does is quiet."""

import json
import sys

import pytest
import torch

from policies import LossBalancer, create_policy, policy_document
from policies.monitoring import read_log
from search.evidence.statistics.prediction import prediction_ranges
from tests.examples.loading import EXAMPLES, example, run
from trainables.training import ConductLog

FAMILY = "norm_balance"


class Recorder:
    """Notes the steps of one training, as a confirmation does."""

    def __init__(self, steps):
        self.log = ConductLog(steps)
        self.note = self.log.note


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A policy file whose ranges come from five trainings of the example."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        module = example("monitoring")
    finally:
        sys.path.remove(str(EXAMPLES))
    torch.manual_seed(0)
    data = module.prepared()
    steps = module.total_steps(data, module.EPOCHS)
    conducts = []
    for seed in range(5):
        torch.manual_seed(seed)
        student = module.network(16)
        balancer = LossBalancer(create_policy(FAMILY), student, total_steps=steps)
        recorder = Recorder(steps)
        balancer.attach(recorder)
        module.train(balancer, student, data, module.EPOCHS, "none")
        conducts.append(recorder.log.conduct())
    document = policy_document(
        create_policy(FAMILY),
        temperature=4.0,
        constant={"weight": 0.4, "temperature": 4.0},
        monitoring=prediction_ranges(conducts).document(),
    )
    path = tmp_path_factory.mktemp("policy") / "policy.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_permuted_labels_ring_and_fall_back_within_a_twentieth_of_the_training(policy, tmp_path):
    log = tmp_path / "log.jsonl"
    printed = run("monitoring", str(policy), "--drift", "labels", "--fallback", "--log", str(log))
    assert "readings left their range" in printed
    found = read_log(log)
    assert (found.start["total_steps"], found.steps) == (200, 200)
    assert found.of("alarm")[0]["step"] == 109  # the labels changed before step 100
    assert found.of("fall_back")[0]["step"] == 109
    assert found.of("decision")[-1]["weight"] == 0.4


def test_an_undisturbed_training_is_quiet(policy, tmp_path):
    printed = run("monitoring", str(policy), "--drift", "none", "--log", str(tmp_path / "log.jsonl"))
    assert "0 readings left their range" in printed
