"""Made-up searches from formulas: six families of eight trials whose curves need no training."""

from __future__ import annotations

import datetime
import math
import pathlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from policies.document import policy_document
from policies.geometry import Geometry
from policies.policy import Observation, Policy
from policies.registry import create_policy
from search.evidence.source import ReportSource
from search.records.confirmation import ConfirmationRecord, Finalist
from search.records.search import SearchRecord, TrialRecord
from search.report.files import write_report
from tests.search.evidence_record import confirmation, constant, rule
from trainables.records.figures import ModelFigures
from trainables.records.trial import EpochRecord, ReplicateResult, TracePoint, TrialHistory

FAMILIES = ("fixed", "cosine_schedule", "step_schedule", "cosine_threshold", "norm_ratio_threshold", "norm_balance")
START = datetime.datetime(2025, 5, 1, 9, 0, tzinfo=datetime.UTC)
CONFIG: dict[str, Any] = {
    "name": "example",
    "families": FAMILIES,
    "trials_per_family": 8,
    "replicates": 3,
    "seed": 0,
    "data": {"name": "fashion-mnist", "train_size": 2000, "validation_size": 5000, "root": None},
    "teacher": {"model": {"name": "resnet", "options": {"widths": [32, 64, 128]}}, "training": {"epochs": 30}},
    "student": {"name": "cnn", "options": {"widths": [16, 32, 64]}},
    "training": {"epochs": 30, "batch_size": 64, "optimizer": "adamw", "schedule": "one_cycle"},
    "temperature": 4.0,
}

MakeTrial = Callable[..., TrialRecord]
MakeSearch = Callable[..., SearchRecord]


def build_trial(
    number: int,
    family: str = "fixed",
    scores: tuple[float, ...] = (0.80, 0.81, 0.82),
    *,
    parameters: dict[str, float | str] | None = None,
    learning_rate: float = 0.01,
    temperature: float = 4.0,
    status: str = "finished",
    error: str | None = None,
    seeds: tuple[int, ...] | None = None,
    complexity: int | None = None,
    curves: bool = False,
    rule: str | None = None,
) -> TrialRecord:
    """Return one trial; `scores` are its accuracies by seed."""
    policy = create_policy(family, parameters)
    mean = sum(scores) / len(scores)
    std = math.sqrt(sum((s - mean) ** 2 for s in scores) / (len(scores) - 1)) if len(scores) > 1 else None
    done = status in ("finished", "eliminated")
    history = TrialHistory(
        score=mean if done else None,
        score_std=std if done else None,
        epochs=_epochs(mean, number) if curves else (),
        trace=_trace(policy, number) if curves else (),
        decisions=1 if curves else 0,
        replicates=tuple(
            ReplicateResult(seed=seed, validation_accuracy=score, validation_loss=0.5, agreement=0.9)
            for seed, score in zip(seeds or range(len(scores)), scores, strict=True)
        )
        if done
        else (),
        policy=policy_document(policy, temperature=temperature) if done else {},
        parameters=24_000,
        training_seconds=30.0 if done else 0.0,
        device="cpu",
    )
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        status=status,  # type: ignore[arg-type]
        family=family,
        parameters=policy.values(),
        shared={"learning_rate": learning_rate, "temperature": temperature},
        rule=policy.rule() if rule is None else rule,
        complexity=policy.complexity if complexity is None else complexity,
        started=START + datetime.timedelta(seconds=20 * number),
        ended=START + datetime.timedelta(seconds=20 * number + 35) if done else None,
        error=error,
        history=history,
    )


def build_search(*trials: TrialRecord, **changes: Any) -> SearchRecord:
    """Return a finished search of these trials."""
    values: dict[str, Any] = {
        "name": "example",
        "config": CONFIG,
        "teacher_accuracy": 0.924,
        "teacher_parameters": 308_000,
        "created": START,
        "status": "finished",
        "trials": trials,
    }
    return SearchRecord(**{**values, **changes})


def build_full_search(per_family: int = 8, seed: int = 0) -> SearchRecord:
    """Return a search of six families: rules with gradients pay, the learning rate matters, one trial failed."""
    rng = random.Random(seed)
    trials = []
    for place in range(per_family):
        for family in FAMILIES:
            number = len(trials) + 1
            parameters = _draw_parameters(rng, family, place)
            learning_rate = 10 ** rng.uniform(-3, -1.3)
            base = 0.838 - 0.02 * (math.log10(learning_rate) + 1.9) ** 2 + _worth(family, parameters)
            scores = tuple(base + common + rng.gauss(0, 0.0015) for common in (-0.004, 0.001, 0.003))
            failed = number == 23
            trials.append(
                build_trial(
                    number,
                    family,
                    scores,
                    parameters=parameters,
                    learning_rate=learning_rate,
                    temperature=rng.choice((2.0, 4.0, 8.0)),
                    status="failed" if failed else "finished",
                    error="RuntimeError: the loss of seed 1 is not finite at step 412" if failed else None,
                    curves=not failed,
                )
            )
    return build_search(*trials)


def _draw_parameters(rng: random.Random, family: str, place: int) -> dict[str, Any]:
    declared = create_policy(family).parameters()
    if family == "fixed" and place < 4:
        return {"weight": (0.9, 0.0, 0.5, 1.0)[place]}
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        if parameter.searched and parameter.kind != "choice":
            low, high = parameter.search
            draw = rng.random()
            values[name] = low * (high / low) ** draw if parameter.log else low + (high - low) * draw
    return values


def _worth(family: str, parameters: dict[str, Any]) -> float:
    if family == "fixed":
        return 0.01 - 0.09 * (parameters["weight"] - 0.45) ** 2
    if family == "norm_ratio_threshold":
        return 0.03 - 0.04 * (parameters["above"]) ** 2 - 0.01 * math.log(parameters["threshold"] / 4) ** 2
    if family == "norm_balance":
        return 0.018 - 0.008 * math.log(parameters["balance"]) ** 2
    return 0.004 - 0.02 * sum(value for value in list(parameters.values())[:1])


def _epochs(final: float, number: int) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            epoch=epoch,
            train_task_loss=2.0 * math.exp(-epoch / 9),
            train_distill_loss=3.0 * math.exp(-epoch / 9),
            validation_loss=1.5 * math.exp(-epoch / 12),
            validation_accuracy=final * (1 - 0.55 * math.exp(-epoch / 3.2)) + 0.002 * math.sin(epoch + number),
            agreement=0.9,
            weight=0.5,
            seconds=1.0,
        )
        for epoch in range(1, 31)
    )


def _trace(policy: Policy, number: int) -> tuple[TracePoint, ...]:
    points = []
    for step in range(50):
        progress = step / 50
        noise = math.sin(7.3 * step + number)
        ratio = 2.2 * math.exp(1.1 * progress + 0.25 * noise)
        cosine = 0.75 - 0.7 * progress + 0.08 * noise
        geometry = Geometry(distill_sq=ratio**2, task_sq=1.0, inner=cosine * ratio)
        decision = policy.decide(Observation(step=step, progress=progress, geometry=geometry))
        points.append(
            TracePoint(
                step=19 * step,
                epoch=30 * progress,
                weight=decision.weight,
                scale=1.0,
                cosine=cosine,
                norm_ratio=ratio,
                task_loss=1.0,
                distill_loss=1.0,
            )
        )
    return tuple(points)


SEEDS = 10
FIGURES = ModelFigures(
    parameters=24_000,
    flops=1_250_000,
    file_bytes=98_000,
    latency={"cpu": {"p50_ms": 0.2, "p95_ms": 0.31, "pictures_per_second": 41_237.0, "batch": 64.0, "runs": 900.0}},
    device_names={"cpu": "Some Processor, 1 thread"},
)


def build_confirmation(
    search: SearchRecord, gain: float, *, complete: bool = True, noise: float = 0.0015
) -> ConfirmationRecord:
    """Confirm three families' best rules and four constants on fresh seeds; `norm_ratio_threshold` leads by `gain`.

    The best constant, λ = 0.45, is one that the search has not tried. Every seed has a trace with its own λ and cosine.
    """
    rng = random.Random(7)
    common = [rng.gauss(0, 0.004) for _ in range(SEEDS)]

    def scores(mean: float, *, last: bool = True) -> list[float | None]:
        found: list[float | None] = [mean + shared + rng.gauss(0, noise) for shared in common]
        return found if last else [*found[:-1], None]

    entries = [
        (of_trial(search, "norm_ratio_threshold"), scores(0.84 + gain, last=complete)),
        (of_trial(search, "norm_balance"), scores(0.836)),
        (of_trial(search, "cosine_threshold"), scores(0.835)),
        (constant(0.45), scores(0.84)),
        (constant(0.9), scores(0.835)),
        (constant(0.0), scores(0.81)),
        (constant(1.0), scores(0.82)),
    ]
    record = confirmation(entries, teacher=0.924)
    results = tuple(
        result.model_copy(update={"trace": _seed_trace(result.seed), "seconds": 2.0, "began": 1_000.0 + 1.5 * place})
        for place, result in enumerate(record.results)
    )
    teacher = FIGURES.model_copy(update={"parameters": 308_000, "flops": 12_500_000})
    return record.model_copy(
        update={
            "search": search.name,
            "results": results,
            "teacher_figures": teacher,
            "student_figures": FIGURES,
            "settings": {"seeds_asked": [SEEDS]},
        }
    )


def of_trial(search: SearchRecord, family: str) -> Finalist:
    """Return the best trial of a family as a finalist."""
    trial = next(trial for trial in search.finished if trial.family == family)
    return rule(family, trial.complexity, trial.score).model_copy(
        update={"parameters": trial.parameters, "shared": trial.shared, "rule": trial.rule, "trial": trial.number}
    )


def _seed_trace(seed: int) -> tuple[TracePoint, ...]:
    return tuple(
        TracePoint(
            step=20 * place,
            epoch=float(place),
            weight=0.5 + 0.01 * seed,
            scale=1.0,
            cosine=0.3 - 0.02 * place + 0.01 * seed,
            norm_ratio=2.0,
            task_loss=1.0,
            distill_loss=1.0,
        )
        for place in range(12)
    )


@pytest.fixture
def trial() -> MakeTrial:
    return build_trial


@pytest.fixture
def make_search() -> MakeSearch:
    return build_search


@pytest.fixture(scope="session")
def full_search() -> SearchRecord:
    return build_full_search()


@pytest.fixture(scope="session")
def searched(full_search) -> ReportSource:
    """A search that is not confirmed."""
    return ReportSource(search=full_search)


@pytest.fixture(scope="session")
def with_winner(full_search) -> ReportSource:
    """A confirmation with a planted gain of two points."""
    return ReportSource(search=full_search, confirmation=build_confirmation(full_search, 0.02))


@pytest.fixture(scope="session")
def without_winner(full_search) -> ReportSource:
    """A confirmation in which no rule is better than the best constant."""
    return ReportSource(search=full_search, confirmation=build_confirmation(full_search, 0.0))


@pytest.fixture(scope="session")
def begun(full_search) -> ReportSource:
    """A confirmation that lacks one training."""
    return ReportSource(search=full_search, confirmation=build_confirmation(full_search, 0.02, complete=False))


@pytest.fixture(scope="session")
def written(searched, with_winner, without_winner, tmp_path_factory) -> dict[str, pathlib.Path]:
    """Write three reports, which takes seconds each; return their folders."""
    folder = tmp_path_factory.mktemp("reports")
    sources = {"searched": searched, "with_winner": with_winner, "without_winner": without_winner}
    return {name: write_report(source, folder / name / "report").parent for name, source in sources.items()}
