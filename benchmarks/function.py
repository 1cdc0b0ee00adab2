"""Measures what a search adds to a user's training loop, and what a trial of a function costs beside the loop.

    python benchmarks/function.py --write

The loop distils a network on handwritten digits, once with a `LossBalancer` of its own, and once with that of a run,
which records every step. The rule is the same. The two run in turns in one process and are compared by CPU time.
"""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Callable

import torch
from scaffold import conditions, pairs, parser, publish, spread, table
from sklearn.datasets import load_digits
from torch import nn

from policies import LossBalancer, create_policy
from trainables.config import (
    DeviceSettings,
    ModelSettings,
    OwnFunction,
    PolicySettings,
    TrainingSettings,
    TrialSettings,
)
from trainables.device import select_compute
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining, Run
from trainables.memory import keep_freed_memory

BATCH = 50
STEPS = 1797 // BATCH
ORIGIN = "function.py:distil"
FAMILIES = {"constant λ": "fixed", "rule, gradients every 10th step (the default)": "norm_balance"}


def train(balancer: LossBalancer, student: nn.Module, epochs: int, steps: int = STEPS) -> None:
    """Train as one writes it."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16.0, dtype=torch.float32), torch.tensor(digits.target)
    teacher = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 10)).requires_grad_(False)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(y)).split(BATCH)[:steps]:
            optimizer.zero_grad()
            balancer.backward_on_logits(student(x[part]), teacher(x[part]), y[part])
            optimizer.step()


def network(width: int) -> nn.Module:
    """Return the student."""
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))


def distil(run: Run) -> None:
    """Train one student as a search asks for it."""
    epochs = run.options["epochs"]
    student = network(run.options["width"])
    steps = run.options.get("steps", STEPS)
    balancer = run.balancer(student, total_steps=epochs * steps)
    train(balancer, student, epochs, steps)
    run.report(accuracy=0.0)


def alone(family: str, width: int, epochs: int) -> Callable[[], None]:
    """Return a training without a search."""

    def work() -> None:
        torch.manual_seed(0)
        student = network(width)
        train(LossBalancer(create_policy(family), student, total_steps=epochs * STEPS), student, epochs)

    return work


def searched(family: str, width: int, epochs: int, steps: int = STEPS) -> Callable[[], None]:
    """Return the same training as a trial."""
    text = pathlib.Path(__file__).read_text(encoding="utf-8")
    function = OwnFunction(origin=ORIGIN, source=text, options={"epochs": epochs, "width": width, "steps": steps})
    settings = TrialSettings(
        student=ModelSettings(name=ORIGIN),
        training=TrainingSettings(epochs=epochs),
        policy=PolicySettings(family=family),
    )
    compute = select_compute(DeviceSettings(device="cpu"))
    place = FunctionPlace(assets=FunctionAssets(function=function, folder=tempfile.gettempdir()), compute=compute)

    def work() -> None:
        training = FunctionTraining(settings, place)
        for _ in training.records():
            pass
        training.close()

    return work


def main() -> None:
    """Time all in turns, print the table and, if asked, write it to RESULTS.md."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--epochs", type=int, default=20)
    arguments = options.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as in a trial's process
    rows = []
    for width in (32, 256):
        for name, family in FAMILIES.items():
            found = pairs(
                alone(family, width, arguments.epochs),
                {"run": searched(family, width, arguments.epochs)},
                arguments.rounds,
            )
            rows.append([f"{width} units, {name}", spread([mine / theirs for theirs, mine in found["run"]])])
    one_step = searched("fixed", 32, 1, steps=1)
    began = time.process_time()
    for _ in range(20):
        one_step()
    beside = (time.process_time() - began) / 20
    publish(
        "A training function",
        [
            f"{arguments.epochs} epochs of {STEPS} steps, {arguments.rounds} rounds; {conditions()}. The time"
            " of the same loop with a `LossBalancer` of its own is 1.",
            "",
            *table(["student", "CPU time"], rows),
            "",
            f"A trial of one step takes {1000 * beside:.0f} ms of CPU time, its data included and Tune's share apart.",
        ],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
