"""Compares rules with the best constant λ, under a teacher that has never seen some classes.

    python benchmarks/unseen_classes.py
    python benchmarks/unseen_classes.py --data fashion-mnist --wrong 0.3
    python benchmarks/unseen_classes.py --rules class --seeds 48

The student, its data and its teacher are those of the recipe `unseen-classes-digits`, trained in a plain loop. Each row
is tuned alike on the validation pictures: all its settings at all learning rates with two seeds, its best six with six
more. The best one is then trained with fresh seeds, the same for all rows, and judged on the test set. The lead is
over the constant at its own best λ and learning rate, paired by seed, with a 95 % interval over the seeds. The
constant's next best settings are shown below it, since the best one may be chosen by luck. A star marks an end of the
learning rates.
"""

from __future__ import annotations

import itertools
import math
import pathlib
import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import torch
from scaffold import parser, prepare
from torch import Tensor, nn

from policies.balancer import LossBalancer
from policies.registry import create_policy
from search.settings import load_config
from trainables.config import CorruptionSettings
from trainables.pictures import as_tensor, normalise
from trainables.teacher import compute_logits
from trainables.training import Corruption

CONSTANTS = (0.0, 0.03, 0.05, 0.1, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0)
RATES = (3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2, 1e-1)
TRUST = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0, 1.3)
FRESH = 1000
"""The first of the seeds that nothing is chosen on."""
OVERRIDES = {
    "digits": [],
    "fashion-mnist": [
        'data.name="fashion-mnist"',
        "data.train_size=2000",
        "data.validation_size=5000",
        'teacher.unseen_classes=["Sandal", "Sneaker", "Ankle boot"]',
        "teacher.training.epochs=3",
        "teacher.training.batch_size=128",
        "teacher.model.options.widths=[16, 32]",
        "student.options.hidden=[64]",
        "training.epochs=20",
        "training.batch_size=64",
    ],
}


class Setting(NamedTuple):
    """One way to weigh: a family with its parameters."""

    family: str
    values: dict[str, Any]

    @property
    def told(self) -> str:
        """The values as a short text."""
        return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.values.items())


def settings_of(family: str, **choices: Any) -> list[Setting]:
    """Return a family at every combination of these values; a value that is not a tuple is fixed."""
    listed = [value if isinstance(value, tuple) else (value,) for value in choices.values()]
    return [Setting(family, dict(zip(choices, values, strict=True))) for values in itertools.product(*listed)]


def rows() -> dict[str, list[Setting]]:
    """Return the rows of the table, the constant first."""
    every: dict[str, Any] = {"measure_every": 1, "smoothing": (0.0, 0.9)}
    kappa = (0.03, 0.1, 0.3, 1.0, 3.0)
    return {
        "fixed": settings_of("fixed", weight=CONSTANTS),
        "norm_balance": settings_of("norm_balance", balance=kappa, **every),
        "sample_norm_balance": settings_of("sample_norm_balance", balance=kappa),
        "sample_norm_ratio_threshold": settings_of(
            "sample_norm_ratio_threshold", threshold=(1.0, 2.0, 4.0, 8.0), above=0.0, below=(0.1, 0.3, 0.5, 0.9)
        ),
        "sample_cosine_threshold": settings_of(
            "sample_cosine_threshold", threshold=(-0.25, 0.0, 0.3), above=(0.3, 0.9), below=(0.0, 0.1)
        ),
        "sample_cosine_ramp": settings_of("sample_cosine_ramp", middle=(0.1, 0.3, 0.5), slope=(-0.3, 0.3, 0.6)),
        "sample_agreement_threshold": settings_of(
            "sample_agreement_threshold", threshold=(0.05, 0.2, 0.5), above=(0.3, 0.5, 0.9), below=(0.0, 0.1)
        ),
        "sample_class_reliability, label's class": settings_of("sample_class_reliability", trust=TRUST, of="label"),
        "sample_class_reliability, teacher's class": settings_of("sample_class_reliability", trust=TRUST, of="teacher"),
        "sample_confidence_reliability": settings_of("sample_confidence_reliability", trust=TRUST),
        "class_reliability": settings_of("class_reliability", trust=TRUST),
        "confidence_reliability": settings_of("confidence_reliability", trust=TRUST),
    }


class Bench:
    """The pictures as a student takes them, its targets and labels, and its training."""

    def __init__(self, data: str, wrong: float, cache: pathlib.Path) -> None:
        config = load_config(
            "unseen-classes-digits", [*OVERRIDES[data], "corruption.label_share=0.3", "device.device=cpu"]
        )
        dataset, teacher, assets = prepare(config, cache)
        mean, std = as_tensor(assets.mean), as_tensor(assets.std)

        def pictures(split: Any) -> tuple[Tensor, Tensor]:
            return normalise(as_tensor(split.images[:]), mean, std).flatten(1), as_tensor(split.labels)

        self.images, truth = pictures(assets.train)
        self.validation, self.test = pictures(assets.validation), pictures(dataset.test)
        self.targets = as_tensor(assets.train_targets)[0].float()
        self.labels = truth
        if wrong > 0.0:
            settings = CorruptionSettings(unit="sample", label_share=wrong)
            corruption = Corruption(settings, pictures=len(truth), batch_size=2, seed=0)
            self.labels = truth[torch.from_numpy(corruption.sources(np.arange(len(truth)), 0).labels)]
        self.classes, self.temperature = len(assets.classes), config.temperature
        self.hidden = int(config.student.options["hidden"][0])
        self.epochs, self.batch = config.training.epochs, config.training.batch_size
        answers = torch.from_numpy(compute_logits(teacher.module, dataset.test.images, dataset, torch.device("cpu")))
        self.teacher = float((answers.argmax(1) == self.test[1]).double().mean())

    def train(self, setting: Setting, rate: float, seed: int) -> tuple[float, float]:
        """Train a student; return its accuracy on the validation pictures and on the test set, in percent."""
        torch.manual_seed(seed)
        student = nn.Sequential(
            nn.Linear(self.images.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.classes)
        )
        steps = self.epochs * (len(self.images) // self.batch)
        optimizer = torch.optim.Adam(student.parameters(), lr=rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
        policy = create_policy(setting.family, setting.values)
        balancer = LossBalancer(policy, student, total_steps=steps, temperature=self.temperature)
        for _ in range(self.epochs):
            for batch in torch.randperm(len(self.images)).split(self.batch):
                if len(batch) < self.batch:
                    continue
                optimizer.zero_grad()
                balancer.backward_on_logits(student(self.images[batch]), self.targets[batch], self.labels[batch])
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            return accuracy(student, self.validation), accuracy(student, self.test)

    def tuned(self, settings: list[Setting]) -> list[tuple[Setting, float]]:
        """Return the best settings and learning rates on the validation pictures, best first."""
        scores = {}
        for place, rate in itertools.product(range(len(settings)), RATES):
            scores[place, rate] = [self.train(settings[place], rate, seed)[0] for seed in range(2)]
        best = sorted(scores, key=lambda key: -statistics.fmean(scores[key]))[:6]
        for key in best:
            scores[key] += [self.train(settings[key[0]], key[1], seed)[0] for seed in range(2, 8)]
        best.sort(key=lambda key: -statistics.fmean(scores[key]))
        return [(settings[place], rate) for place, rate in best]


def accuracy(student: nn.Module, pictures: tuple[Tensor, Tensor]) -> float:
    """Return the accuracy in percent."""
    images, labels = pictures
    return 100.0 * float((student(images).argmax(1) == labels).double().mean())


def lead(ours: list[float], theirs: list[float]) -> str:
    """Return the mean paired difference and its 95 % interval over the seeds."""
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    margin = float(scipy.stats.t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
    return f"{mean:+.2f} ({mean - margin:+.2f} to {mean + margin:+.2f})"


def table(bench: Bench, chosen: dict[str, list[Setting]], seeds: int) -> Iterator[str]:
    """Yield each row as soon as it is done; the constant has three."""
    yield "| rule | best at | learning rate | test accuracy, % | against the best constant, points | s |"
    yield "| --- | --- | --- | --- | --- | --- |"
    reference: list[float] | None = None
    for name, settings in chosen.items():
        began = time.perf_counter()
        for place, (setting, rate) in enumerate(bench.tuned(settings)[: 3 if reference is None else 1]):
            found = [bench.train(setting, rate, FRESH + seed)[1] for seed in range(seeds)]
            star = "*" if rate in (RATES[0], RATES[-1]) else ""
            against = "" if reference is None else lead(found, reference)
            reference = reference or found
            cells = (
                f"{name}, next best" if place else name,
                setting.told,
                f"{rate:g}{star}",
                f"{statistics.fmean(found):.2f} ± {statistics.stdev(found):.2f}",
                against,
                f"{time.perf_counter() - began:.0f}",
            )
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Train, and print a table for each share of wrong labels."""
    options = parser(__doc__, write=False)
    options.add_argument("--data", choices=tuple(OVERRIDES), default="digits")
    options.add_argument("--wrong", type=float, nargs="+", default=[0.3, 0.0], help="shares of wrong labels")
    options.add_argument("--seeds", type=int, default=24, help="fresh seeds of a row's best [%(default)s]")
    options.add_argument("--rules", default="", help="only rows whose name contains one of these, separated by commas")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    wanted = arguments.rules.split(",")
    chosen = {
        name: settings for name, settings in rows().items() if name == "fixed" or any(part in name for part in wanted)
    }
    for wrong in arguments.wrong:
        bench = Bench(arguments.data, wrong, arguments.cache)
        print(
            f"\n{arguments.data}, {len(bench.images)} pictures, {wrong:.0%} wrong labels,"
            f" teacher {100 * bench.teacher:.1f} %\n"
        )
        for line in table(bench, chosen, arguments.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
