"""The training that is analysed: a finished search's best rule, or the set-up of a file or recipe."""

import pytest

from search.analysis.run import analyze
from search.analysis.subject import find_subject
from search.errors import SearchError
from search.records.search import SearchRecord, TrialRecord
from search.store.folder import SearchStore
from tests.search.evidence_record import around, confirmation, constant, rule
from tests.search.tiny import QuietListener, tiny_config
from trainables.records.probes import ProbeSettings
from trainables.records.trial import TrialHistory


def trial(number, family, score, **more):
    values = {"trial_id": str(number), "number": number, "status": "finished", "family": family, "parameters": {}}
    values |= {"shared": {}, "rule": "", "complexity": 1, "history": TrialHistory(score=score)}
    return TrialRecord(**{**values, **more})


@pytest.fixture
def searched(launch, monkeypatch):
    """Make a search of the recipe's own name, `digits-quick`, with a status."""

    def make(status="finished", foundation=""):
        config = tiny_config("name=digits-quick")
        better = {"parameters": {"balance": 0.5}, "shared": {"learning_rate": 0.02, "temperature": 2.0}}
        trials = (trial(1, "fixed", 0.8, parameters={"weight": 0.9}), trial(2, "norm_balance", 0.9, **better))
        record = SearchRecord(
            name=config.name,
            config=config.model_dump(mode="json"),
            status=status,
            foundation=foundation,
            trials=trials if status == "finished" else trials[:0],
        )
        SearchStore(launch.storage, config.name).write_header(record, launch)
        monkeypatch.setattr("search.store.read_search", lambda _: record)
        return config

    return make


def test_a_recipe_is_analysed_at_the_constant_that_it_fixes(launch):
    subject = find_subject("fashion-mnist", launch, overrides=["training.epochs=3", "space.policies.fixed.weight=0.7"])
    assert (subject.trial.policy.family, subject.trial.policy.parameters) == ("fixed", {"weight": 0.7})
    assert subject.config.training.epochs == subject.trial.training.epochs == 3
    assert (subject.number, subject.foundation) == (None, None)


def test_a_search_comes_before_its_recipe_and_brings_its_best_trials_settings(searched, launch):
    searched(foundation="abc")
    subject = find_subject("digits-quick", launch)
    assert (subject.number, subject.foundation) == (2, "abc")
    assert subject.trial.policy.family == "norm_balance"
    assert subject.trial.policy.parameters == {"balance": 0.5}
    assert (subject.trial.training.learning_rate, subject.trial.temperature) == (0.02, 2.0)
    assert subject.trial.training.epochs == 6


def confirmed(*constants):
    """Return a confirmation in which the best constant beats the search's best rule; constants are (λ, trial)."""
    balance = rule("norm_balance").model_copy(update={"trial": 2})
    finalists = [constant(weight).model_copy(update={"trial": trial}) for weight, trial in constants]
    scores = [(finalist, around(0.9, 0.1, -0.1, 0.2)) for finalist in finalists]
    return confirmation([(balance, around(0.7, 0.2, -0.1, 0.1)), *scores])


def test_a_confirmed_search_is_analysed_by_what_its_confirmation_recommends(searched, launch, monkeypatch):
    searched()
    monkeypatch.setattr("search.confirm.recommended.read_confirmation", lambda _: confirmed((0.9, 1)))
    subject = find_subject("digits-quick", launch)
    assert (subject.number, subject.trial.policy.family) == (1, "fixed")
    assert subject.trial.policy.parameters == {"weight": 0.9}
    assert subject.words == "trial 1 of the search digits-quick, confirmed; the search alone had trial 2 first"


def test_a_confirmed_constant_that_no_trial_had_is_analysed_with_its_own_settings(searched, launch, monkeypatch):
    searched()
    monkeypatch.setattr("search.confirm.recommended.read_confirmation", lambda _: confirmed((0.4, None)))
    subject = find_subject("digits-quick", launch)
    assert (subject.number, subject.trial.policy.parameters) == (None, {"weight": 0.4})
    assert subject.trial.training.learning_rate == 0.01
    assert subject.words.startswith("λ = 0.4 of the search digits-quick, confirmed")


def test_a_confirmation_that_is_not_finished_recommends_nothing(searched, launch, monkeypatch):
    searched()
    record = confirmed((0.9, 1))
    begun = record.model_copy(update={"results": record.results[:-1], "complete": False})
    monkeypatch.setattr("search.confirm.recommended.read_confirmation", lambda _: begun)
    subject = find_subject("digits-quick", launch)
    assert subject.words == "trial 2 of the search digits-quick, the best"


def test_what_cannot_be_analysed_is_told(searched, launch):
    searched()
    with pytest.raises(SearchError, match="`--set` changes a file or a recipe"):
        find_subject("digits-quick", launch, overrides=["training.epochs=3"])
    searched(status="stopped")
    with pytest.raises(SearchError, match="must have finished .* kd-search resume digits-quick"):
        find_subject("digits-quick", launch)


def test_a_search_on_other_data_or_with_another_teacher_is_refused(searched, launch):
    searched(foundation="of other data")
    subject = find_subject("digits-quick", launch)
    with pytest.raises(SearchError, match="other data or another teacher"):
        analyze(subject, launch, QuietListener(), seeds=1, probing=ProbeSettings(probes=1))
