"""A search that is stopped, and resumes with the leftovers of a snapshot at a bad moment and of a kill."""

import contextlib
import dataclasses
import json
import os
import signal

import psutil
import pytest

from search.run import tuner as tuning
from search.run.events import SearchEvents
from search.run.search import resume_search, run_search
from search.store.folder import SearchStore
from search.store.snapshots import latest_state
from search.store.trial_files import snapshot_states, trial_states
from tests.search.tiny import QuietListener, tiny_config

EPOCHS = 600  # some seconds a trial, so that it can be stopped halfway
TORN = "experiment_state-2999-01-01_00-00-00.json"


class Stopper(QuietListener):
    """Stops the search like a batch system, once one trial has finished."""

    stopped = False

    def tick(self):
        if not self.stopped and any(record.status == "finished" for record in self.records):
            self.stopped = True
            os.kill(os.getpid(), signal.SIGTERM)


class Killer(QuietListener):
    """Kills the process of a trial halfway, as if a machine were lost."""

    killed = None

    def tick(self):
        if self.killed is None and any(record.status == "running" for record in self.records):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # those that end meanwhile
                    if ".train" in "".join(process.cmdline()[:1]):  # Ray names a process after what it is doing
                        process.kill()
                        self.killed = process.pid
                        return


@pytest.fixture(scope="module")
def gone_on(launch):
    launch = dataclasses.replace(launch, checkpoint_seconds=0.5, report_seconds=0.2)
    config = tiny_config(
        "name=torn", "constant.most_trials=2", "trials_per_family=2", f"training.epochs={EPOCHS}", "evaluations=6"
    )
    assert run_search(config, launch, Stopper()).search.status == "stopped"

    store = SearchStore(launch.storage, "torn")
    unfinished = [trial_id for trial_id, state in snapshot_states(store).items() if not state.ended]
    kept = latest_state(store.local_folder)
    snapshot = json.loads(kept.read_text())
    # The snapshot was taken while the last checkpoints of these trials were being saved.
    snapshot["runner_data"]["_cached_trial_decisions"] = dict.fromkeys(unfinished, "STOP")
    kept.write_text(json.dumps(snapshot))
    # The next session was killed in the middle of its first snapshot.
    (store.local_folder / TORN).write_text("")
    # On a cluster Ray continues: a killed driver may leave a searcher that knows trials which nothing else has.
    (SearchEvents._current._staging / "searcher-state-2999-01-01_00-00-00.pkl").write_bytes(b"")
    # The search resumes where trials may fail more often than where it began.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "most_failures", lambda _: 2)
        killer = Killer()
        search = resume_search("torn", launch, killer).search
    assert killer.killed is not None
    return search, store, unfinished


def test_every_trial_comes_to_its_end(gone_on):
    search, _, unfinished = gone_on
    assert unfinished
    assert search.status == "finished"
    assert [(trial.number, trial.status) for trial in search.trials] == [(n, "finished") for n in range(1, 5)]
    assert {trial.history.epochs[-1].epoch for trial in search.trials} == {EPOCHS}
    assert set(unfinished) <= {trial.trial_id for trial in search.trials}


def test_a_trial_that_failed_once_was_tried_again(gone_on):
    failures = [state.trial().run_metadata.num_failures for state in trial_states(gone_on[1])]
    assert sorted(failures) == [0, 0, 0, 1]


def test_nothing_is_left_of_half_a_snapshot(gone_on):
    assert not (gone_on[1].local_folder / TORN).exists()


def written_back(events: SearchEvents) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in events._restored_in.iterdir() if path.is_file())


def test_tune_writes_its_own_snapshots_only(gone_on):
    """Files that Tune fetched to restore from, search.json and tuner.pkl included, are not written back."""
    assert SearchEvents._current._restored_in == SearchEvents._current._staging
    assert written_back(SearchEvents._current) == ["experiment_state", "search_gen_state", "searcher"]


def test_nor_more_where_nothing_is_left_to_run(gone_on, launch):
    search = gone_on[0]
    assert resume_search("torn", launch, QuietListener()).search == search
    assert written_back(SearchEvents._current) == ["experiment_state", "search_gen_state", "searcher"]
