"""Trains known rules on data that cannot be trusted, beside an oracle that knows what is broken.

    python benchmarks/unreliable.py unreliable-batches --seeds 3
    python benchmarks/unreliable.py unreliable-samples --seeds 3 --test

RECIPE must have a `[corruption]`. Every rule trains the recipe's student at one learning rate and temperature, once a
seed, on the same broken data. The table gives the accuracy on whole pictures: mean ± standard deviation over the seeds.
It also gives the lead over the best constant λ, paired by seed, and that lead as a share of the oracle's. The best
constant is the best one on the validation pictures, also if the test set is shown.

Nothing is searched here: the rules are fixed beforehand, so `--test` shows the test set without having selected on it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import scaffold
import torch

from policies.balancer import LossBalancer
from policies.parameter import Value, real
from policies.sample import SampleObservation, SamplePolicy
from search.settings import load_config
from trainables.config import PolicySettings, TrialSettings
from trainables.device import Compute, select_compute
from trainables.pictures import Dataset, TrialAssets
from trainables.teacher import Teacher, compute_logits
from trainables.training import Batch, DeviceAssets, Distillation, Replicate

if TYPE_CHECKING:
    from torch import Tensor

CONSTANTS = (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)
ORACLES = (0.25, 0.5, 0.9, 1.0)
"""λ of the oracle where nothing is broken; its best one is what a rule's lead is compared with."""


class Rule(NamedTuple):
    """A row of the table: a policy, or the oracle with this λ where nothing is broken."""

    name: str
    policy: PolicySettings | None = None
    oracle: float | None = None


class Outcome(NamedTuple):
    """Accuracies by seed, in [0, 1]; of the test set only if it was asked for."""

    validation: list[float]
    test: list[float]
    weight: float
    """Mean λ over the training."""
    seconds: float


@dataclasses.dataclass(kw_only=True, eq=False)
class Oracle(SamplePolicy):
    """λ = 0 where the teacher's output is another picture's, 1 where the label is, `elsewhere` where neither is."""

    family: ClassVar[str] = "oracle"
    source: ClassVar[str] = "told what is broken"

    elsewhere: float = real(0.9, low=0.0, high=1.0, meaning="λ where nothing is broken")

    def told(self, batch: Batch) -> None:
        """Note what is broken in the batch whose weights are asked for next."""
        self._teacher_broken = batch.target_sources != batch.pictures
        self._label_broken = batch.label_sources != batch.pictures

    def weights(self, samples: SampleObservation) -> Tensor:
        weights = torch.full_like(samples.cosine, self.elsewhere)
        return weights.masked_fill(self._label_broken, 1.0).masked_fill(self._teacher_broken, 0.0)

    def rule(self) -> str:
        return f"λ = 0 where the teacher is wrong, 1 where the label is, else {self.elsewhere:.3g}."

    @property
    def complexity(self) -> int:
        return 1


class OracleReplicate(Replicate):
    """A replicate that shows its policy each batch before the policy must weigh it."""

    def __init__(self, settings: TrialSettings, seed: int, data: DeviceAssets, elsewhere: float) -> None:
        super().__init__(settings, seed, data, data.augmentation(settings.augmentation))
        self.oracle = Oracle(elsewhere=elsewhere)
        self.balancer = LossBalancer(
            self.oracle, self.student, total_steps=self.total_steps, temperature=settings.temperature
        )

    def batches(self) -> Iterator[Batch]:
        for batch in super().batches():
            self.oracle.told(batch)
            yield batch


def rules() -> list[Rule]:
    """Return the rows: constants, rules that look at every batch or at every sample, and the oracle."""

    def rule(name: str, family: str, **parameters: Value) -> Rule:
        return Rule(name, PolicySettings(family=family, parameters=parameters))

    every_batch: dict[str, Value] = {"measure_every": 1, "smoothing": 0.0}
    hard: dict[str, Value] = {**every_batch, "hysteresis": 0.0}
    rows = [rule(f"λ = {weight:g}", "fixed", weight=weight) for weight in CONSTANTS]
    rows += [
        rule("cosine > 0: 0.9, else 0", "cosine_threshold", threshold=0.0, above=0.9, below=0.0, **hard),
        rule("r > 4: 0, else 0.9", "norm_ratio_threshold", threshold=4.0, above=0.0, below=0.9, **hard),
        rule("1/(1 + r)", "norm_balance", **every_batch),
        rule("by sample, r > 2: 0, else 0.9", "sample_norm_ratio_threshold", threshold=2.0, above=0.0, below=0.9),
        rule("by sample, 1/(1 + r)", "sample_norm_balance"),
    ]
    return rows + [Rule(f"oracle, λ = {weight:g} where whole", oracle=weight) for weight in ORACLES]


class Bench:
    """The data that every trial reads, on its device, in each worker's process."""

    def __init__(self, assets: TrialAssets, test: TrialAssets | None, base: TrialSettings, compute: Compute) -> None:
        self.base = base
        self.data = DeviceAssets(assets, compute)
        self.test = None if test is None else DeviceAssets(test, compute)

    def outcome(self, rule: Rule) -> Outcome:
        """Train under a rule, once a seed."""
        began = time.perf_counter()
        settings = self.base if rule.policy is None else self.base.model_copy(update={"policy": rule.policy})
        if rule.oracle is not None:  # the oracle is shown the batches of each replicate by itself
            settings = settings.model_copy(
                update={"device": settings.device.model_copy(update={"replicates": "apart"})}
            )
        trial = Distillation(settings, self.data)
        if rule.oracle is not None:
            trial.replicates = [OracleReplicate(settings, s, self.data, rule.oracle) for s in settings.seeds]
        (record,) = [record for record in trial.records() if record is not None]
        validation = [result.validation_accuracy for result in trial.results]
        test = []
        if self.test is not None:
            for replicate in trial.replicates:
                replicate.data = self.test
                test.append(replicate.evaluate().scores.accuracy)
        return Outcome(validation, test, record.weight, time.perf_counter() - began)


_bench: Bench | None = None


def begin_worker(assets: TrialAssets, test: TrialAssets | None, base: TrialSettings, compute: Compute) -> None:
    """Set up a worker's process; called once in each."""
    global _bench
    torch.set_num_threads(1)
    _bench = Bench(assets, test, base, compute)


def run_rule(rule: Rule) -> Outcome:
    """Train one row, in a worker's process."""
    assert _bench is not None
    return _bench.outcome(rule)


def with_test_set(dataset: Dataset, teacher: Teacher, assets: TrialAssets, compute: Compute) -> TrialAssets:
    """Return the same with the test set in place of the validation pictures."""
    targets = compute_logits(teacher.module, dataset.test.images, dataset, compute.device)
    return dataclasses.replace(assets, validation=dataset.test, validation_targets=targets)


def table(outcomes: list[tuple[Rule, Outcome]], column: str) -> list[str]:
    """Return the rows for the validation pictures or the test set."""
    # Both references are chosen on the validation pictures, whatever is shown.
    best = chosen(o for rule, o in outcomes if rule.policy is not None and rule.policy.family == "fixed")
    oracle = chosen(o for rule, o in outcomes if rule.oracle is not None)
    rows = []
    for rule, outcome in outcomes:
        lead, share = "", ""
        if outcome is best:
            lead = "the best constant"
        elif best is not None:
            lead = spread(leads(outcome, best, column), sign="+")
            if oracle is not None:
                whole = statistics.fmean(leads(oracle, best, column))
                share = f"{statistics.fmean(leads(outcome, best, column)) / whole:.0%}" if whole > 0 else ""
        accuracies = spread(getattr(outcome, column))
        rows.append([rule.name, accuracies, lead, share, f"{outcome.weight:.2f}", f"{outcome.seconds:.1f}"])
    head = ["rule", f"{column} accuracy, %", "against the best constant, points", "of the oracle's lead", "mean λ", "s"]
    return scaffold.table(head, rows)


def chosen(outcomes: Iterable[Outcome]) -> Outcome | None:
    """Return the outcome that is best on the validation pictures."""
    return max(outcomes, key=lambda outcome: statistics.fmean(outcome.validation), default=None)


def leads(outcome: Outcome, other: Outcome, column: str) -> list[float]:
    """Return the differences seed by seed."""
    return [a - b for a, b in zip(getattr(outcome, column), getattr(other, column), strict=True)]


def spread(values: list[float], sign: str = "") -> str:
    """Return mean ± standard deviation, in percent."""
    text = f"{100 * statistics.fmean(values):{sign}.2f}"
    return f"{text} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else text


def main() -> None:
    """Train, and print the tables."""
    options = scaffold.parser(__doc__, write=False)
    options.add_argument("recipe", help="a recipe's name or a search file")
    options.add_argument("--seeds", type=int, default=3, help="trainings a rule")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    options.add_argument("--rules", help="only the rows whose name contains one of these, separated by commas")
    options.add_argument("--workers", type=int, default=os.cpu_count(), help="processes, one thread each")
    options.add_argument("--test", action="store_true", help="show the test set too")
    arguments = options.parse_args()

    overrides = [*arguments.set, f"replicates={arguments.seeds}", "evaluations=1", "trace_points=2"]
    config = load_config(arguments.recipe, overrides)
    if config.corruption is None:
        options.error(f"{arguments.recipe} has no [corruption]")
    wanted = (arguments.rules or "").split(",")
    rows = [rule for rule in rules() if any(part in rule.name for part in wanted)]
    torch.set_num_threads(1)
    compute = select_compute(config.device)
    dataset, teacher, assets = scaffold.prepare(config, arguments.cache)
    test = with_test_set(dataset, teacher, assets, compute) if arguments.test else None
    with concurrent.futures.ProcessPoolExecutor(
        arguments.workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin_worker,
        initargs=(assets, test, config.base_trial(), compute),
    ) as pool:
        outcomes = list(zip(rows, pool.map(run_rule, rows), strict=True))
    print(
        f"\n{config.name}: {arguments.seeds} seeds, learning rate {config.training.learning_rate:g},"
        f" T = {config.temperature:g}, {config.training.epochs} epochs, teacher {100 * assets.teacher_accuracy:.1f} %"
    )
    for column in ("validation", "test") if arguments.test else ("validation",):
        print("", *table(outcomes, column), sep="\n")


if __name__ == "__main__":
    main()
