"""The run that a function gets: its tests on samples, and runs without a search."""

import json

import numpy as np
import pytest
import torch

from policies import create_policy, policy_document
from tests.trainables.functions.function_files import DIGITS
from trainables.errors import ConfigError
from trainables.functions import run_alone
from trainables.functions.order import in_order_of


def function():
    module = {}
    exec(DIGITS, module)
    return module["distil"]


def test_a_function_runs_by_itself_under_a_policy_file(tmp_path, capsys):
    path = tmp_path / "policy.json"
    document = policy_document(
        create_policy("norm_balance"), temperature=2.5, training={"learning_rate": 0.02}, options={"hidden": 8}
    )
    path.write_text(json.dumps(document), encoding="utf-8")
    alone = run_alone(path, seed=1)
    assert (alone.temperature, alone.learning_rate) == (2.5, 0.02)
    function()(alone)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("accuracy 0.")
    assert lines[-1].startswith("test accuracy 0.")


def test_a_run_by_itself_takes_the_policy_that_it_is_given():
    policy = create_policy("fixed", {"weight": 0.25})
    alone = run_alone(policy, learning_rate=0.1)
    network = torch.nn.Linear(2, 2)
    balancer = alone.balancer(network, total_steps=1)
    step = balancer.backward_on_logits(network(torch.ones(1, 2)), torch.zeros(1, 2), torch.tensor([0]))
    assert step.decision.weight == 0.25


def test_values_are_put_in_the_order_of_the_ids():
    values, digest, count = in_order_of({"accuracy": torch.tensor([True, False, True])}, ["b", "c", "a"])
    again, same, _ = in_order_of({"accuracy": np.array([True, True, False])}, ["a", "b", "c"])
    assert values["accuracy"].samples.tolist() == again["accuracy"].samples.tolist() == [True, True, False]
    assert digest == same
    assert count == 3
    assert in_order_of({"accuracy": [1, 0, 0]}, [1, 2, 4])[1] != in_order_of({"accuracy": [1, 0, 0]}, [1, 2, 3])[1]


@pytest.mark.parametrize(
    ("values", "ids", "message"),
    [
        ([1.0, 2.0], None, "must get `ids` with `per_sample`"),
        ([1.0, 2.0], [1], r"one number for each of the 1 ids, but 'm' has shape \[2\]"),
        ([1.0, 2.0], [1, 1], "must differ from one another, but 1 of 2 repeat"),
        (["a", "b"], [1, 2], "one number for each of the 2 ids"),
        ([1.0], [1.5], "must be whole numbers or texts, but one is 1.5"),
    ],
)
def test_values_that_do_not_fit_their_ids_are_refused(values, ids, message):
    with pytest.raises(ConfigError, match=message):
        in_order_of({"m": values}, ids)
