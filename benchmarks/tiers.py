"""Helps to choose a way of measuring: what each costs, and how well it follows the whole student's gradients.

    python benchmarks/tiers.py --write docs/measuring.md

Runs `step.py`, then lets every way read every batch of the same students, which train at the constant λ = 0.5.
"Broken" trainings have the teacher's outputs exchanged within 30 % of the batches and the labels within another 30 %.
The tables go between the marks that FILE has for them. It takes about ten minutes on a quiet core.

    python benchmarks/tiers.py --part noise --write docs/measuring.md

Compares the decisions of rules on noisy readings with those on the whole training set, with wrong labels and small
batches (`noise/`), and writes all means to `data/decisions-under-noise.csv`. It takes about ten minutes, too.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scaffold
import step
import torch
from noise import study, tables
from noise.study import STUDENTS
from noise.summary import write_csv
from sklearn.metrics import roc_auc_score

from policies.geometric import log_ratio
from policies.geometry import Geometry
from policies.policy import Measurement
from policies.smoothing import RunningMean
from policies.update.logits import LogitPair
from policies.update.meter import geometry_tensor, last_block, pair
from search.settings import load_config
from trainables.config import CorruptionSettings, ModelSettings
from trainables.device import select_compute
from trainables.training import DeviceAssets, Replicate

MEANS = pathlib.Path(__file__).parent / "data" / "decisions-under-noise.csv"
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
    difference of the cosines, `factor` the geometric mean of the ratios' quotients. `tells` are two chances: that a
    batch with a wrong teacher has a greater norm ratio than one without, and that a batch with wrong labels has a
    smaller cosine than one without.
    """

    correlations: tuple[float, float]
    smoothed: tuple[float, float]
    offset: float
    factor: float
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
    config = load_config(case.recipe, ["device.device=cpu", f"training.epochs={case.epochs}"])
    corruption = CorruptionSettings(unit="batch", teacher_share=0.3, label_share=0.3) if case.broken else None
    settings = config.base_trial().model_copy(
        update={"student": case.student or config.student, "corruption": corruption}
    )
    _, _, assets = scaffold.prepare(config, cache)
    data = DeviceAssets(assets, select_compute(config.device))
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
    yield "logit", Geometry(*objective.output_geometry().tolist())


def compare(tracked: Track, way: str) -> Agreement:
    """Compare a way with the whole student's gradients on the same batches."""
    mine, full = tracked.readings[way], tracked.readings["full"]
    difference = (mine - full).mean(axis=0)
    tells = None
    if tracked.wrong_teacher.any() and tracked.wrong_labels.any():
        tells = (roc_auc_score(tracked.wrong_teacher, mine[:, 1]), roc_auc_score(tracked.wrong_labels, -mine[:, 0]))
    return Agreement(
        correlations=_correlations(mine, full),
        smoothed=_correlations(_smoothed(mine), _smoothed(full)),
        offset=float(difference[0]),
        factor=float(np.exp(difference[1])),
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
        both(tells) if tells else None,
    )


def agreements(seeds: int, cache: pathlib.Path, cases: Sequence[Case] = CASES) -> dict[str, dict[str, Agreement]]:
    """Return every case's ways, by the case's name, as means over the seeds; print a line after each training."""
    result: dict[str, dict[str, Agreement]] = {}
    for case in cases:
        tracks = []
        for seed in range(seeds):
            tracks.append(track(case, seed, cache))
            print(f"{case}: seed {seed}, {len(tracks[-1].wrong_labels)} batches read", flush=True)
        result[str(case)] = {way: mean([compare(one, way) for one in tracks]) for way in tracks[0].readings}
    return result


def tracking(found: dict[str, dict[str, Agreement]]) -> list[str]:
    """Return Markdown: a row for each case and way."""
    head = ["training", "way", "correlation", "smoothed", "cosine off by", "norm ratio ×"]
    head.append("tells wrong teacher, labels")
    rows = []
    for case, ways in found.items():
        for way, a in ways.items():
            tells = "" if a.tells is None else _two(a.tells)
            factors = [f"{a.offset:+.2f}", f"{a.factor:.2f}"]
            rows.append([case, way, _two(a.correlations), _two(a.smoothed), *factors, tells])
    return scaffold.table(head, rows)


def _two(values: tuple[float, float]) -> str:
    return f"{values[0]:.2f}, {values[1]:.2f}"


def _smoothed(readings: Readings) -> Readings:
    means = [RunningMean(SMOOTHING) for _ in range(2)]
    return np.array([[mean.update(value) for mean, value in zip(means, row, strict=True)] for row in readings])


def _correlations(mine: Readings, full: Readings) -> tuple[float, float]:
    cosine, ratio = (float(np.corrcoef(mine[:, i], full[:, i])[0, 1]) for i in range(2))
    return cosine, ratio


class Row(NamedTuple):
    """A line of the guide: settings, the names that costs and readings give them, and when to take them."""

    settings: str
    cost: str
    measures: bool
    when: str


ROWS = (
    Row('`tier = "full"`', "full", True, "you need the reading that the formulas mean; the default"),
    Row(
        '`tier = "last_block"`',
        "last block",
        True,
        "you measure every step of a larger student, also with losses that are not on logits",
    ),
    Row(
        '`tier = "logit"`',
        "logit",
        True,
        "you measure every step at no cost: single batches with a wrong teacher or wrong labels; sharded students",
    ),
    Row(
        '`pair = "halves"`',
        "full, halves",
        True,
        "you need to know whether the losses conflict at all: a cosine without the noise that both share",
    ),
    Row('`tier = "last_block"`, `pair = "halves"`', "last block, halves", True, "you need the same, at every step"),
    Row("a rule of one λ a sample", "one λ a sample", False, "single pictures are wrong, not whole batches"),
)


def guide(costs: dict[str, dict[str, step.Cost]], found: dict[str, dict[str, Agreement]]) -> list[str]:
    """Return Markdown: one row for each way."""
    places = [str(step.CASES[place]) for place in (1, 3)]
    later = f"every {step.EVERY}th"
    head = [
        "settings",
        *(f"cost: {place}" for place in places),
        f"{later} step",
        "follows `full`: cosine",
        "norm ratio",
        "norm ratio is `full`'s ×",
        "tells wrong teacher, labels",
        "take it when",
    ]

    def cost(kind: str) -> list[str]:
        return [f"{statistics.median(costs[place][kind].ratios):.2f}" for place in places]

    rows = []
    for row in ROWS:
        amortised = " / ".join(cost(f"{row.cost}, {later}")) if row.measures else ""
        follows = _follows([ways[row.cost] for ways in found.values()]) if row.measures else [""] * 4
        rows.append([row.settings, *cost(row.cost), amortised, *follows, row.when])
    return scaffold.table(head, rows)


def _follows(agreements: Sequence[Agreement]) -> list[str]:
    tells = [a.tells for a in agreements if a.tells is not None]
    return [
        _range([a.correlations[0] for a in agreements]),
        _range([a.correlations[1] for a in agreements]),
        _range([a.factor for a in agreements]),
        f"{_range([one for one, _ in tells])}, {_range([other for _, other in tells])}",
    ]


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low}–{high}"


def _between_marks(text: str, mark: str, content: list[str]) -> str:
    """Return `text` with `content` between <!-- mark --> and <!-- /mark -->."""
    body = "\n".join(content)
    pattern = rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)"
    text, count = re.subn(pattern, lambda m: f"{m[1]}\n{body}\n\n{m[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"the file must have one pair of marks <!-- {mark} --> and <!-- /{mark} -->, but has {count}.")
    return text


def tiers(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Measure what the ways cost and how they follow `full`; return tables by mark."""
    costs = step.measure(arguments.rounds)
    found = agreements(arguments.seeds, arguments.cache)
    conditions = f"Measured on {step.conditions(arguments.rounds)}; trainings with {arguments.seeds} seeds."
    return {
        "guide": [*guide(costs, found), "", conditions],
        "costs": step.columns(costs),
        "tracking": tracking(found),
    }


def decisions(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Judge decisions under noise; return tables by mark and, if asked to write, write the means as CSV."""
    students = STUDENTS[arguments.students]
    costs = study.costs(students, arguments.rounds)
    found = study.study(students, range(arguments.seeds), arguments.cache, arguments.readings)
    if arguments.write is not None:
        write_csv(MEANS, found.verdicts)
    conditions = f"Costs measured on {step.conditions(arguments.rounds)}; trainings with {arguments.seeds} seeds."
    return {"noise": [*tables.in_full(found, costs), "", conditions], "settings": tables.by_noise(found)}


def main() -> None:
    """Measure, and print the tables or write them into a document."""
    options = scaffold.parser(__doc__, write=False)
    options.add_argument("--part", choices=("tiers", "noise"), default="tiers", help="what to measure [%(default)s]")
    options.add_argument("--write", type=pathlib.Path, metavar="FILE", help="a document with marks for the tables")
    options.add_argument("--rounds", type=int, default=9, help="timings of each kind of step")
    options.add_argument("--seeds", type=int, default=2, help="trainings of each case")
    options.add_argument("--students", choices=tuple(STUDENTS), default="main", help="noise: the pair of students")
    options.add_argument(
        "--readings", type=pathlib.Path, metavar="FOLDER", help="noise: keep readings, and use kept ones"
    )
    arguments = options.parse_args()
    torch.set_num_threads(1)
    parts = {"tiers": tiers, "noise": decisions}[arguments.part](arguments)
    if arguments.write is None:
        print(*(line for part in parts.values() for line in [*part, ""]), sep="\n")
        return
    text = arguments.write.read_text(encoding="utf-8")
    for mark, content in parts.items():
        text = _between_marks(text, mark, content)
    arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
