"""Measures the memory of trials: one copy of data and teacher's outputs a node, no growth from trial to trial.

    python benchmarks/memory.py --write             both parts; some minutes
    python benchmarks/memory.py --part workers      PSS of 1, 2, 4 processes that each train on fashion-mnist
    python benchmarks/memory.py --part growth       one process, 200 trials, as Tune reuses it

Workers: the data of the recipe `fashion-mnist` (all 60,000 pictures but those for validation, unless --train-size says
less) lie once in Ray's object store. Each worker is a Ray actor that trains a student for some steps and reads every
picture. A process's proportional set size (PSS) counts 1/n of a page that n processes hold. So the sum is what they
take together, and the part of it in Ray's shared memory is the data.

Growth: `DistillationTrial` as Tune drives it, but without Tune: `reset_config`, `step` until done, `save_checkpoint`,
with policies of every family in turn. Resident memory is read after each trial.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
from scaffold import conditions, parser, publish, table

from search.settings import load_config
from trainables.pictures import Split, TrialAssets

_MIB = 2**20
_STEPS = 20


def assets_of(train: Split, validation: Split) -> TrialAssets:
    """Return pictures with random numbers as the teacher's outputs, since only their size is measured."""
    random = np.random.default_rng(0)
    targets, validation_targets = (
        random.normal(size=(len(split), 10)).astype(np.float32) for split in (train, validation)
    )
    return TrialAssets(
        train=train,
        validation=validation,
        train_targets=targets[None],
        validation_targets=validation_targets,
        mean=np.full(1, 127, np.float32),
        std=np.full(1, 70, np.float32),
        classes=tuple("0123456789"),
        teacher_accuracy=0.9,
    )


# Workers


class _Worker:
    """Stands in for a trial's process: it keeps its data."""

    def train(self, settings: Any, assets: TrialAssets) -> int:
        """Train for some steps and read all data; return the process's number."""
        import torch

        from trainables.device import select_compute
        from trainables.training import DeviceAssets, Distillation

        torch.set_num_threads(1)
        self.data = DeviceAssets(assets, select_compute(settings.device))
        self.student = Distillation(settings, self.data)
        for _ in itertools.islice(self.student.replicates[0].train_epoch(frozenset()), _STEPS):
            pass
        for tensor in (self.data.images, self.data.labels, self.data.targets, self.data.validation.images):
            for part in tensor.split(4096):
                part.sum()
        return os.getpid()


def memory(pid: int) -> tuple[int, int]:
    """Return the PSS of a process in bytes: in Ray's shared memory, and what belongs to no file or was written to."""
    store = own = 0
    for region in psutil.Process(pid).memory_maps(grouped=False):
        if "plasma" in region.path:
            store += region.pss
        elif region.path.startswith("[") or "w" in region.perms:
            own += region.pss
    return store, own


def workers(options: argparse.Namespace) -> list[str]:
    """Return a table: processes, PSS of what is shared and of what is their own."""
    import ray

    from search.cluster import ray_session
    from trainables.datasets import load_dataset

    config = load_config(
        "fashion-mnist", [f"data.train_size={options.train_size}", "training.epochs=1", "replicates=1"]
    )
    dataset = load_dataset(config.data, default_root=options.cache / "data", progress=print)
    assets = assets_of(dataset.train, dataset.validation)
    arrays = [array for split in (assets.train, assets.validation) for array in (split.images, split.labels)]
    size = sum(array.nbytes for array in (*arrays, assets.train_targets, assets.validation_targets))
    rows = []
    with ray_session(None):
        shared = ray.put(assets)
        actor = ray.remote(num_cpus=0)(_Worker)
        for count in options.workers:
            crew = [actor.remote() for _ in range(count)]
            found = [memory(pid) for pid in ray.get([each.train.remote(config.base_trial(), shared) for each in crew])]
            data = sum(store for store, _ in found) + memory(os.getpid())[0]
            own = sum(own for _, own in found) / count
            rows.append([str(count), f"{data / _MIB:.0f}", f"{own / _MIB:.0f}"])
            for worker in crew:
                ray.kill(worker)
    return [
        f"N processes, each with a student in training and {options.train_size:,} pictures of Fashion-MNIST read."
        f" Pictures, labels and teacher's outputs are {size / _MIB:.0f} MiB. PSS in MiB.",
        "",
        *table(["processes", "data, all and the driver together", "each one's own"], rows),
    ]


# Growth


def growth(trials: int) -> list[str]:
    """Return a table: resident memory after so many trials in one process."""
    import logging

    from policies.families import FAMILIES
    from trainables.config import ModelSettings, PolicySettings, TrainingSettings, TrialSettings
    from trainables.trial import DistillationTrial

    logging.disable(logging.WARNING)
    random = np.random.default_rng(0)
    split = Split(
        images=random.integers(256, size=(640, 1, 8, 8), dtype=np.uint8), labels=random.integers(10, size=640)
    )
    base = TrialSettings(
        student=ModelSettings(name="cnn", options={"widths": [8, 16]}),
        training=TrainingSettings(epochs=2, batch_size=64),
        policy=PolicySettings(family="fixed", parameters={}),
        seeds=(0, 1),
        evaluations=2,
    )
    families = sorted(FAMILIES)
    resident = {}
    trial: Any = object.__new__(DistillationTrial)  # Tune's own part of it logs to a folder and is not needed
    for number in range(trials):
        suggestion = {"trial": number, "family": families[number % len(families)]}
        if number == 0:
            assets = assets_of(split, split)
            trial.setup(suggestion, base=base, assets=assets, report_seconds=0.0, checkpoint_seconds=1e9)
        else:
            trial.reset_config(suggestion)
        while not trial.step()["done"]:
            pass
        with tempfile.TemporaryDirectory() as folder:
            trial.save_checkpoint(folder)
        if number + 1 in (20, 50, 100, 150, 200, 500, 1000):
            used = psutil.Process().memory_info()
            resident[number + 1] = used.rss - used.shared
    first = next(iter(resident.values()))
    rows = [
        [str(number), f"{size / _MIB:.1f}", f"{(size / first - 1) * 100:+.2f} %"] for number, size in resident.items()
    ]
    return [
        f"One process, {trials} trials in turn, of all {len(families)} families with their defaults: a CNN with 8 and"
        " 16 channels on 640 pictures, 2 seeds, 2 epochs. Private resident memory (RssAnon).",
        "",
        *table(["trials", "MiB", "against the first row"], rows),
    ]


def main() -> None:
    """Measure what the options ask for."""
    options = parser(__doc__)
    options.add_argument("--part", choices=("workers", "growth", "both"), default="both")
    options.add_argument("--train-size", type=int, default=55_000, help="training pictures [55000]")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="[1 2 4]")
    options.add_argument("--trials", type=int, default=200, help="trials in one process [200]")
    arguments = options.parse_args()
    lines = []
    if arguments.part != "growth":
        lines += [*workers(arguments), ""]
    if arguments.part != "workers":
        lines += [*growth(arguments.trials), ""]
    publish("Memory of trials", [*lines, conditions()], write=arguments.write)


if __name__ == "__main__":
    main()
