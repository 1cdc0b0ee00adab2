"""Policy files with ranges, balancers of them, and batches, for tests of the monitor."""

import json

import torch

from policies import LossBalancer, create_policy, policy_document
from policies.monitoring.ranges import ConfirmedRanges, Range
from policies.monitoring.windows import WINDOWS
from tests.policies.small_training import small_student

STEPS = 40
CONSTANT = {"weight": 0.3, "temperature": 2.0}


def wide(low, high, observations=2):
    """Return one range for all windows."""
    return Range((low,) * WINDOWS, (high,) * WINDOWS, observations)


def document(family="norm_balance", *, ranges=None, constant=CONSTANT, **parameters):
    """Return a policy file's contents; `ranges` are by reading."""
    parameters = {"measure_every": 1, **parameters} if family == "norm_balance" else parameters
    more = {} if constant is None else {"constant": constant}
    if ranges is not None:
        more["monitoring"] = ConfirmedRanges(10, 0.01, ranges).document()
    return policy_document(create_policy(family, parameters), temperature=4.0, **more)


def balancer_of(folder, contents, student=None, **more):
    """Return a balancer from a file with these contents, and its student."""
    path = folder / "policy.json"
    path.write_text(json.dumps(contents), encoding="utf-8")
    student = small_student() if student is None else student
    return LossBalancer.from_file(path, student, **{"total_steps": STEPS, **more}), student


def batches(count=STEPS, seed=1):
    """Return batches (inputs, labels, teacher's logits) with labels that can be learned."""
    random = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        x = torch.randn(12, 6, generator=random).double()
        found.append((x, x[:, :3].argmax(1), 3 * x[:, :3] + torch.randn(12, 3, generator=random).double()))
    return found


def train(balancer, student, given, *, learning_rate=0.05):
    """Train on the batches and return the steps."""
    optimizer = torch.optim.SGD(student.parameters(), lr=learning_rate)
    steps = []
    for x, labels, teacher in given:
        optimizer.zero_grad()
        steps.append(balancer.backward_on_logits(student(x), teacher, labels))
        optimizer.step()
    return steps
