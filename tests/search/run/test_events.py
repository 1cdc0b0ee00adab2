"""Tests the work of `SearchEvents` before Tune's steps."""

import datetime
from types import SimpleNamespace

import pytest

from search.errors import SearchError
from search.records.search import TrialRecord
from search.run.events import SearchEvents
from tests.search.tiny import tiny_config
from trainables.records.trial import TrialHistory


@pytest.fixture
def staging(tmp_path):
    folder = tmp_path / "staging"
    folder.mkdir()
    (folder / "search.json").write_text("{}")
    return folder


@pytest.fixture
def new_trial(staging):
    """Return a function that makes a trial as an earlier run, or a suggestion by its settings, leaves it."""
    storage = SimpleNamespace(experiment_driver_staging_path=str(staging))
    return lambda: SimpleNamespace(storage=storage, max_failures=0)


def new_events(*earlier):
    return SearchEvents(tiny_config(), earlier, [], lambda: None, None, most_failures=2)


def test_trials_may_fail_as_often_as_holds_here(new_trial):
    first, second, third = (new_trial() for _ in range(3))
    events = new_events()
    events.on_step_begin(0, [first, second])
    # In this step the first trial failed and is retried, and the third one came: Tune's list has this order then.
    events.on_step_begin(1, [second, third, first])
    assert [trial.max_failures for trial in (first, second, third)] == [2, 2, 2]


def test_what_tune_brought_down_is_forgotten_before_its_loop(staging):
    events = new_events()
    events.restores_in(staging)
    events.setup()
    assert not list(staging.iterdir())


def test_a_search_that_begins_has_brought_nothing_down_and_no_trials_before_its_first_step(new_trial, staging):
    events = new_events()
    events.setup()
    events.on_step_begin(0, [])
    events.on_step_begin(1, [new_trial()])
    assert list(staging.iterdir())


def test_one_that_goes_on_and_was_not_restored_does_not_begin_anew():
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    earlier = TrialRecord(
        trial_id="abc",
        number=1,
        status="finished",
        family="fixed",
        parameters={},
        shared={},
        student="base",
        rule="λ = 0.9 throughout.",
        complexity=0,
        baseline=True,
        started=moment,
        ended=moment,
        error=None,
        history=TrialHistory(),
        opening=None,
        folders=(),
    )
    with pytest.raises(SearchError, match="could not restore the search 'tiny'.*Nothing was run or changed"):
        new_events(earlier).on_step_begin(0, [])
