"""A training under a rule that was found, with a log, an alarm and a fall-back, and something that goes wrong midway.

    kd-search run examples/plain_pytorch.toml --confirm      # minutes: finds the rule, and the ranges of its readings
    python examples/monitoring.py runs/plain-pytorch/report/policies/norm_balance.json --drift labels --fallback
    kd-search explain drifted.jsonl

The training is that of `plain_pytorch.py`, whose data and network it uses. With `--drift none` nothing goes wrong.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from typing import NamedTuple

import torch
from plain_pytorch import ACCUMULATED, BATCH, Material, network, prepared, right_answers, trained_teacher
from torch import Tensor, nn

from policies import LossBalancer, Monitor

EPOCHS = 40


class World(NamedTuple):
    """Everything that may change while a training runs: the data, the teacher, and the optimiser's learning rate."""

    images: Tensor
    labels: Tensor
    teacher: nn.Module
    faster: float = 1.0


def permuted_labels(world: World) -> World:
    """Exchange the labels among the pictures, as a table that was joined wrongly does."""
    return world._replace(labels=world.labels[torch.randperm(len(world.labels))])


def some_permuted_labels(world: World) -> World:
    """Exchange a tenth of the labels."""
    labels = world.labels.clone()
    labels[::10] = labels[::10][torch.randperm(len(labels[::10]))]
    return world._replace(labels=labels)


def other_teacher(world: World) -> World:
    """Take another checkpoint as the teacher, one that has seen 40 pictures."""
    return world._replace(teacher=trained_teacher(world.images[:40], world.labels[:40]))


def high_learning_rate(world: World) -> World:
    """Raise the learning rate tenfold."""
    return world._replace(faster=10.0)


def shifted_inputs(world: World) -> World:
    """Make the pictures brighter and noisy, as another camera does."""
    return world._replace(images=0.5 * world.images + 0.3 + 0.3 * torch.randn_like(world.images))


DRIFTS: dict[str, Callable[[World], World]] = {
    "none": lambda world: world,
    "labels": permuted_labels,
    "some-labels": some_permuted_labels,
    "teacher": other_teacher,
    "learning-rate": high_learning_rate,
    "inputs": shifted_inputs,
}


def total_steps(data: Material, epochs: int) -> int:
    """Return the number of updates of a training."""
    return epochs * (len(data.train[0]) // (BATCH * ACCUMULATED))


def train(balancer: LossBalancer, student: nn.Module, data: Material, epochs: int, drift: str) -> None:
    """Train a student, and let a drift happen after half of the epochs."""
    world = World(*data.train, data.teacher)
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)
    size = BATCH * ACCUMULATED
    for epoch in range(epochs):
        if epoch == epochs // 2:
            world = DRIFTS[drift](world)
            optimizer.param_groups[0]["lr"] *= world.faster
        for part in torch.randperm(len(world.images))[: len(world.images) // size * size].split(size):
            optimizer.zero_grad()
            student_logits = student(world.images[part])
            with torch.no_grad():
                teacher_logits = world.teacher(world.images[part])
            balancer.backward_on_logits(student_logits, teacher_logits, world.labels[part])
            nn.utils.clip_grad_norm_(student.parameters(), 5.0)
            optimizer.step()


def main() -> None:
    """Train one student under a rule, with a monitor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", help="the policy.json of a search or a confirmation")
    parser.add_argument("--drift", choices=DRIFTS, default="labels")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--log", default="drifted.jsonl", help="the log [%(default)s]")
    parser.add_argument("--fallback", action="store_true", help="fall back to the constant after an alarm")
    arguments = parser.parse_args()

    logging.basicConfig(format="%(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = prepared()
    torch.manual_seed(arguments.seed)
    student = network(16)
    balancer = LossBalancer.from_file(arguments.policy, student, total_steps=total_steps(data, EPOCHS))
    with Monitor(balancer, to=arguments.log, every=5, fallback="constant" if arguments.fallback else None) as monitor:
        train(balancer, student, data, EPOCHS, arguments.drift)
    print(f"test accuracy: {right_answers(student.eval(), data.test).double().mean():.1%}")
    print(monitor.alarm_off or f"{len(monitor.alarms)} readings left their range")


if __name__ == "__main__":
    main()
