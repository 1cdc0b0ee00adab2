"""Measures the memory of trials: one copy of data and teacher's outputs a node, no growth from trial to trial.

    python benchmarks/memory.py                     both parts, as rows of Markdown; some minutes
    python benchmarks/memory.py --part workers      PSS of 1, 2, 4 processes that each train on fashion-mnist
    python benchmarks/memory.py --part growth       one process, 200 trials, as Tune reuses it

Workers: the data of the recipe `fashion-mnist` (all 60,000 pictures but those for validation, unless --train-size says
less) lie once in Ray's object store; each worker is a Ray actor that trains a student for some steps and reads every
picture. For every process, including this one that put the data there, /proc/PID/smaps gives the proportional set size
(PSS): a page that n processes hold counts 1/n for each. So the sum is what they take together, and the part of it in
Ray's shared memory is the data.

Growth: `DistillationTrial` as Tune drives it, but without Tune: `reset_config`, `step` until done, `save_checkpoint`,
with policies of every family in turn. Resident memory is read after each trial.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import sys
import tempfile
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[1])]

import results  # noqa: E402

from search.settings import default_cache, load_config  # noqa: E402
from trainables.datasets import load_dataset  # noqa: E402
from trainables.pictures import TrialAssets  # noqa: E402

_MIB = 2**20
_STEPS = 20


def main() -> None:
    """Measure what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("workers", "growth", "both"), default="both")
    parser.add_argument("--train-size", type=int, default=55_000, help="training pictures [55000]")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="[1 2 4]")
    parser.add_argument("--trials", type=int, default=200, help="trials in one process [200]")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache())
    parser.add_argument("--write", action="store_true", help="also into RESULTS.md")
    options = parser.parse_args()
    parts = []
    if options.part != "growth":
        parts.append(workers(options))
    if options.part != "workers":
        parts.append(growth(options.trials))
    text = "\n\n".join([*parts, results.conditions()])
    print(text)
    if options.write:
        results.write_section("Memory of trials", text)


def workers(options: argparse.Namespace) -> str:
    """Return a table: processes, PSS of what is shared and of what is their own."""
    import ray

    from search.cluster import ray_session

    config = load_config(
        "fashion-mnist", [f"data.train_size={options.train_size}", "training.epochs=1", "replicates=1"]
    )
    assets = stand_in_assets(config, options.cache)
    size = sum(
        array.nbytes
        for array in (
            assets.train.images,
            assets.train.labels,
            assets.validation.images,
            assets.validation.labels,
            assets.train_targets,
            assets.validation_targets,
        )
    )
    rows = []
    with ray_session(None):
        shared = ray.put(assets)
        actor = ray.remote(num_cpus=0)(_Worker)
        idle = actor.remote()
        imported = memory(ray.get(idle.load.remote()))["own"]
        ray.kill(idle)
        for count in options.workers:
            crew = [actor.remote() for _ in range(count)]
            pids = ray.get([worker.train.remote(config.base_trial(), shared) for worker in crew])
            found = [memory(pid) for pid in pids]
            together = {kind: sum(one[kind] for one in found) / _MIB for kind in found[0]}
            data = together["store"] + memory(os.getpid())["store"] / _MIB
            rows.append(
                f"| {count} | {data:.0f} | {together['libraries']:.0f} | {together['own'] / count:.0f} |"
                f" {imported / _MIB:.0f} |"
            )
            for worker in crew:
                ray.kill(worker)
    head = (
        f"N processes, each with a student in training and {options.train_size:,} pictures of Fashion-MNIST read."
        f" Pictures, labels and teacher's outputs are {size / _MIB:.0f} MiB. PSS in MiB.\n\n"
        "| processes | data, all and the driver together | libraries' files, all together | each one's own | of which"
        " after importing |\n| ---: | ---: | ---: | ---: | ---: |\n"
    )
    return head + "\n".join(rows)


def stand_in_assets(config: Any, cache: pathlib.Path) -> TrialAssets:
    """Return the recipe's data with random numbers as the teacher's outputs: only their size is measured."""
    import numpy as np

    dataset = load_dataset(config.data, default_root=cache / "data", progress=print)
    random = np.random.default_rng(0)
    train, validation = (
        random.normal(size=(len(split), len(dataset.classes))).astype(np.float32)
        for split in (dataset.train, dataset.validation)
    )
    return TrialAssets(
        train=dataset.train,
        validation=dataset.validation,
        train_targets=train[None],
        validation_targets=validation,
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.classes,
        teacher_accuracy=0.9,
    )


class _Worker:
    """Stands in for a trial's process: it keeps its data."""

    def load(self) -> int:
        """Import what a trial's process imports; return the process's number."""
        import trainables.trial  # noqa: F401

        return os.getpid()

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


def memory(pid: int) -> dict[str, float]:
    """Return the PSS of a process in bytes: in Ray's shared memory, in libraries and other files, and its own."""
    found = {"store": 0.0, "libraries": 0.0, "own": 0.0}
    kind = "own"
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, *values = line.split()
        if not name.endswith(":"):  # a region's first line: addresses, rights, offset, device, inode, path
            path = values[4] if len(values) > 4 else ""
            kind = "store" if "plasma" in path else "libraries" if path.startswith("/") else "own"
            writable = "w" in values[0]
        elif name == "Pss:":
            found["own" if kind == "libraries" and writable else kind] += int(values[0]) * 1024
    return found


def growth(trials: int) -> str:
    """Return a table: resident memory after so many trials in one process."""
    import logging

    import numpy as np

    from policies.families import FAMILIES
    from trainables.config import ModelSettings, PolicySettings, TrainingSettings, TrialSettings
    from trainables.pictures import Split
    from trainables.trial import DistillationTrial

    logging.disable(logging.WARNING)
    random = np.random.default_rng(0)
    split = Split(
        images=random.integers(256, size=(640, 1, 8, 8), dtype=np.uint8), labels=random.integers(10, size=640)
    )
    logits = random.normal(size=(640, 10)).astype(np.float32)
    assets = TrialAssets(
        train=split,
        validation=split,
        train_targets=logits[None],
        validation_targets=logits,
        mean=np.full(1, 127, np.float32),
        std=np.full(1, 70, np.float32),
        classes=tuple("0123456789"),
        teacher_accuracy=0.1,
    )
    base = TrialSettings(
        student=ModelSettings(name="cnn", options={"widths": [8, 16]}),
        training=TrainingSettings(epochs=2, batch_size=64),
        policy=PolicySettings(family="fixed", parameters={}),
        seeds=(0, 1),
        evaluations=2,
    )
    families = sorted(FAMILIES)
    seen = [number for number in (20, 50, 100, 150, 200, 500, 1000) if number <= trials]
    resident = {}
    trial: Any = object.__new__(DistillationTrial)  # Tune's own part of it logs to a folder and is not needed
    for number in range(trials):
        suggestion = {"trial": number, "family": families[number % len(families)]}
        if number == 0:
            trial.setup(suggestion, base=base, assets=assets, report_seconds=0.0, checkpoint_seconds=1e9)
        else:
            trial.reset_config(suggestion)
        while not trial.step()["done"]:
            pass
        with tempfile.TemporaryDirectory() as folder:
            trial.save_checkpoint(folder)
        if number + 1 in seen:
            resident[number + 1] = own_memory()
    first = next(iter(resident.values()))
    rows = [
        f"| {number} | {size / _MIB:.1f} | {(size / first - 1) * 100:+.2f} % |" for number, size in resident.items()
    ]
    head = (
        f"One process, {trials} trials in turn, of all {len(families)} families with their defaults: a CNN with 8 and"
        " 16 channels on 640 pictures, 2 seeds, 2 epochs. Private resident memory (RssAnon).\n\n"
        "| trials | MiB | against the first row |\n| ---: | ---: | ---: |\n"
    )
    return head + "\n".join(rows)


def own_memory() -> int:
    """Return the resident bytes of this process that belong to no file."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no RssAnon")


if __name__ == "__main__":
    main()
