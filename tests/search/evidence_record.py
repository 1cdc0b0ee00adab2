"""Made-up confirmations from test scores, for tests of the conclusions."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.records.confirmation import ConfirmationRecord, Finalist, Role, SeedResult, SetScore
from search.records.facts import ConstantFacts
from trainables.records.objective import Objective
from trainables.records.sample_values import SampleValues

BRACKETED = ConstantFacts(bracketed=True)
ROLES: dict[float, Role] = {0.0: "labels_alone", 1.0: "teacher_alone"}


def rule(family: str, complexity: int = 2, search_score: float | None = None) -> Finalist:
    return Finalist(
        key=family,
        role="rule",
        family=family,
        parameters={},
        shared={"learning_rate": 0.01},
        rule=family,
        complexity=complexity,
        trial=None if search_score is None else 1,
        search_score=search_score,
    )


def constant(weight: float, learning_rate: float = 0.01, key: str = "", search_score: float | None = None) -> Finalist:
    return Finalist(
        key=key or f"fixed-{weight:g}",
        role=ROLES.get(weight, "constant"),
        family="fixed",
        parameters={"weight": weight},
        shared={"learning_rate": learning_rate},
        rule=f"λ = {weight:g}",
        complexity=1,
        trial=None if search_score is None else 2,
        search_score=search_score,
    )


def on_set(accuracy: float) -> SetScore:
    return SetScore(accuracy=accuracy, loss=0.5, calibration_error=0.02, agreement=0.9)


def confirmation(
    scores: Sequence[tuple[Finalist, Sequence[float | None]]],
    validation: Mapping[str, Sequence[float]] | None = None,
    test_size: int | None = 10_000,
    kpi: Objective | None = None,
    teacher: float | None = None,
    constant: ConstantFacts | None = BRACKETED,
    smallest_gain: float | None = None,
) -> ConfirmationRecord:
    """Return a confirmation of test scores by finalist and seed; None is a missing seed. Validation scores repeat them.

    `validation` gives other validation scores. With `kpi`, scores are values of the user's KPI and all accuracies are
    alike. Unless `constant` is given, the constant was bracketed, and validation scores say which one it is.
    """
    results = []
    for finalist, tested in scores:
        for seed, score in enumerate(tested):
            if score is None:
                continue
            validated = (validation or {}).get(finalist.key, tested)[seed]
            assert validated is not None
            results.append(
                SeedResult(
                    finalist=finalist.key,
                    seed=seed,
                    validation=on_set(validated if kpi is None else 0.5),
                    test=on_set(score if kpi is None else 0.5),
                    seconds=1.0,
                    own_kpis={} if kpi is None else {kpi.name: score},
                    validation_kpis={} if kpi is None else {kpi.name: validated},
                )
            )
    seeds = max(len(tested) for _, tested in scores)
    return ConfirmationRecord(
        search="made-up",
        seeds=tuple(range(seeds)),
        finalists=tuple(finalist for finalist, _ in scores),
        results=tuple(results),
        teacher=None if teacher is None else on_set(teacher),
        objective=kpi or Objective(),
        test_size=test_size,
        constant=constant,
        smallest_gain=smallest_gain,
        complete=len(results) == seeds * len(scores),
    )


def on_samples(
    right: Mapping[str, np.ndarray], finalists: Sequence[Finalist], **settings: object
) -> ConfirmationRecord:
    """Return accuracies from truth values [S, N] of each test sample by finalist."""
    scores = [(finalist, list(right[finalist.key].mean(axis=1))) for finalist in finalists]
    size = next(iter(right.values())).shape[1]
    record = confirmation(scores, test_size=size, **settings)  # type: ignore[arg-type]
    results = [
        result.model_copy(update={"samples": {"accuracy": SampleValues.of(right[result.finalist][result.seed])}})
        for result in record.results
    ]
    return record.model_copy(update={"results": tuple(results)})


def around(mean: float, *points: float) -> list[float | None]:
    """Return scores at these distances from a mean, in points of accuracy."""
    return [mean + point / 100.0 for point in points]
