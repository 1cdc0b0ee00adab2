import math

import pytest

from search.evidence.conduct.health import examine
from search.records.pictures import PictureCounts
from search.records.search import SearchRecord, TrialRecord
from tests.search.tiny import tiny_config
from trainables.records.objective import Objective
from trainables.records.trial import EpochRecord, ReplicateResult, TrialHistory

PICTURES = PictureCounts(
    train=1000, pool=1000, validation=400, test=400, classes=10, shape=(8, 8, 1), largest_share=0.12
)
LEVEL = [0.3, 0.6, 0.7, *[0.80 + 0.002 * (-1) ** i for i in range(12)]]
RISING = [0.3 + 0.03 * i for i in range(15)]
FALLEN = [*[0.3 + 0.1 * i for i in range(6)], *[0.8 - 0.01 * i for i in range(9)]]


def history(*accuracies, curve=(), loss=0.5, alarms=0, kpi=None):
    return TrialHistory(
        score=sum(accuracies) / len(accuracies),
        epochs=tuple(
            EpochRecord(
                epoch=2 * i, train_task_loss=1.0, train_distill_loss=1.0, validation_loss=1.0,
                validation_accuracy=score,
                agreement=0.5, weight=0.5, seconds=1.0, own_kpis={} if kpi is None else {kpi: score},
            )
            for i, score in enumerate(curve, start=1)
        ),
        replicates=tuple(
            ReplicateResult(seed=seed, validation_accuracy=score, validation_loss=loss, agreement=0.5)
            for seed, score in enumerate(accuracies)
        ),
        interventions={"the training diverges": alarms} if alarms else {},
    )  # fmt: skip


def search(*histories, pictures=PICTURES, objective=None):
    config = tiny_config()
    trials = tuple(
        TrialRecord(
            trial_id=str(number), number=number, status="finished", family="norm_balance", parameters={},
            shared={"learning_rate": 0.01}, rule="", complexity=2, history=told,
        )
        for number, told in enumerate(histories, start=1)
    )  # fmt: skip
    if objective is not None:
        config = config.model_copy(update={"objective": objective.name, "direction": objective.direction})
    return SearchRecord(name="tiny", config=config, pictures=pictures, trials=trials)


def kinds(health):
    return {number: finding.kind for number, finding in health.trials.items()}


def test_trainings_that_are_well_have_no_findings():
    health = examine(search(*[history(0.80 + i / 100, 0.81, curve=LEVEL) for i in range(4)]))
    assert (health.trials, health.overall) == ({}, ())


def test_students_at_chance_beside_others_that_learned_are_marked():
    health = examine(search(history(0.80, 0.81), history(0.10, 0.14), history(0.82, 0.10)))
    assert list(health.trials) == [2, 3]
    assert health.trials[2].text == (
        "no student is right on more pictures than always naming one class would be (12.00 %), though others learned"
    )
    assert health.trials[3].text.startswith("with seed 1 the student is not right on more pictures than")
    patients = PICTURES.model_copy(update={"unit": "patients"})
    health = examine(search(history(0.80, 0.81), history(0.10, 0.14), pictures=patients))
    assert health.trials[2].text.startswith("no student is right on more patients than")


def test_the_margin_of_chance_is_that_of_the_validation_pictures():
    bound = 0.12 + 3 * math.sqrt(0.12 * 0.88 / 400)
    assert list(examine(search(history(0.8), history(bound - 0.001))).trials) == [2]
    assert not examine(search(history(0.8), history(bound + 0.001))).trials


@pytest.mark.parametrize(
    "lost", [history(0.1, loss=1e9), history(0.1, alarms=1), history(0.1, curve=[0.5, 0.6, 0.1, 0.1])]
)
def test_a_training_that_came_to_grief_is_told_with_its_learning_rate(lost):
    found = examine(search(history(0.8), lost)).trials[2]
    assert found.kind == "diverged"
    assert "learning rate 0.01 is too high" in found.text


def test_where_nobody_learned_it_is_told_once():
    health = examine(search(history(0.1), history(0.13)))
    assert health.trials == {}
    assert [finding.kind for finding in health.overall] == ["nobody_learned"]
    assert "(12.00 %)" in health.overall[0].text


def test_equal_scores_are_told():
    health = examine(search(history(0.8), history(0.8), history(0.8)))
    assert [finding.kind for finding in health.overall] == ["all_equal"]
    assert health.overall[0].text == "all 3 trials have the same score, 80.00 %, so none can be preferred"
    assert examine(search(history(0.8))).overall == ()


def test_rising_and_falling_scores_are_told_for_constants_and_rules_alike():
    health = examine(
        search(
            history(0.80, curve=LEVEL),
            history(0.72, curve=RISING),
            history(0.71, curve=FALLEN),
            history(0.79, curve=LEVEL),
            history(0.81, curve=LEVEL),
        )
    )
    assert kinds(health) == {2: "rising", 3: "fallen"}
    assert health.trials[2].text.startswith(
        "the validation score still rose at the end, by 9.00 points from epoch 24 to 30"
    )
    assert "from its peak at epoch 14 to epoch 30" in health.trials[3].text


def test_a_kpi_of_which_less_is_better_rises_where_it_falls():
    objective = Objective(name="cost", direction="minimize")
    falling = [-score for score in RISING]
    level = [-score for score in LEVEL]
    health = examine(
        search(
            *[history(0.8, curve=level, kpi="cost") for _ in range(3)], history(0.8, curve=falling, kpi="cost"),
            objective=objective,
        )
    )  # fmt: skip
    assert kinds(health) == {4: "rising"}


def test_under_a_kpi_of_ones_own_accuracy_at_chance_is_no_fault_while_the_loss_is_below_guessing():
    cost, learned = Objective(name="cost", direction="minimize"), history(0.8, kpi="cost")
    assert examine(search(learned, history(0.1, loss=2.2, kpi="cost"), objective=cost)).trials == {}
    assert kinds(examine(search(learned, history(0.1, loss=2.4, kpi="cost"), objective=cost))) == {2: "learned_nothing"}
    assert kinds(examine(search(learned, history(0.1, loss=2.2)))) == {2: "learned_nothing"}


def test_a_search_whose_pictures_were_not_counted_is_looked_at_for_the_rest():
    health = examine(search(history(0.1, curve=LEVEL), *[history(0.8, curve=LEVEL)] * 3, pictures=None))
    assert health.trials == {}
