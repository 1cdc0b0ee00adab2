"""Distillation in a plain PyTorch loop: a constant λ beside two rules, on scikit-learn's handwritten digits.

    python examples/plain_pytorch.py [--epochs 40] [--policy policy.json [--own my_rules.py:MyRule]]

A teacher that has seen 1,000 pictures teaches a small student that sees 200 of them, a third with a wrong label. Prints
the test accuracy of each way to weigh the two losses, the mean of three seeds. Runs in seconds on a CPU.
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable
from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from policies import LossBalancer, create_policy, load_policy, load_policy_class
from trainables.functions import Run

BATCH = 20
ACCUMULATED = 2  # micro-batches of an update
SEEDS = 3

Set = tuple[Tensor, Tensor]  # pictures, labels


class Material(NamedTuple):
    """Everything that is the same for all students."""

    teacher: nn.Module
    train: Set
    validation: Set
    test: Set


def network(hidden: int) -> nn.Module:
    """Return a perceptron for 8×8 pictures of ten digits."""
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def trained_teacher(images: Tensor, labels: Tensor) -> nn.Module:
    """Train a wide network on right labels."""
    teacher = network(256)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=2e-3)
    for _ in range(150):
        optimizer.zero_grad()
        cross_entropy(teacher(images), labels).backward()
        optimizer.step()
    return teacher.eval()


def prepared() -> Material:
    """Read the pictures, spoil a third of the students' labels, and train the teacher."""
    random = torch.Generator().manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.data / 16.0, dtype=torch.float32), torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=random)
    test, taught, validation = order[:500], order[500:1500], order[1500:]
    few = taught[:200]
    given = labels[few].clone()
    given[::3] = torch.randint(10, given[::3].shape, generator=random)
    return Material(
        teacher=trained_teacher(images[taught], labels[taught]),
        train=(images[few], given),
        validation=(images[validation], labels[validation]),
        test=(images[test], labels[test]),
    )


def right_answers(student: nn.Module, samples: Set) -> Tensor:
    """Tell which pictures a student classifies correctly."""
    with torch.no_grad():
        return student(samples[0]).argmax(1) == samples[1]


def distilled_student(balancer_of: Callable[..., LossBalancer], data: Material, epochs: int) -> nn.Module:
    """Train a small network on both losses; `balancer_of(student, total_steps=…)` makes the balancer."""
    images, labels = data.train
    student = network(16)
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)
    updates = len(images) // (BATCH * ACCUMULATED)
    balancer = balancer_of(student, total_steps=epochs * updates)
    for _ in range(epochs):
        for update in torch.randperm(len(images))[: updates * BATCH * ACCUMULATED].split(BATCH * ACCUMULATED):
            optimizer.zero_grad()
            parts = update.split(BATCH)
            for number, part in enumerate(parts, start=1):
                student_logits = student(images[part])
                with torch.no_grad():
                    teacher_logits = data.teacher(images[part])
                balancer.backward_on_logits(
                    student_logits,
                    teacher_logits,
                    labels[part],
                    share=1 / len(parts),
                    update=number == len(parts),  # the optimiser's step follows the last part only
                )
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()
    return student.eval()


def distil(run: Run) -> None:
    """Train one student for a search: `kd-search run examples/plain_pytorch.toml`."""
    data = prepared()
    student = distilled_student(run.balancer, data, epochs=40)
    run.report(accuracy=right_answers(student, data.validation).double().mean())
    if run.confirming:
        run.report_test(per_sample=right_answers(student, data.test), ids=range(500))


def main() -> None:
    """Train a teacher, then a student under each rule and each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--policy", help="a policy.json, to be tried beside the others")
    parser.add_argument("--own", metavar="FILE.py:CLASS", help="the class of its rule, where that is one of your own")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    data = prepared()
    rules = {f"constant λ = {weight}": create_policy("fixed", {"weight": weight}) for weight in (0.0, 0.5, 0.9)}
    rules["norm balance"] = create_policy("norm_balance")
    rules["norm balance of each sample"] = create_policy("sample_norm_balance")
    if arguments.policy:
        own = [load_policy_class(arguments.own)] if arguments.own else []
        rules[arguments.policy] = load_policy(arguments.policy, own)
    print(f"teacher: {right_answers(data.teacher, data.test).double().mean():.1%}")
    for name, rule in rules.items():
        found = []
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            policy = create_policy(rule.family, rule.values())  # a new one, since a policy remembers its training
            student = distilled_student(functools.partial(LossBalancer, policy), data, arguments.epochs)
            found.append(right_answers(student, data.test).double().mean().item())
        print(f"{name}: {statistics.fmean(found):.1%}  {rule.rule()}")


if __name__ == "__main__":
    main()
