"""Measures what bfloat16 on a CPU changes: accuracy, the readings of the gradients, and time.

    python benchmarks/precision.py --write

Students of a recipe are trained in float32 and in bfloat16 (autocast: weights, optimiser and losses stay in float32)
under the same seeds, so initial weights and batches are the same. After each epoch of a float32 training both
precisions look at one more batch with the same weights, and the readings are compared. One thread, CPU time.
"""

from __future__ import annotations

import argparse
import copy
import math
import pathlib
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from results import conditions, write_section

from policies.geometry import Geometry
from policies.update.meter import geometry_tensor
from policies.update.objective import LogitPair
from search.settings import SearchConfig, default_cache, load_config
from trainables.config import DeviceSettings, PolicySettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.memory import keep_freed_memory
from trainables.pictures import TrialAssets
from trainables.teacher import compute_assets, prepare_teacher
from trainables.training import DeviceAssets, Distillation, Replicate

PRECISIONS = ("float32", "bfloat16")
POLICY = PolicySettings(family="norm_balance")


class Reading(NamedTuple):
    """Readings of both precisions with the same weights on the same batch."""

    float32: Geometry
    bfloat16: Geometry


class Pair(NamedTuple):
    """Results of one seed in both precisions."""

    accuracy: tuple[float, float]
    seconds: tuple[float, float]
    readings: list[Reading]


def read(replicate: Replicate) -> Reading:
    """Read the next epoch's first batch in both precisions; the replicate stays as it is."""
    batch = next(iter(replicate.batches_in(replicate.order_of(replicate.epoch), replicate.epoch)))
    found = []
    for bfloat16 in (False, True):
        student = copy.deepcopy(replicate.student).train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = student(batch.images)
        pair = LogitPair(logits, batch.targets, batch.labels, temperature=replicate.settings.temperature)
        found.append(Geometry(*geometry_tensor(*pair.gradients(list(student.parameters()))).tolist()))
    return Reading(*found)


def train(config: SearchConfig, assets: TrialAssets, seed: int, precision: str) -> tuple[float, float, list[Reading]]:
    """Return (accuracy, CPU seconds, readings) of one training; readings with float32 only, not part of the time."""
    device = DeviceSettings.model_validate({"device": "cpu", "precision": precision})
    settings = config.base_trial().model_copy(update={"policy": POLICY, "seeds": (seed,), "device": device})
    trial = Distillation(settings, DeviceAssets(assets, select_compute(device)))
    readings: list[Reading] = []
    seconds, began = 0.0, time.process_time()
    for _ in trial.records():
        seconds += time.process_time() - began
        if precision == "float32" and not trial.done:
            readings.append(read(trial.replicates[0]))
        began = time.process_time()
    return trial.results[0].validation_accuracy, seconds, readings


def compare(config: SearchConfig, cache: pathlib.Path, seeds: int) -> Iterator[Pair]:
    """Yield the results seed by seed; which precision begins alternates."""
    cpu = select_compute(DeviceSettings(device="cpu", precision="float32"))
    dataset = load_dataset(config.data, default_root=cache / "data")
    teacher = prepare_teacher(config.teacher, dataset, cache=cache / "teachers", compute=cpu)
    assets = compute_assets(dataset, teacher, config.augmentation, cpu.device)
    for seed in range(seeds):
        order = PRECISIONS if seed % 2 == 0 else PRECISIONS[::-1]
        done = {precision: train(config, assets, seed, precision) for precision in order}
        single, half = done["float32"], done["bfloat16"]
        pair = Pair((single[0], half[0]), (single[1], half[1]), single[2])
        print(f"seed {seed}: accuracy {single[0]:.4f}, {half[0]:.4f}; {single[1]:.1f} s, {half[1]:.1f} s", flush=True)
        yield pair


def rows(pairs: list[Pair]) -> Iterator[str]:
    """Yield the table in Markdown."""
    gaps = [100 * (half - single) for (single, half), *_ in pairs]
    ratios = [single / half for _, (single, half), _ in pairs]
    readings = [reading for pair in pairs for reading in pair.readings]
    cosines = [abs(r.bfloat16.cosine - r.float32.cosine) for r in readings]
    logs = [abs(math.log(r.bfloat16.norm_ratio / r.float32.norm_ratio)) for r in readings]
    single = 100 * statistics.fmean(pair.accuracy[0] for pair in pairs)
    noise = 100 * statistics.stdev(pair.accuracy[0] for pair in pairs)
    error = statistics.stdev(gaps) / math.sqrt(len(gaps))
    yield "| bfloat16 against float32 | |"
    yield "| --- | --- |"
    yield f"| accuracy with float32, and its standard deviation over seeds | {single:.2f} %, {noise:.2f} points |"
    yield f"| bfloat16's minus float32's, paired by seed | {statistics.fmean(gaps):+.2f} ± {error:.2f} points |"
    times = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    yield f"| CPU time of float32 over bfloat16's | {times} |"
    angles = f"{statistics.median(cosines):.4f}, {max(cosines):.4f}"
    yield f"| cosine, difference: median, largest of {len(readings)} | {angles} |"
    yield f"| norm ratio, relative difference: median, largest | {statistics.median(logs):.4f}, {max(logs):.4f} |"


def main() -> None:
    """Train, print and, if asked, write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="fashion-mnist")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="data and teachers [%(default)s]")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    config = load_config(arguments.recipe)
    training = config.training.model_copy(update={"epochs": arguments.epochs})
    config = config.model_copy(update={"training": training, "evaluations": 2, "trace_points": 2})
    pairs = list(compare(config, arguments.cache, arguments.seeds))
    head = f"`{arguments.recipe}`, {arguments.epochs} epochs, {arguments.seeds} seeds; {conditions()}. One thread."
    text = "\n".join([head, "", *rows(pairs)])
    print(text)
    if arguments.write:
        write_section(f"bfloat16 on a CPU ({arguments.recipe})", text)


if __name__ == "__main__":
    main()
