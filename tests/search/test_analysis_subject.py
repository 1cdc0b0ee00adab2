"""Which training is analysed: a finished search's best rule, or a file's or recipe's set-up."""

import pytest

from search.analysis.run import analyze
from search.analysis.subject import find_subject
from search.errors import SearchError
from search.records import SearchRecord, TrialRecord
from search.store import SearchStore
from tests.search.tiny import QuietListener, tiny_config
from trainables.probes import ProbeSettings
from trainables.records import TrialHistory


def trial(number, family, score, **more):
    values = {"trial_id": str(number), "number": number, "status": "finished", "family": family, "parameters": {}}
    values |= {"shared": {}, "rule": "", "complexity": 1, "history": TrialHistory(score=score)}
    return TrialRecord(**{**values, **more})


@pytest.fixture
def searched(launch, monkeypatch):
    """Makes a search of the recipe's own name, `digits-quick`, with a status."""

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
        monkeypatch.setattr("search.trials.read_search", lambda _: record)
        return config

    return make


def test_a_recipe_is_analysed_at_the_first_of_its_baselines(launch):
    subject = find_subject("fashion-mnist", launch, overrides=["training.epochs=3", "baselines=[0.7]"])
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
    with pytest.raises(SearchError, match="other data or with another teacher"):
        analyze(subject, launch, QuietListener(), seeds=1, probing=ProbeSettings(probes=1))
