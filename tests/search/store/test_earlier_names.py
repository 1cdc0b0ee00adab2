"""Names that earlier versions pickled into a search's folder are found, although their modules have moved."""

import pickle
import subprocess
import sys

import pytest

from search.store.earlier_names import MOVED, RENAMED

STORED = {
    "search.config SearchConfig": "search.settings.search_file",
    "search.confirmation ConfirmationSettings": "search.settings.confirmation",
    "search.constants.points SurfaceDomain": "search.constants.points",
    "search.domains Interval": "search.settings.domains",
    "search.propose.plan Plan": "search.plan.plan",
    "search.racing FamilyRace": "search.plan.race",
    "search.racing RacingSettings": "search.settings.racing",
    "search.scheduler PatientScheduler": "search.run.scheduler",
    "search.searcher PlannedSearch": "search.plan.searcher",
    "search.space SearchSpace": "search.propose.space",
    "search.tuning _folder_name": "search.run.tuner",
    "search.watch _current_watch": "search.run.events",
    "trainables.config TrainingSettings": "trainables.config.trial",
    "trainables.objective Objective": "trainables.records.objective",
}
"""Names in the pickles of searches that the version before ran, and the modules that define them today."""


@pytest.mark.parametrize("stored", STORED)
def test_a_name_that_was_stored_is_found(stored):
    module, name = stored.split()
    found = pickle.loads(f"c{module}\n{name}\n.".encode())
    assert (found.__module__, found.__name__) == (STORED[stored], RENAMED.get(name, name))


def test_no_earlier_module_shadows_one_of_today():
    program = "import importlib.util, sys; sys.exit(any(importlib.util.find_spec(name) for name in sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", program, *MOVED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_name_that_was_never_there_is_no_name():
    with pytest.raises(AttributeError, match="'Clock' on <module 'search.watch'"):
        pickle.loads(b"csearch.watch\nClock\n.")
