import json

from policies import create_policy, load_policy_class, policy_document
from tests.examples.loading import EXAMPLES, numbers, run


def test_every_rule_beats_guessing_by_far_and_a_policy_file_is_tried_too(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_document(create_policy("linear_schedule"), temperature=4.0)), encoding="utf-8")
    accuracies = numbers(run("plain_pytorch", "--epochs", "15", "--policy", str(path)))
    assert list(accuracies) == [
        "teacher",
        "constant λ = 0.0",
        "constant λ = 0.5",
        "constant λ = 0.9",
        "norm balance",
        "norm balance of each sample",
        str(path),
    ]
    assert accuracies["teacher"] > 90
    assert min(accuracies.values()) > 50
    assert max(accuracies[name] for name in list(accuracies)[2:]) > accuracies["constant λ = 0.0"]


def test_a_policy_file_of_a_rule_of_ones_own_is_tried_with_its_class(tmp_path):
    reference = f"{EXAMPLES / 'my_rules.py'}:AgreementRamp"
    path = tmp_path / "policy.json"
    document = policy_document(load_policy_class(reference)(), temperature=4.0)
    path.write_text(json.dumps(document), encoding="utf-8")
    accuracies = numbers(run("plain_pytorch", "--epochs", "1", "--policy", str(path), "--own", reference))
    assert str(path) in accuracies
