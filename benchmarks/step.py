"""What a training step costs under a rule, as a ratio to the same step at a constant λ.

    make bench

Steps of both kinds are timed in turn in one process (A B A B …), one thread. Medians over the pairs, with the middle
half in brackets. A ratio of 5/3 is the floor for two backward passes over one graph, 1 + 2/(3k) for one measurement in
k steps.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import statistics
import time
from collections.abc import Callable

import torch

from policies import LossBalancer, create_policy, distillation_loss
from trainables.config import ModelSettings, TrainingSettings
from trainables.models import create_model
from trainables.optimization import create_optimizer

CASES = {
    "CNN (16, 32, 64), 28×28": (ModelSettings(name="cnn", options={"widths": [16, 32, 64]}), (1, 28, 28), 10),
    "ResNet-20, 32×32": (ModelSettings(name="resnet20"), (3, 32, 32), 100),
}
EVERY = 10


def stepper(
    model: ModelSettings, shape: tuple[int, int, int], classes: int, batch: int, kind: str
) -> Callable[[], None]:
    """A function that trains for one step."""
    torch.manual_seed(0)
    student = create_model(model, image_shape=shape, classes=classes).to(memory_format=torch.channels_last)
    optimizer = create_optimizer(student.parameters(), TrainingSettings())
    images = torch.randn(batch, *shape).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(classes, (batch,))
    teacher = torch.randn(batch, classes)
    parameters = list(student.parameters())
    policies = {
        "constant": ("fixed", {"weight": 0.7}),
        "exact pair": ("norm_balance", {"measure_every": 1}),
        f"every {EVERY}th": ("norm_balance", {"measure_every": EVERY}),
    }
    balancer = LossBalancer(create_policy(*policies[kind]), student) if kind in policies else None

    def step() -> None:
        logits = student(images)
        task = torch.nn.functional.cross_entropy(logits, labels)
        distill = distillation_loss(logits, teacher, 4.0)
        optimizer.zero_grad(set_to_none=True)
        if balancer is not None:
            balancer.backward(task, distill)
        else:  # what is usually written: two gradients to look at, and a third backward to train
            g_t = torch.autograd.grad(task, parameters, retain_graph=True)
            g_d = torch.autograd.grad(distill, parameters, retain_graph=True)
            ratio = torch.cat([g.flatten() for g in g_d]).norm() / torch.cat([g.flatten() for g in g_t]).norm()
            weight = float(1 / (1 + ratio))
            (weight * distill + (1 - weight) * task).backward()
        optimizer.step()

    return step


def timed(step: Callable[[], None], count: int) -> float:
    """Seconds for `count` steps."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - began


def ratio_row(case: str, batch: int, kind: str, pairs: int) -> str:
    """One row of the table."""
    model, shape, classes = CASES[case]
    constant = stepper(model, shape, classes, batch, "constant")
    other = stepper(model, shape, classes, batch, kind)
    timed(constant, EVERY), timed(other, EVERY)
    seconds, ratios = [], []
    for _ in range(pairs):
        base = timed(constant, EVERY)
        ratios.append(timed(other, EVERY) / base)
        seconds.append(base / EVERY)
    low, _, high = statistics.quantiles(ratios, n=4)
    return (
        f"| {case} | {batch} | {kind} | {statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}] |"
        f" {1000 * statistics.median(seconds):.1f} ms |"
    )


def main() -> None:
    """Measure, print the table and write it to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=9, help="timings of each kind")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        "| student | batch | step | ratio to the constant λ's step | constant λ's step |",
        "| --- | --- | --- | --- | --- |",
    ]
    print(*rows, sep="\n", flush=True)
    for case in CASES:
        for batch in (64, 128):
            for kind in ("exact pair", f"every {EVERY}th", "two gradients and a third backward"):
                rows.append(ratio_row(case, batch, kind, arguments.pairs))
                print(rows[-1], flush=True)
    text = (
        f"# Results\n\nWritten by `make bench` on {time.strftime('%Y-%m-%d')}: torch {torch.__version__}, one thread of"
        f" {platform.machine()}, {arguments.pairs} pairs; median and middle half.\n\n" + "\n".join(rows) + "\n"
    )
    (pathlib.Path(__file__).parent / "RESULTS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
