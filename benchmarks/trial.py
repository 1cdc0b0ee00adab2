"""Measures what one training of a recipe costs, against the plain loop and torchdistill's.

    python benchmarks/trial.py --write                          # complete trainings, for accuracies too
    python benchmarks/trial.py --epochs 5 --rounds 5 --write    # the ratios, sooner
    python benchmarks/trial.py --epochs 5 --rounds 5 --augmented --write

All train the recipe's student from the same initial weights for as many steps, evaluate it as often, and use one
thread. `plain.py` reads pictures one by one through torchvision's transforms and asks the teacher at every batch; with
a rule it takes the two losses' gradients at every step and trains by a third backward pass. torchdistill runs its own
box with its own loss. Contenders take turns (A B C A B C …), this package's in a process of their own. They are
compared by the CPU time that they use, which other programs disturb little. Work that is done once a search (reading
data, training the teacher, its outputs) is left out on all sides; the outputs' time is printed beside.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import logging
import multiprocessing
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import plain
import torch
from results import conditions, write_section
from torch.utils.data import RandomSampler

from search.settings import SearchConfig, default_cache, load_config
from trainables.config import AugmentationSettings, DeviceSettings, PolicySettings, TrialSettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.memory import keep_freed_memory
from trainables.teacher import compute_assets, prepare_teacher
from trainables.training import DeviceAssets, Distillation

WEIGHT = 0.5
RULE = "norm_balance"
AUGMENTATION = AugmentationSettings(flip=True, crop_padding=2, views=8)


@dataclasses.dataclass(frozen=True)
class Work:
    """The recipe to train, and where data and teacher are kept."""

    config: SearchConfig
    cache: pathlib.Path
    own: bool
    """True if the process runs this package's trainings, False if the others'."""


@dataclasses.dataclass(frozen=True)
class Training:
    """The cost and the accuracy of one training."""

    seconds: float
    accuracy: float


class Bench:
    """The data and the teacher that a process trains with."""

    def __init__(self, work: Work) -> None:
        torch.set_num_threads(1)
        logging.disable(logging.INFO)  # torchdistill logs its configuration
        config = work.config
        cpu = select_compute(DeviceSettings(device="cpu", precision="float32"))
        self.dataset = load_dataset(config.data, default_root=work.cache / "data")
        teacher = prepare_teacher(config.teacher, self.dataset, cache=work.cache / "teachers", compute=cpu)
        self.teacher = teacher.module.to(memory_format=torch.contiguous_format)
        self.seconds = 0.0
        if work.own:
            keep_freed_memory()
            began = time.process_time()
            self.assets = compute_assets(self.dataset, teacher, config.augmentation, cpu.device)
            self.seconds = time.process_time() - began


def own(policy: PolicySettings, precision: str) -> Callable[[Bench, TrialSettings, int], float]:
    """Make a function that trains with this package."""

    def train(bench: Bench, settings: TrialSettings, seed: int) -> float:
        device = DeviceSettings.model_validate({"device": "cpu", "precision": precision})
        mine = {"policy": policy, "seeds": (seed,), "device": device}
        trial = Distillation(settings.model_copy(update=mine), DeviceAssets(bench.assets, select_compute(device)))
        weights = plain.create_student(settings, bench.dataset, seed).state_dict()
        trial.replicates[0].student.load_state_dict(weights)
        for _ in trial.records():
            pass
        return trial.results[0].validation_accuracy

    return train


def written_plainly(rule: plain.Rule | float) -> Callable[[Bench, TrialSettings, int], float]:
    """Make a function that trains with the plain loop."""

    def train(bench: Bench, settings: TrialSettings, seed: int) -> float:
        return plain.distil(settings, bench.dataset, bench.teacher, seed=seed, rule=rule)

    return train


def torchdistill(bench: Bench, settings: TrialSettings, seed: int) -> float:
    """Train with torchdistill's box and its `KDLoss`, in the loop that its examples have."""
    from torchdistill.core.distillation import get_distillation_box

    training = settings.training
    student = plain.create_student(settings, bench.dataset, seed)
    batches, validation = plain.loaders(bench.dataset, training.batch_size, settings.augmentation)
    loss = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": settings.temperature,
            "alpha": 1.0 - WEIGHT,
        },
    }
    box = get_distillation_box(
        bench.teacher,
        student,
        {"train": batches.dataset},
        {
            "num_epochs": training.epochs,
            "train_data_loader": {
                "dataset_id": "train",
                "sampler": {"class_or_func": RandomSampler},
                "kwargs": {"batch_size": batches.batch_size, "drop_last": True},
            },
            "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
            "student": {"forward_proc": "forward_batch_only"},
            "optimizer": {
                "key": type(plain.create_optimizer(student, training)).__name__,
                "kwargs": {"lr": training.learning_rate, "weight_decay": training.weight_decay},
            },
            "scheduler": {
                "key": "OneCycleLR",
                "kwargs": {
                    "max_lr": training.learning_rate,
                    "total_steps": training.epochs * len(batches),
                    "cycle_momentum": False,
                },
                "scheduling_step": 1,
            },
            "criterion": {
                "key": "WeightedSumLoss",
                "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}},
            },
        },
        torch.device("cpu"),
        None,
        False,
        1,
    )
    bench.teacher.eval()
    found = 0.0
    for epoch in range(1, training.epochs + 1):
        box.pre_epoch_process(epoch=epoch)
        for images, labels, more in box.train_data_loader:
            box.post_forward_process(box.forward_process(images, labels, more))
        box.post_epoch_process()
        if epoch in plain.evaluated_epochs(settings):
            found = plain.accuracy(box.student_model, validation)
    return found


def _rule(**parameters: int) -> PolicySettings:
    return PolicySettings(family=RULE, parameters=dict(parameters))


def _own_trainings(precision: str) -> dict[str, Callable[[Bench, TrialSettings, int], float]]:
    constant = PolicySettings(family="fixed", parameters={"weight": WEIGHT})
    return {
        f"constant λ, {precision}": own(constant, precision),
        f"rule, gradients every 10th step (the default), {precision}": own(_rule(), precision),
        f"rule, gradients every step, {precision}": own(_rule(measure_every=1), precision),
    }


OTHERS: dict[str, Callable[[Bench, TrialSettings, int], float]] = {
    "plain loop, rule, gradients every step": written_plainly(plain.norm_balance),
    "plain loop, constant λ": written_plainly(WEIGHT),
    "torchdistill, constant λ": torchdistill,
}
OWN = {**_own_trainings("float32"), **_own_trainings("bfloat16")}

_bench: Bench | None = None


def begin(work: Work) -> None:
    """Set up a process; called once in each."""
    global _bench
    _bench = Bench(work)


def run(name: str, settings: TrialSettings, seed: int) -> Training:
    """Run one training, in its process."""
    assert _bench is not None
    began = time.process_time()
    accuracy = {**OTHERS, **OWN}[name](_bench, settings, seed)
    return Training(time.process_time() - began, accuracy)


def outputs_seconds() -> float:
    """Return the CPU seconds of the teacher's outputs in this process."""
    assert _bench is not None
    return _bench.seconds


class Contest:
    """Two processes, for this package's trainings and for the others'."""

    def __init__(self, config: SearchConfig, cache: pathlib.Path) -> None:
        self.settings = config.base_trial()
        spawn = multiprocessing.get_context("spawn")
        self.processes = {
            own: concurrent.futures.ProcessPoolExecutor(
                max_workers=1, mp_context=spawn, initializer=begin, initargs=(Work(config, cache, own),)
            )
            for own in (False, True)
        }

    def train(self, name: str, seed: int) -> Training:
        return self.processes[name in OWN].submit(run, name, self.settings, seed).result()

    def outputs_seconds(self) -> float:
        return self.processes[True].submit(outputs_seconds).result()


def contest(
    config: SearchConfig, cache: pathlib.Path, names: Sequence[str], rounds: int
) -> tuple[list[dict[str, Training]], float]:
    """Train all by name, round by round; also return the CPU seconds of the teacher's outputs (once a search)."""
    processes = Contest(config, cache)
    found: list[dict[str, Training]] = []
    for seed in range(rounds):
        found.append({})
        for name in names:
            found[-1][name] = done = processes.train(name, seed)
            print(f"seed {seed}, {name}: {done.seconds:.1f} s of CPU, accuracy {done.accuracy:.4f}", flush=True)
    return found, processes.outputs_seconds()


def spread(ratios: list[float]) -> str:
    """Return the median and the middle half; the single ratio if there is only one."""
    if len(ratios) == 1:
        return f"{ratios[0]:.2f}"
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def table(found: list[dict[str, Training]]) -> Iterator[str]:
    """Yield Markdown: a row for each contender, with how many times longer each of the others takes."""
    others = [name for name in found[0] if name in OTHERS]
    yield f"| training | CPU seconds | accuracy | {' | '.join(f'time of: {name}' for name in others)} |"
    yield f"| --- | --- | --- |{' --- |' * len(others)}"
    for name in found[0]:
        seconds = statistics.median(each[name].seconds for each in found)
        accuracy = statistics.fmean(each[name].accuracy for each in found)
        ratios = (spread([each[other].seconds / each[name].seconds for each in found]) for other in others)
        yield f"| {name} | {seconds:.1f} | {100 * accuracy:.2f} % | {' | '.join(ratios)} |"


def configuration(recipe: str, epochs: int | None, augmented: bool) -> SearchConfig:
    """Return a recipe with fewer epochs, evaluated and probed as often in each."""
    config = load_config(recipe)
    whole = config.training.epochs
    if epochs is not None:
        fewer = {
            "training": config.training.model_copy(update={"epochs": epochs}),
            "evaluations": max(1, config.evaluations * epochs // whole),
            "trace_points": max(2, config.trace_points * epochs // whole),
        }
        config = config.model_copy(update=fewer)
    return config.model_copy(update={"augmentation": AUGMENTATION}) if augmented else config


def main() -> None:
    """Train, print the table and, if asked, write it to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fashion-mnist")
    parser.add_argument("--epochs", type=int, help="[the recipe's]")
    parser.add_argument("--rounds", type=int, default=1, help="trainings of each, each under a seed of its own [1]")
    parser.add_argument("--augmented", action="store_true", help="with flips and shifts, 8 views a picture")
    parser.add_argument("--only", action="append", default=[], help="a contender, by its name's beginning [all]")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="data and teachers [%(default)s]")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    config = configuration(arguments.recipe, arguments.epochs, arguments.augmented)
    names = [name for name in (*OTHERS, *OWN) if name.startswith(tuple(arguments.only) or "")]
    found, outputs = contest(config, arguments.cache, names, arguments.rounds)
    epochs = f"{config.training.epochs} epochs, {config.evaluations} evaluations, {arguments.rounds} rounds"
    text = [
        f"`{arguments.recipe}`, {epochs}; {conditions()}. One thread each.",
        "",
        *table(found),
        "",
        f"The teacher's outputs, computed once a search: {outputs:.1f} s of CPU.",
    ]
    print(*text, sep="\n")
    if arguments.write:
        title = f"A training ({arguments.recipe}{', augmented' if arguments.augmented else ''}, {epochs})"
        write_section(title, "\n".join(text))


if __name__ == "__main__":
    main()
