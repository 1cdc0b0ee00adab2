"""Measures a training step under a rule, as a ratio to the same step at a constant λ without this package.

    python benchmarks/step.py --write
    python benchmarks/step.py --device cuda
    python benchmarks/step.py --guard                 # what the guard adds to a step under a constant λ

Steps of both kinds are timed in turn in one process (A B A C …). On a CPU they use one thread, and CPU time is counted,
which other programs disturb little. On a GPU wall time is counted, from idle device to idle device. Results are medians
over the rounds, with the middle half in brackets. A ratio of 5/3 is the floor for two backward passes over one graph,
1 + 2/(3k) for one measurement in k steps. What the guard adds is small, so the fastest tenths are compared there: other
work on the machine can only add time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import scaffold
import torch
from torch import Tensor, nn

from policies import LossBalancer, create_policy, distillation_loss
from policies.guard import Guard
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


def on_logits(
    family: str, *, layers: int | None = None, guard: Guard | Literal["default"] | None = "default", **parameters: Any
) -> Callable[[nn.Module], Backward]:
    """Make a function that puts a rule on a student through `backward_on_logits`, with a last block of `layers`."""

    def make(student: nn.Module) -> Backward:
        block = None if layers is None else nn.ParameterList(last_block(student, layers=layers))
        balancer = LossBalancer(create_policy(family, parameters), student, last_block=block, guard=guard)
        return balancer.backward_on_logits

    return make


def measuring(every: int) -> dict[str, Callable[[nn.Module], Backward]]:
    """Make a rule that measures in each way at every step, or at every so many."""

    def rule(**parameters: Any) -> Callable[[nn.Module], Backward]:
        return on_logits("norm_balance", measure_every=every, **parameters)

    when = {1: "", 3: ", every 3rd"}.get(every, f", every {every}th")
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
    **measuring(1),
    **measuring(EVERY),
    "one λ a sample": on_logits("sample_norm_balance"),
    "two gradients and a third backward": third_backward,
    "TorchJD's UPGrad": torchjd,
}


class Cost(NamedTuple):
    """A kind's step as a ratio to the constant λ's, round by round, and the latter in seconds."""

    ratios: list[float]
    seconds: float


def stepper(case: Case, make: Callable[[nn.Module], Backward], compute: Compute) -> Callable[[], None]:
    """Make a function that trains for the case's steps, in the precision that trials have on the device."""
    torch.manual_seed(0)
    device = compute.device
    student = create_model(case.model, image_shape=case.shape, classes=case.classes)
    student = student.to(device).to(memory_format=compute.memory_format)
    optimizer = create_optimizer(student.parameters(), TrainingSettings())
    images = torch.randn(case.batch, *case.shape, device=device).contiguous(memory_format=compute.memory_format)
    labels = torch.randint(case.classes, (case.batch,), device=device)
    teacher = torch.randn(case.batch, case.classes, device=device)
    backward = make(student)

    def steps() -> None:
        for _ in range(case.steps):
            with compute.autocast():
                logits = student(images)
            optimizer.zero_grad(set_to_none=True)
            backward(logits, teacher, labels)
            optimizer.step()

    return steps


def idle_gpu_clock() -> float:
    """Return the wall time at which the GPU has nothing left to do."""
    torch.cuda.synchronize()
    return time.perf_counter()


def columns(measured: dict[str, dict[str, Cost]]) -> list[str]:
    """Return Markdown: a row for each kind, a column for each case."""
    constants = [float(f"{1000 * next(iter(found.values())).seconds:.2g}") for found in measured.values()]
    rows = [["constant λ, without this package", *(f"{of_a_step:g} ms" for of_a_step in constants)]]
    kinds = next(iter(measured.values()))
    rows += [[kind, *(scaffold.spread(found[kind].ratios) for found in measured.values())] for kind in kinds]
    return scaffold.table(["step", *measured], rows)


def conditions(rounds: int, compute: Compute = _CPU) -> str:
    """Describe when and on what this was measured."""
    where = compute.describe() if compute.device.type == "cuda" else "one thread"
    return f"{where}, {rounds} rounds; {scaffold.conditions()}"


def measure(
    rounds: int,
    kinds: Mapping[str, Callable[[nn.Module], Backward]] = KINDS,
    compute: Compute = _CPU,
    cases: Sequence[Case] | None = None,
) -> dict[str, dict[str, Cost]]:
    """Measure all cases by name; print a line to the terminal after each."""
    keep_freed_memory()  # as in a trial's process, for both sides
    usual, clock = (CASES, time.process_time) if compute.device.type == "cpu" else (GPU_CASES, idle_gpu_clock)
    measured: dict[str, dict[str, Cost]] = {}
    for case in cases or usual:
        steps = {kind: stepper(case, make, compute) for kind, make in kinds.items()}
        found = scaffold.pairs(stepper(case, constant, compute), steps, rounds, clock)
        seconds = statistics.median(base for each in found.values() for base, _ in each) / case.steps
        measured[str(case)] = {kind: Cost([own / base for base, own in each], seconds) for kind, each in found.items()}
        print(f"{case}:", ", ".join(f"{kind} {scaffold.spread(c.ratios)}" for kind, c in measured[str(case)].items()))
    return measured


def guard_rows(chunks: int) -> list[str]:
    """Return Markdown: what the guard adds to a step of the two smallest students, which takes a tenth of a case."""
    rows = []
    for case in (each._replace(steps=each.steps // 10) for each in CASES[:2]):
        base, *guarded = (
            stepper(case, on_logits("fixed", guard=guard, weight=0.7), _CPU)
            for guard in (None, Guard(check_every=1), Guard(check_every=EVERY))
        )
        found = scaffold.pairs(base, dict(zip(("every step", f"every {EVERY}th step"), guarded, strict=True)), chunks)
        for checks, each in found.items():
            without, with_guard = (sorted(side)[len(side) // 10] / case.steps for side in zip(*each, strict=True))
            added, whole = f"{1e6 * (with_guard - without):.0f} µs", f"{1e6 * without:.0f} µs"
            rows.append([str(case), checks, f"{with_guard / without:.3f}", added, whole])
    return scaffold.table(["student", "checks", "ratio", "added", "step without a guard"], rows)


def main() -> None:
    """Measure, print the table and, for the CPU, write its section of RESULTS.md."""
    options = scaffold.parser(__doc__, cache=False)
    options.add_argument("--rounds", type=int, help="timings of each kind [9; 300 of the guard]")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--without", action="append", default=[], help="a kind to leave out, by its name's beginning")
    options.add_argument("--guard", action="store_true", help="the guard's share only")
    arguments = options.parse_args()
    rounds, compute = arguments.rounds or 9, select_compute(DeviceSettings(device=arguments.device))
    torch.set_num_threads(1)
    if arguments.guard:
        print(*guard_rows(arguments.rounds or 300), sep="\n")
        return
    kinds = {kind: make for kind, make in KINDS.items() if not kind.startswith(tuple(arguments.without))}
    rows = columns(measure(rounds, kinds, compute))
    write = arguments.write and arguments.device == "cpu" and not arguments.without
    scaffold.publish("A step", [f"{conditions(rounds, compute)}.", "", *rows], write=write)


if __name__ == "__main__":
    main()
