"""Measures what the guard adds to a training step under a constant λ, as a ratio to the same step without a guard.

    python -m benchmarks.guard

Steps of both kinds are timed in turn in one process (A B A B …), one thread, by the process's own clock. The fastest
tenth of the chunks is compared, since other work on the machine can only add time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from policies import LossBalancer, create_policy
from policies.guard import Guard
from trainables.config import ModelSettings, TrainingSettings
from trainables.models import create_model
from trainables.training import create_optimizer

CASES = {
    "MLP 64-32-10, digits, batch 50": (ModelSettings(name="mlp", options={"hidden": [32]}), (1, 8, 8), 50, 20),
    "CNN (16, 32, 64), 28×28, batch 64": (
        ModelSettings(name="cnn", options={"widths": [16, 32, 64]}),
        (1, 28, 28),
        64,
        2,
    ),
}
GUARDS = {"every step": 1, "every 10th step": 10}


def stepper(model: ModelSettings, shape: tuple[int, int, int], batch: int, guard: Guard | None) -> Callable[[], None]:
    """Make a function that trains for one step."""
    torch.manual_seed(0)
    student = create_model(model, image_shape=shape, classes=10).to(memory_format=torch.channels_last)
    optimizer = create_optimizer(student.parameters(), TrainingSettings())
    images = torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last)
    labels, teacher = torch.randint(10, (batch,)), torch.randn(batch, 10)
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.7}), student, guard=guard)

    def step() -> None:
        logits = student(images)
        optimizer.zero_grad(set_to_none=True)
        balancer.backward_on_logits(logits, teacher, labels)
        optimizer.step()

    return step


def fastest(chunks: list[float]) -> float:
    """Return the bound of the fastest tenth."""
    return sorted(chunks)[len(chunks) // 10]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=300, help="timings of each kind")
    chunks = parser.parse_args().chunks
    torch.set_num_threads(1)
    print("| student | checks | ratio | added | step without a guard |\n| --- | --- | --- | --- | --- |", flush=True)
    for case, (model, shape, batch, length) in CASES.items():
        steps = {"none": stepper(model, shape, batch, None)}
        steps |= {name: stepper(model, shape, batch, Guard(check_every=every)) for name, every in GUARDS.items()}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(chunks):
            for name, step in steps.items():
                began = time.process_time()
                for _ in range(length):
                    step()
                seconds[name].append((time.process_time() - began) / length)
        base = fastest(seconds["none"])
        for name in GUARDS:
            added = fastest(seconds[name]) - base
            print(
                f"| {case} | {name} | {1 + added / base:.3f} | {1e6 * added:.0f} µs | {1e6 * base:.0f} µs |", flush=True
            )


if __name__ == "__main__":
    main()
