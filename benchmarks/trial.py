"""Measures what one training of a recipe costs, against a plain loop as an engineer writes it in an afternoon.

    python benchmarks/trial.py --write                          # complete trainings, for accuracies too
    python benchmarks/trial.py --epochs 5 --rounds 5 --write    # the ratios, sooner

All train the recipe's student from the same initial weights for as many steps, evaluate it as often, and use one
thread. The plain loop reads pictures one by one through torchvision's transforms and asks the teacher at every batch.
With a rule it takes the two losses' gradients at every step and trains by a third backward pass. Losses and optimiser
are those of this package's settings. Contenders take turns (A B C A B C …), this package's in a process of their own.
They are compared by the CPU time that they use, which other programs disturb little. Work that is done once a search
(reading data, training the teacher, its outputs) is left out on all sides; the outputs' time is printed.
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from PIL import Image
from scaffold import conditions, parser, prepare, publish, spread, table
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.utils.data import DataLoader
from torchvision import transforms

from policies import distillation_loss
from search.settings import SearchConfig, load_config
from trainables.config import DeviceSettings, PolicySettings, TrainingSettings, TrialSettings
from trainables.device import select_compute
from trainables.memory import keep_freed_memory
from trainables.models import create_model
from trainables.pictures import Dataset, Split
from trainables.training import DeviceAssets, Distillation

WEIGHT = 0.5
Rule = Callable[[float, float], float]
"""λ from the gradients' cosine and norm ratio ‖g_d‖/‖g_t‖."""


# The plain loop


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """A split read as `torchvision.datasets.FashionMNIST` reads it: a PIL picture, then the transforms."""

    def __init__(self, split: Split, dataset: Dataset) -> None:
        self.images, self.labels = split.images, split.labels
        # The older ToTensor takes 60 % of the time of ToImage and ToDtype.
        normalise = transforms.Normalize((dataset.mean / 255).tolist(), (dataset.std / 255).tolist())
        self.transform = transforms.Compose([transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index : index + 1][0]
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        return self.transform(picture), int(self.labels[index])


def look(task: Tensor, distill: Tensor, parameters: list[nn.Parameter]) -> tuple[float, float]:
    """Return (cosine, norm ratio) of the two losses' gradients; the graph is kept."""
    g_t = torch.cat([g.flatten() for g in torch.autograd.grad(task, parameters, retain_graph=True)])
    g_d = torch.cat([g.flatten() for g in torch.autograd.grad(distill, parameters, retain_graph=True)])
    return cosine_similarity(g_d, g_t, dim=0).item(), (g_d.norm() / g_t.norm()).item()


@torch.no_grad()
def accuracy(student: nn.Module, pictures: DataLoader[tuple[Tensor, int]]) -> float:
    """Return the share of hits; leave the student in evaluation mode."""
    student.eval()
    hits = sum(int((student(images).argmax(dim=1) == labels).sum()) for images, labels in pictures)
    return hits / len(pictures.dataset)  # type: ignore[arg-type]


def create_optimizer(student: nn.Module, training: TrainingSettings) -> torch.optim.Optimizer:
    """Create the optimiser in the usual way, which is not fused."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    return kind(student.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)


def create_student(settings: TrialSettings, dataset: Dataset, seed: int) -> nn.Module:
    """Create a student; the seed goes to PyTorch's global generator, which is not reset afterwards."""
    torch.manual_seed(seed)
    return create_model(settings.student, image_shape=dataset.image_shape, classes=len(dataset.classes))


def distil(
    settings: TrialSettings,
    dataset: Dataset,
    teacher: nn.Module,
    *,
    seed: int,
    rule: Rule | float,
    listen: Callable[[dict[str, Any]], None] = lambda _: None,
) -> float:
    """Train one student; return its accuracy on the validation pictures.

    Args:
        settings: student, training, temperature and how often it is evaluated; the rest is not read.
        dataset: pictures.
        teacher: a network in evaluation mode.
        seed: seeds initial weights and batches.
        rule: a rule that is asked at every step, or a constant λ, for which gradients are not read.
        listen: is called with epoch, accuracy and loss of each evaluation.
    """
    training = settings.training
    assert training.schedule == "one_cycle"
    student = create_student(settings, dataset, seed)
    parameters = list(student.parameters())
    batches = DataLoader(Pictures(dataset.train, dataset), training.batch_size, shuffle=True, drop_last=True)
    validation = DataLoader(Pictures(dataset.validation, dataset), batch_size=256)
    optimizer = create_optimizer(student, training)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=training.epochs * len(batches), cycle_momentum=False
    )
    evaluations = min(settings.evaluations, training.epochs)
    evaluated = {math.ceil((i + 1) * training.epochs / evaluations) for i in range(evaluations)}
    found = math.nan
    for epoch in range(1, training.epochs + 1):
        student.train()
        for images, labels in batches:
            with torch.no_grad():
                teacher_logits = teacher(images)
            logits = student(images)
            task, distill = (
                cross_entropy(logits, labels),
                distillation_loss(logits, teacher_logits, settings.temperature),
            )
            weight = rule if isinstance(rule, float) else rule(*look(task, distill, parameters))
            loss = weight * distill + (1 - weight) * task
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if epoch in evaluated:
            found = accuracy(student, validation)
            listen({"epoch": epoch, "accuracy": found, "loss": loss.item()})
    return found


# The contest

PLAIN: dict[str, Rule | float] = {
    "plain loop, rule, gradients every step": lambda _cosine, norm_ratio: 1.0 / (1.0 + norm_ratio),
    "plain loop, constant λ": WEIGHT,
}
OWN = {
    f"{name}, {precision}": (policy, DeviceSettings.model_validate({"device": "cpu", "precision": precision}))
    for precision in ("float32", "bfloat16")
    for name, policy in {
        "constant λ": PolicySettings(family="fixed", parameters={"weight": WEIGHT}),
        "rule, gradients every 10th step (the default)": PolicySettings(family="norm_balance"),
        "rule, gradients every step": PolicySettings(family="norm_balance", parameters={"measure_every": 1}),
    }.items()
}


class Training(NamedTuple):
    """The CPU time and the accuracy of one training."""

    seconds: float
    accuracy: float


class Bench:
    """The data and the teacher that a process trains with."""

    def __init__(self, config: SearchConfig, cache: pathlib.Path, own: bool) -> None:
        torch.set_num_threads(1)
        if own:
            keep_freed_memory()
        self.settings = config.base_trial()
        began = time.process_time()
        self.dataset, teacher, self.assets = prepare(config, cache)
        print(f"data, teacher and its outputs: {time.process_time() - began:.1f} s of CPU", flush=True)
        self.teacher = teacher.module.to(memory_format=torch.contiguous_format)

    def train(self, name: str, seed: int) -> float:
        """Run a contender's training; return the accuracy."""
        if name in PLAIN:
            return distil(self.settings, self.dataset, self.teacher, seed=seed, rule=PLAIN[name])
        policy, device = OWN[name]
        mine = self.settings.model_copy(update={"policy": policy, "seeds": (seed,), "device": device})
        trial = Distillation(mine, DeviceAssets(self.assets, select_compute(device)))
        trial.replicates[0].student.load_state_dict(create_student(mine, self.dataset, seed).state_dict())
        for _ in trial.records():
            pass
        return trial.results[0].validation_accuracy


_bench: Bench


def begin(config: SearchConfig, cache: pathlib.Path, own: bool) -> None:
    """Set up a process; called once in each."""
    global _bench
    _bench = Bench(config, cache, own)


def run(name: str, seed: int) -> Training:
    """Run one training, in its process."""
    began = time.process_time()
    found = _bench.train(name, seed)
    return Training(time.process_time() - began, found)


def contest(config: SearchConfig, cache: pathlib.Path, names: list[str], rounds: int) -> list[dict[str, Training]]:
    """Train all by name, round by round: the plain loop in one process, this package in another."""
    spawn = multiprocessing.get_context("spawn")
    processes = {
        own: concurrent.futures.ProcessPoolExecutor(1, spawn, initializer=begin, initargs=(config, cache, own))
        for own in (False, True)
    }
    found: list[dict[str, Training]] = []
    for seed in range(rounds):
        found.append({})
        for name in names:
            found[-1][name] = done = processes[name in OWN].submit(run, name, seed).result()
            print(f"seed {seed}, {name}: {done.seconds:.1f} s of CPU, accuracy {done.accuracy:.4f}", flush=True)
    return found


def main() -> None:
    """Train, print the table and, if asked, write it to RESULTS.md."""
    options = parser(__doc__)
    options.add_argument("--recipe", default="fashion-mnist")
    options.add_argument("--epochs", type=int, help="[the recipe's]")
    options.add_argument("--rounds", type=int, default=1, help="trainings of each, each under a seed of its own [1]")
    options.add_argument("--only", action="append", default=[], help="a contender, by its name's beginning [all]")
    arguments = options.parse_args()
    config = load_config(arguments.recipe, ["device.device=cpu", "training.schedule=one_cycle"])
    if arguments.epochs is not None:  # evaluated as often in each epoch
        fewer = arguments.epochs / config.training.epochs
        config = config.model_copy(
            update={
                "training": config.training.model_copy(update={"epochs": arguments.epochs}),
                "evaluations": max(1, int(config.evaluations * fewer)),
                "trace_points": max(2, int(config.trace_points * fewer)),
            }
        )
    names = [name for name in (*PLAIN, *OWN) if name.startswith(tuple(arguments.only) or "")]
    found = contest(config, arguments.cache, names, arguments.rounds)
    others = [name for name in names if name in PLAIN]
    rows = []
    for name in names:
        seconds = statistics.median(each[name].seconds for each in found)
        hits = statistics.fmean(each[name].accuracy for each in found)
        ratios = (spread([each[other].seconds / each[name].seconds for each in found]) for other in others)
        rows.append([name, f"{seconds:.1f}", f"{100 * hits:.2f} %", *ratios])
    what = f"{config.training.epochs} epochs, {config.evaluations} evaluations, {arguments.rounds} rounds"
    lines = table(["training", "CPU seconds", "accuracy", *(f"time of: {name}" for name in others)], rows)
    publish(
        f"A training ({arguments.recipe}, {what})",
        [f"`{arguments.recipe}`, {what}; {conditions()}. One thread each.", "", *lines],
        write=arguments.write,
    )


if __name__ == "__main__":
    main()
