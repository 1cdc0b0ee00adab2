import pickle
from types import SimpleNamespace

import pytest

from search.run import scheduler
from search.run.scheduler import PatientScheduler
from search.settings.search_file import ResourceSettings


def trial(number, status, seeds=(0,)):
    return SimpleNamespace(status=status, config={"trial": number, "seeds": list(seeds)})


def chosen(patient, *trials):
    found = patient.choose_trial_to_run(SimpleNamespace(get_live_trials=lambda: set(map(Hashable, trials))))
    return None if found is None else (found.config["trial"], len(found.config["seeds"]))


class Hashable:
    def __init__(self, trial):
        self.status, self.config = trial.status, trial.config


@pytest.fixture
def patient(monkeypatch):
    monkeypatch.setattr(scheduler, "room_for", lambda resources: resources.max_concurrent)
    return PatientScheduler(ResourceSettings(max_concurrent=3))


def test_the_first_come_is_the_first_to_run(patient):
    assert chosen(patient, trial(2, "PENDING"), trial(1, "PENDING"), trial(3, "PENDING")) == (1, 1)
    assert chosen(patient, trial(1, "RUNNING")) is None


def test_while_workers_start_a_free_one_goes_to_the_trial_that_came_last(patient):
    patient.on_trial_complete(None, trial(1, "TERMINATED"), {})
    assert chosen(patient, trial(2, "PENDING"), trial(3, "RUNNING"), trial(4, "PENDING")) == (4, 1)


def test_with_all_workers_up_it_goes_to_the_one_that_came_first(patient):
    patient.on_trial_complete(None, trial(1, "TERMINATED"), {})
    running = trial(2, "RUNNING"), trial(3, "RUNNING")
    assert chosen(patient, *running, trial(5, "PENDING"), trial(4, "PENDING")) == (4, 1)


def test_of_a_policys_heats_the_earlier_one_is_older(patient):
    assert chosen(patient, trial(4, "PENDING", (0, 1)), trial(4, "PENDING")) == (4, 1)


def test_a_search_that_goes_on_elsewhere_looks_how_much_room_there_is(patient, monkeypatch):
    patient.on_trial_complete(None, trial(1, "TERMINATED"), {})
    waiting = trial(2, "PENDING"), trial(4, "PENDING"), trial(3, "RUNNING")
    assert chosen(patient, *waiting) == (4, 1)
    monkeypatch.setattr(scheduler, "room_for", lambda _: 2)
    assert chosen(pickle.loads(pickle.dumps(patient)), *waiting) == (2, 1)
