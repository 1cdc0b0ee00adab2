"""Measures a training step under a rule, as a ratio to the same step at a constant λ without this package.

    python benchmarks/step.py
    python benchmarks/step.py --device cuda

Steps of both kinds are timed in turn in one process (A B A C …). On a CPU they use one thread, and CPU time is counted,
which other programs disturb little. On a GPU wall time is counted, from idle device to idle device. Results are medians
over the rounds, with the middle half in brackets. A ratio of 5/3 is the floor for two backward passes over one graph,
1 + 2/(3k) for one measurement in k steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import results
import torch
from torch import Tensor, nn

from policies import LossBalancer, create_policy, distillation_loss
from policies.update.meter import last_block
from trainables.config import DeviceSettings, ModelSettings, TrainingSettings
from trainables.device import Compute, select_compute
from trainables.memory import keep_freed_memory
from trainables.models import create_model
from trainables.training import create_optimizer

EVERY = 10
_CPU = Compute(torch.device("cpu"), bfloat16=False)


class Case(NamedTuple):
    """A student, its pictures and classes, pictures of a batch, and steps between two looks at the clock."""

    name: str
    model: ModelSettings
    shape: tuple[int, int, int]
    classes: int
    batch: int
    steps: int

    def __str__(self) -> str:
        return f"{self.name}, batch {self.batch}"


_CNN = ModelSettings(name="cnn", options={"widths": [16, 32, 64]})
CASES = (
    Case("MLP (32), 8×8", ModelSettings(name="mlp", options={"hidden": [32]}), (1, 8, 8), 10, 50, 200),
    Case("CNN (16, 32, 64), 28×28", _CNN, (1, 28, 28), 10, 64, 10),
    Case("CNN (16, 32, 64), 28×28", _CNN, (1, 28, 28), 10, 128, 10),
    Case("ResNet-20, 32×32", ModelSettings(name="resnet20"), (3, 32, 32), 100, 64, 10),
)
GPU_CASES = (
    Case("CNN (16, 32, 64), 28×28", _CNN, (1, 28, 28), 10, 64, 50),
    Case("ResNet-20, 32×32", ModelSettings(name="resnet20"), (3, 32, 32), 100, 128, 20),
    Case("ResNet-18, 64×64", ModelSettings(name="torchvision/resnet18"), (3, 64, 64), 100, 256, 10),
)

Backward = Callable[[Tensor, Tensor, Tensor], object]
"""A function of the student's logits, the teacher's and the labels that fills `.grad`."""


def losses(student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return (task, distillation), as they are usually written."""
    return torch.nn.functional.cross_entropy(student, labels), distillation_loss(student, teacher, 4.0)


def constant(_student: nn.Module) -> Backward:
    """Make the backward pass of a constant λ without this package."""

    def backward(logits: Tensor, teacher: Tensor, labels: Tensor) -> None:
        task, distill = losses(logits, teacher, labels)
        torch.autograd.backward(0.7 * distill + 0.3 * task)

    return backward


def third_backward(student: nn.Module) -> Backward:
    """Make what is usually written to read gradients: two backward passes for reading, a third one for training."""
    parameters = list(student.parameters())

    def backward(logits: Tensor, teacher: Tensor, labels: Tensor) -> None:
        task, distill = losses(logits, teacher, labels)
        g_t = torch.autograd.grad(task, parameters, retain_graph=True)
        g_d = torch.autograd.grad(distill, parameters, retain_graph=True)
        ratio = torch.cat([g.flatten() for g in g_d]).norm() / torch.cat([g.flatten() for g in g_t]).norm()
        weight = float(1 / (1 + ratio))
        torch.autograd.backward(weight * distill + (1 - weight) * task)

    return backward


def torchjd(student: nn.Module) -> Backward:
    """Make the backward pass of TorchJD's UPGrad on the same two losses."""
    from torchjd import autojac
    from torchjd.aggregation import UPGrad

    aggregator, parameters = UPGrad(), list(student.parameters())

    def backward(logits: Tensor, teacher: Tensor, labels: Tensor) -> None:
        autojac.backward(list(losses(logits, teacher, labels)), inputs=parameters)
        autojac.jac_to_grad(parameters, aggregator)

    return backward


def on_losses(family: str, **parameters: Any) -> Callable[[nn.Module], Backward]:
    """Make a function that puts a rule on a student through `backward`."""

    def make(student: nn.Module) -> Backward:
        balancer = LossBalancer(create_policy(family, parameters), student)
        return lambda logits, teacher, labels: balancer.backward(*losses(logits, teacher, labels))

    return make


def on_logits(family: str, *, layers: int | None = None, **parameters: Any) -> Callable[[nn.Module], Backward]:
    """Make a function that puts a rule on a student through `backward_on_logits`, with a last block of `layers`."""

    def make(student: nn.Module) -> Backward:
        block = None if layers is None else nn.ParameterList(last_block(student, layers=layers))
        return LossBalancer(create_policy(family, parameters), student, last_block=block).backward_on_logits

    return make


def _measuring(every: int) -> dict[str, Callable[[nn.Module], Backward]]:
    def rule(**parameters: Any) -> Callable[[nn.Module], Backward]:
        return on_logits("norm_balance", measure_every=every, **parameters)

    when = "" if every == 1 else f", every {every}th"
    return {
        f"full{when}": rule(),
        f"last block{when}": rule(tier="last_block"),
        f"last block of two layers{when}": rule(tier="last_block", layers=2),
        f"logit{when}": rule(tier="logit"),
        f"full, halves{when}": rule(pair="halves"),
        f"last block, halves{when}": rule(tier="last_block", pair="halves"),
    }


KINDS: dict[str, Callable[[nn.Module], Backward]] = {
    "constant λ, `backward`": on_losses("fixed"),
    "constant λ, `backward_on_logits`": on_logits("fixed"),
    **_measuring(1),
    **_measuring(EVERY),
    "one λ a sample": on_logits("sample_norm_balance"),
    "two gradients and a third backward": third_backward,
    "TorchJD's UPGrad": torchjd,
}


class Cost(NamedTuple):
    """A kind's step as a ratio to the constant λ's, round by round, and the latter in seconds."""

    ratios: list[float]
    seconds: float

    def __str__(self) -> str:
        low, middle, high = statistics.quantiles(self.ratios, n=4)
        return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def stepper(case: Case, make: Callable[[nn.Module], Backward], compute: Compute) -> Callable[[], None]:
    """Make a function that trains for one step, in the precision that trials have on the device."""
    torch.manual_seed(0)
    device = compute.device
    student = create_model(case.model, image_shape=case.shape, classes=case.classes)
    student = student.to(device).to(memory_format=compute.memory_format)
    optimizer = create_optimizer(student.parameters(), TrainingSettings())
    images = torch.randn(case.batch, *case.shape, device=device).contiguous(memory_format=compute.memory_format)
    labels = torch.randint(case.classes, (case.batch,), device=device)
    teacher = torch.randn(case.batch, case.classes, device=device)
    backward = make(student)

    def step() -> None:
        with compute.autocast():
            logits = student(images)
        optimizer.zero_grad(set_to_none=True)
        backward(logits, teacher, labels)
        optimizer.step()

    return step


def timed(step: Callable[[], None], count: int, *, gpu: bool = False) -> float:
    """Return the seconds of `count` steps: CPU time, or wall time from idle GPU to idle GPU."""
    if not gpu:
        began = time.process_time()
        for _ in range(count):
            step()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(count):
        step()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def costs(case: Case, kinds: Sequence[str], rounds: int, compute: Compute = _CPU) -> dict[str, Cost]:
    """Return each kind's cost; the constant λ is timed anew before each of them."""
    gpu = compute.device.type == "cuda"
    base = stepper(case, constant, compute)
    steps = {kind: stepper(case, KINDS[kind], compute) for kind in kinds}
    for step in (base, *steps.values()):
        timed(step, EVERY, gpu=gpu)
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    seconds = []
    for _ in range(rounds):
        for kind, step in steps.items():
            before = timed(base, case.steps, gpu=gpu)
            ratios[kind].append(timed(step, case.steps, gpu=gpu) / before)
            seconds.append(before / case.steps)
    return {kind: Cost(found, statistics.median(seconds)) for kind, found in ratios.items()}


def table(measured: dict[str, dict[str, Cost]]) -> Iterator[str]:
    """Yield Markdown: a row for each kind, a column for each case."""
    yield f"| step | {' | '.join(measured)} |"
    yield f"| --- |{' --- |' * len(measured)}"
    milliseconds = [float(f"{1000 * next(iter(found.values())).seconds:.2g}") for found in measured.values()]
    constants = [f"{of_a_step:g} ms" for of_a_step in milliseconds]
    yield f"| constant λ, without this package | {' | '.join(constants)} |"
    for kind in next(iter(measured.values())):
        yield f"| {kind} | {' | '.join(str(found[kind]) for found in measured.values())} |"


def conditions(rounds: int, compute: Compute = _CPU) -> str:
    """Describe when and on what this was measured."""
    where = compute.describe() if compute.device.type == "cuda" else "one thread"
    return f"{where}, {rounds} rounds; {results.conditions()}"


def measure(rounds: int, kinds: Sequence[str] = tuple(KINDS), compute: Compute = _CPU) -> dict[str, dict[str, Cost]]:
    """Measure all cases by name; print a line to the terminal after each."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as in a trial's process, for both sides
    measured: dict[str, dict[str, Cost]] = {}
    for case in CASES if compute.device.type == "cpu" else GPU_CASES:
        found = measured[str(case)] = costs(case, kinds, rounds, compute)
        print(f"{case}:", ", ".join(f"{kind} {cost}" for kind, cost in found.items()), flush=True)
    return measured


def main() -> None:
    """Measure, print the table and, for the CPU, write its section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timings of each kind")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--without", action="append", default=[], help="a kind to leave out, by its name's beginning")
    arguments = parser.parse_args()
    rounds, compute = arguments.rounds, select_compute(DeviceSettings(device=arguments.device))
    kinds = [kind for kind in KINDS if not kind.startswith(tuple(arguments.without))]
    rows = list(table(measure(rounds, kinds, compute)))
    print(conditions(rounds, compute), *rows, sep="\n")
    if arguments.device != "cpu" or arguments.without:
        return
    results.write_section("A step", f"{conditions(rounds)}.\n\n" + "\n".join(rows))


if __name__ == "__main__":
    main()
