"""Measures how well the cheap ways of measuring follow the whole student's gradients, along real trainings.

    python benchmarks/tracking.py

Every way reads every batch of the same students, which train at the constant λ = 0.5. "Broken" trainings have the
teacher's outputs exchanged within 30 % of the batches and the labels within another 30 %.
"""

from __future__ import annotations

import argparse
import importlib.resources
import pathlib
import statistics
import tomllib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score

from policies.geometric import log_ratio
from policies.geometry import Geometry
from policies.policy import Measurement
from policies.smoothing import RunningMean
from policies.update.meter import geometry_tensor, last_block, pair
from policies.update.objective import LogitPair
from search.settings import default_cache
from trainables.config import (
    CorruptionSettings,
    DataSettings,
    DeviceSettings,
    ModelSettings,
    TeacherSettings,
    TrainingSettings,
    TrialSettings,
)
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.teacher import compute_assets, prepare_teacher
from trainables.training import DeviceAssets, Replicate

SMOOTHING = 0.9
TEMPERATURE = 4.0

Readings = npt.NDArray[np.float64]


class Case(NamedTuple):
    """A recipe's data and teacher, a student of it for so many epochs, and whether batches are broken."""

    name: str
    recipe: str
    epochs: int
    student: ModelSettings | None = None
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.name}, {'broken' if self.broken else 'whole'}"


_WHOLE = (
    Case("digits, MLP", "digits-quick", 100),
    Case("Fashion-MNIST, CNN", "fashion-mnist", 15),
    Case("Fashion-MNIST, ResNet-20", "fashion-mnist", 4, ModelSettings(name="resnet20")),
)
CASES = tuple(case._replace(broken=broken) for case in _WHOLE for broken in (False, True))


class Track(NamedTuple):
    """Readings of each way at each step, [steps, 2]: cosine, log norm ratio; and which batches were broken, [steps]."""

    readings: dict[str, Readings]
    wrong_teacher: npt.NDArray[np.bool_]
    wrong_labels: npt.NDArray[np.bool_]


class Agreement(NamedTuple):
    """The agreement of a way's readings with the whole student's; pairs are of the cosine and of the norm ratio.

    `correlations` are Pearson's, `smoothed` those of running means over about ten steps. `offset` is the mean
    difference of the cosines, `factor` the geometric mean of the ratios' quotients. `own` is the share of steps where
    a threshold at the way's own median decides as one at the whole student's median does. `same` is that share with the
    whole student's median for both. `tells` are two chances: that a batch with a wrong teacher has a greater norm ratio
    than one without, and that a batch with wrong labels has a smaller cosine than one without.
    """

    correlations: tuple[float, float]
    smoothed: tuple[float, float]
    offset: float
    factor: float
    own: tuple[float, float]
    same: tuple[float, float]
    tells: tuple[float, float] | None


def track(case: Case, seed: int, cache: pathlib.Path) -> Track:
    """Train one student and read every batch in every way."""
    replicate = prepare(case, seed, cache)
    student = replicate.student.train()
    readings: dict[str, list[tuple[float, float]]] = {}
    wrong_teacher, wrong_labels = [], []
    torch.manual_seed(seed)
    for epoch in range(case.epochs):
        replicate.epoch = epoch
        for batch in replicate.batches():
            objective = LogitPair(student(batch.images), batch.targets, batch.labels, temperature=TEMPERATURE)
            for way, geometry in measure(objective, student):
                readings.setdefault(way, []).append((geometry.cosine, log_ratio(geometry)))
            wrong_teacher.append(bool((batch.target_sources != batch.pictures).any()))
            wrong_labels.append(bool((batch.label_sources != batch.pictures).any()))
            replicate.optimizer.zero_grad(set_to_none=True)
            objective.backward(0.5, 0.5)
            replicate.optimizer.step()
            replicate.schedule.step()
    arrays = {way: np.array(pairs) for way, pairs in readings.items()}
    return Track(arrays, np.array(wrong_teacher), np.array(wrong_labels))


def prepare(case: Case, seed: int, cache: pathlib.Path) -> Replicate:
    """Return the case's student before its first step."""
    text = (importlib.resources.files("search.recipes") / f"{case.recipe}.toml").read_text(encoding="utf-8")
    recipe = tomllib.loads(text)
    compute = select_compute(DeviceSettings(device="cpu"))
    dataset = load_dataset(DataSettings.model_validate(recipe["data"]), default_root=cache / "data")
    teacher = prepare_teacher(
        TeacherSettings.model_validate(recipe["teacher"]), dataset, cache=cache / "teachers", compute=compute
    )
    settings = TrialSettings(
        student=case.student or ModelSettings.model_validate(recipe["student"]),
        training=TrainingSettings.model_validate({**recipe["training"], "epochs": case.epochs}),
        corruption=CorruptionSettings(unit="batch", teacher_share=0.3, label_share=0.3) if case.broken else None,
    )
    data = DeviceAssets(compute_assets(dataset, teacher, settings.augmentation, compute.device), compute)
    return Replicate(settings, seed, data, data.augmentation(settings.augmentation))


def measure(objective: LogitPair, student: torch.nn.Module) -> Iterator[tuple[str, Geometry]]:
    """Yield every way's reading of one batch."""
    blocks: dict[str, list[torch.Tensor]] = {
        "full": [p for p in student.parameters() if p.requires_grad],
        "last block": last_block(student),
        "last block of two layers": last_block(student, layers=2),
    }
    for name, parameters in blocks.items():
        distill, task, noise = pair(objective, parameters, Measurement(pair="halves"), retain=True)
        yield name, Geometry(*geometry_tensor(distill, task).tolist())
        yield f"{name}, halves", Geometry(*geometry_tensor(distill, task, noise).tolist())
    yield "logit", Geometry(*objective.logit_geometry().tolist())


def compare(tracked: Track, way: str) -> Agreement:
    """Compare a way with the whole student's gradients on the same batches."""
    mine, full = tracked.readings[way], tracked.readings["full"]
    smooth_mine, smooth_full = _smoothed(mine), _smoothed(full)
    difference = (mine - full).mean(axis=0)
    middle, full_middle = np.median(mine, axis=0), np.median(full, axis=0)
    tells = None
    if tracked.wrong_teacher.any() and tracked.wrong_labels.any():
        tells = (roc_auc_score(tracked.wrong_teacher, mine[:, 1]), roc_auc_score(tracked.wrong_labels, -mine[:, 0]))
    return Agreement(
        correlations=_correlations(mine, full),
        smoothed=_correlations(smooth_mine, smooth_full),
        offset=float(difference[0]),
        factor=float(np.exp(difference[1])),
        own=_share_equal(mine > middle, full > full_middle),
        same=_share_equal(mine > full_middle, full > full_middle),
        tells=tells,
    )


def mean(found: Sequence[Agreement]) -> Agreement:
    """Average agreements field by field, over the seeds."""

    def both(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
        return statistics.fmean(one for one, _ in pairs), statistics.fmean(other for _, other in pairs)

    tells = [a.tells for a in found if a.tells is not None]
    return Agreement(
        both([a.correlations for a in found]),
        both([a.smoothed for a in found]),
        statistics.fmean(a.offset for a in found),
        statistics.geometric_mean(a.factor for a in found),
        both([a.own for a in found]),
        both([a.same for a in found]),
        both(tells) if tells else None,
    )


def agreements(seeds: int, cache: pathlib.Path, cases: Sequence[Case] = CASES) -> dict[str, dict[str, Agreement]]:
    """Return every case's ways, by the case's name, as means over the seeds; print a line after each training."""
    torch.set_num_threads(1)
    result: dict[str, dict[str, Agreement]] = {}
    for case in cases:
        tracks = []
        for seed in range(seeds):
            tracks.append(track(case, seed, cache))
            print(f"{case}: seed {seed}, {len(tracks[-1].wrong_labels)} batches read", flush=True)
        result[str(case)] = {way: mean([compare(one, way) for one in tracks]) for way in tracks[0].readings}
    return result


def table(found: dict[str, dict[str, Agreement]]) -> Iterator[str]:
    """Yield Markdown: a row for each case and way."""
    yield (
        "| training | way | correlation | smoothed | cosine off by | norm ratio × | decides alike, own median | same"
        " number | tells wrong teacher, labels |"
    )
    yield "| --- |" + " --- |" * 8
    for case, ways in found.items():
        for way, a in ways.items():
            tells = "" if a.tells is None else _two(a.tells)
            yield (
                f"| {case} | {way} | {_two(a.correlations)} | {_two(a.smoothed)} | {a.offset:+.2f} | {a.factor:.2f} |"
                f" {_two(a.own)} | {_two(a.same)} | {tells} |"
            )


def _two(values: tuple[float, float]) -> str:
    return f"{values[0]:.2f}, {values[1]:.2f}"


def _smoothed(readings: Readings) -> Readings:
    means = [RunningMean(SMOOTHING) for _ in range(2)]
    return np.array([[mean.update(value) for mean, value in zip(means, row, strict=True)] for row in readings])


def _correlations(mine: Readings, full: Readings) -> tuple[float, float]:
    cosine, ratio = (float(np.corrcoef(mine[:, i], full[:, i])[0, 1]) for i in range(2))
    return cosine, ratio


def _share_equal(mine: npt.NDArray[np.bool_], full: npt.NDArray[np.bool_]) -> tuple[float, float]:
    cosine, ratio = (mine == full).mean(axis=0)
    return float(cosine), float(ratio)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each case")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="of teachers and data sets")
    arguments = parser.parse_args()
    print(*table(agreements(arguments.seeds, arguments.cache)), sep="\n")


if __name__ == "__main__":
    main()
