"""Searches that grow or that a budget ends, with real trainings: they equal those that were planned with that size."""

import json

import pytest

from search.errors import SearchError
from search.evidence import budget_sentence, judge
from search.run.search import resume_search, run_search
from search.store import SearchStore, continued, grown
from tests.search.tiny import QuietListener, tiny_config

WHOLE = "trials_per_family=4"


def content(search):
    """Return all that a search tried and found, by family in the order of rounds, without numbers."""
    found = {}
    for trial in search.trials:
        seeds = [(one.seed, one.validation_accuracy, one.validation_loss) for one in trial.history.replicates]
        found.setdefault(trial.family, []).append((trial.parameters, trial.shared, seeds))
    return found


def grow(name, launch, *overrides):
    config = grown(SearchStore(launch.storage, name).header_record(), overrides)
    listener = QuietListener()
    return resume_search(name, launch, listener, config), listener


@pytest.fixture(scope="module")
def short(launch):
    """Run a search that its budget ends after the first round."""
    listener = QuietListener()
    return run_search(tiny_config("name=short", "budget=1s"), launch, listener), listener


@pytest.fixture(scope="module")
def one(launch):
    """Run the search that was planned with one round."""
    return run_search(tiny_config("name=one", "trials_per_family=1"), launch, QuietListener()).search


@pytest.fixture(scope="module")
def grown_one(one, launch):
    """Let the search of one round grow to four."""
    return grow("one", launch, WHOLE)


def test_a_search_that_its_budget_ends_is_the_one_planned_with_its_rounds(short, one):
    search = short[0].search
    assert search.status == "finished"
    assert (search.budget_end.rounds, search.budget_end.planned, search.config.trials_per_family) == (1, 4, 1)
    assert content(search) == content(one)


def test_a_search_says_that_its_budget_ended_it_and_what_a_larger_one_would_add(short):
    outcome, listener = short
    assert "the budget of 1s ends the search after 1 of 4 rounds" in listener.stages
    sentence = budget_sentence(outcome.search)
    assert "after 1 of 4 rounds, so each family has 1 rule" in sentence
    assert "add 3 rules" in sentence
    assert judge(outcome.search).remarks[0].sentence == sentence
    assert sentence.split(".")[0] in outcome.page.read_text(encoding="utf-8")
    report = json.loads((outcome.page.parent / "report.json").read_text(encoding="utf-8"))
    assert sentence in json.dumps(report, ensure_ascii=False)


def test_a_search_that_grew_keeps_its_trials_and_equals_the_one_planned_so(one, grown_one, launch):
    search = grown_one[0].search
    assert search.status == "finished"
    assert [size.trials_per_family for size in search.config.sizes] == [1, 4]
    kept = {trial.trial_id: trial for trial in search.trials}
    assert all(kept[trial.trial_id] == trial for trial in one.trials)
    begun = [record.number for record in grown_one[1].records]
    assert not {trial.number for trial in one.trials} & set(begun)
    whole = run_search(tiny_config("name=whole"), launch, QuietListener()).search
    assert content(search) == content(whole)


@pytest.mark.slow
def test_a_larger_budget_goes_on_to_the_same_search_as_none(short, grown_one, launch):
    begun = SearchStore(launch.storage, "short").header_record()
    with pytest.raises(SearchError, match="`budget` must be more than the search 'short' has taken in all its runs"):
        grow("short", launch, "trials_per_family=4")
    assert continued(begun, tiny_config("name=short", "budget=1s")) == begun.config
    search = grow("short", launch, "budget=1h")[0].search
    assert search.budget_end is None
    assert search.config.budget == "1h"
    assert content(search) == content(grown_one[0].search)


@pytest.mark.slow
def test_seeds_that_are_added_are_trained_by_all(grown_one, launch):
    before = {trial.trial_id: trial for trial in grown_one[0].search.trials}
    search = grow("one", launch, "replicates=3")[0].search
    assert search.status == "finished"
    for trial in search.trials:
        assert trial.seeds == (0, 1, 2)
        assert trial.history.replicates[:2] == before[trial.trial_id].history.replicates
