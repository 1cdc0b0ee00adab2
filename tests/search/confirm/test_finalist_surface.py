"""The constants that a search with a surface confirms, from planted curves."""

import math

import numpy as np
import pytest

from policies.registry import create_policy
from search.confirm.finalists import choose_finalists
from search.records.search import SearchRecord, TrialRecord
from search.settings.confirmation import ConfirmationSettings
from tests.search.tiny import tiny_config
from trainables.records.trial import ReplicateResult, TrialHistory

CONFIG = tiny_config(
    'families=["fixed", "norm_balance", "step_schedule"]',
    "space.learning_rate={ low = 1e-3, high = 1e-1, log = true }",
    "space.temperature=4.0",
)
DENSE = (0.0, 0.05, 0.15, 0.25, 0.3, 0.35, 0.38, 0.4, 0.42, 0.45, 0.5, 0.55, 0.7, 0.85, 0.95, 1.0)


def accuracy(weight, rate):
    """Return an accuracy that is best at λ = .4 and a rate of .01; at higher rates a larger λ is best."""
    apart = math.log10(rate / 0.01)
    return 0.8 - 0.5 * (weight - 0.4 - 0.2 * apart) ** 2 - 0.04 * apart**2


def trial(number, family, parameters, rate, score, rng, seeds=(0, 1)):
    policy = create_policy(family, parameters)
    replicates = tuple(
        ReplicateResult(
            seed=s, validation_accuracy=score + 3e-3 * rng.standard_normal(), validation_loss=1.0, agreement=0.9
        )
        for s in seeds
    )
    mean = float(np.mean([replicate.validation_accuracy for replicate in replicates]))
    return TrialRecord(
        trial_id=f"t{number}",
        number=number,
        status="finished",
        family=family,
        parameters=policy.values(),
        shared={"learning_rate": rate, "temperature": 4.0},
        rule=policy.rule(),
        complexity=policy.complexity,
        history=TrialHistory(score=mean, replicates=replicates),
    )


@pytest.fixture(scope="module")
def searched():
    rng = np.random.default_rng(0)
    points = [(weight, rate) for rate in (0.003, 0.01, 0.03) for weight in DENSE]
    trials = [trial(n, "fixed", {"weight": w}, r, accuracy(w, r), rng) for n, (w, r) in enumerate(points, start=1)]
    trials.append(trial(90, "norm_balance", {}, 0.03, 0.81, rng))
    trials.append(trial(91, "step_schedule", {}, 0.03, 0.805, rng))
    return SearchRecord(name="planted", config=CONFIG.model_dump(mode="json"), status="finished", trials=tuple(trials))


@pytest.fixture(scope="module")
def selection(searched):
    return choose_finalists(searched, CONFIG, ConfirmationSettings())


def test_the_chosen_constant_is_the_peak_of_the_surface(selection):
    chosen = next(f for f in selection.finalists if f.key == selection.constant.chosen)
    assert chosen.parameters["weight"] == pytest.approx(0.4, abs=0.2)
    assert chosen.shared == {"learning_rate": 0.01, "temperature": 4.0}
    assert set(selection.constant.rivals) <= {f.key for f in selection.finalists}
    assert selection.constant.bracketed == (not selection.constant.reason)


def test_labels_alone_and_teacher_alone_have_their_own_best_learning_rate(selection):
    alone = {f.role: f for f in reversed(selection.finalists) if f.role in ("labels_alone", "teacher_alone")}
    assert alone["labels_alone"].shared["learning_rate"] < 0.01
    assert alone["teacher_alone"].shared["learning_rate"] > 0.01


def test_labels_alone_that_are_not_tuned_are_also_trained_at_the_chosen_constants_settings(selection):
    """A gain of the learning rate at which the labels alone were not tried would be taken for the teacher's."""
    chosen = next(f for f in selection.finalists if f.key == selection.constant.chosen)
    equal = next(f for f in selection.finalists if f.key == "fixed-0-at-best")
    assert (equal.role, equal.shared) == ("labels_alone", chosen.shared)


def test_one_constant_is_at_the_rules_settings_with_the_weight_that_is_best_there(selection):
    (equal,) = [
        f for f in selection.finalists if "-at-" in f.key and f.role == "constant"
    ]  # both rules have the same settings
    assert equal.key.endswith("-at-norm_balance")
    assert equal.shared["learning_rate"] == 0.03
    assert equal.parameters["weight"] == pytest.approx(0.4 + 0.2 * math.log10(3), abs=0.2)


def test_a_dense_search_over_the_weight_alone_is_bracketed():
    rng = np.random.default_rng(1)
    config = tiny_config('families=["fixed", "norm_balance"]', "space.learning_rate=0.01", "space.temperature=4.0")
    trials = [trial(n, "fixed", {"weight": w}, 0.01, accuracy(w, 0.01), rng) for n, w in enumerate(DENSE, start=1)]
    trials.append(trial(90, "norm_balance", {}, 0.01, 0.81, rng))
    search = SearchRecord(
        name="planted", config=config.model_dump(mode="json"), status="finished", trials=tuple(trials)
    )
    selection = choose_finalists(search, config, ConfirmationSettings())
    assert (selection.constant.bracketed, selection.constant.reason) == (True, "")
    assert len({f.key for f in selection.finalists}) == len(selection.finalists)


def test_a_sparse_search_is_not_bracketed_and_says_why(searched):
    few = [t for t in searched.trials if t.family != "fixed" or t.parameters["weight"] in (0.0, 0.5, 1.0)]
    facts = choose_finalists(
        searched.model_copy(update={"trials": tuple(few)}), CONFIG, ConfirmationSettings()
    ).constant
    assert not facts.bracketed
    assert "were not tried closely enough" in facts.reason
