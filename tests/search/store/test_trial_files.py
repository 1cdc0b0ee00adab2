"""Trials that a snapshot does not know yet, or knows as running, and the searcher that learns of them."""

import itertools
import json
import pathlib
import pickle
import shutil

import pytest
from ray.train._internal.storage import StorageContext
from ray.tune import PlacementGroupFactory
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.registry import register_trainable
from ray.tune.search import SearchGenerator

from search.errors import SearchError
from search.plan.searcher import PlannedSearch, dump_runs
from search.settings.search_file import load_config
from search.store.folder import SearchStore
from search.store.resume import begin_anew, recover
from search.store.snapshots import puts_aside
from search.store.trial_files import TRIAL_FILE, TrialState, drop_older_checkpoints, note_trial, trial_states
from trainables.suggestion import SHARED

CONFIG = load_config(
    "digits-quick",
    [
        'families=["cosine_threshold", "norm_balance"]',
        "trials_per_family=6",
        "replicates=3",
        "racing=true",
        "proposal_lag=100",
    ],
)
SESSION = "2026-01-01_00-00-00"


class Driver:
    """Does what Tune and `SearchEvents` do to a search's folder, without processes."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.searcher, self.trials = folder, PlannedSearch(CONFIG), {}
        self.numbers = itertools.count()
        register_trainable("nothing", lambda config: None)

    def begin(self, count: int = 1) -> list[str]:
        begun = []
        for _ in range(count):
            trial_id = f"{next(self.numbers):08x}"
            suggestion = self.searcher.suggest(trial_id)
            trial = Trial(
                "nothing",
                config=suggestion,
                trial_id=trial_id,
                storage=StorageContext(storage_path=str(self.folder), experiment_dir_name="race"),
            )
            trial.placement_group_factory = PlacementGroupFactory([{"CPU": 1}])
            folder = f"{suggestion['trial']:04d}-{suggestion['family']}-{trial_id}"
            trial.relative_logdir = trial.storage.trial_dir_name = folder
            self.trials[trial_id] = trial
            note_trial(trial)
            begun.append(trial_id)
        return begun

    def stop_halfway(self, trial_id: str, score: float) -> None:
        """Stop a trial by a decision that had waited, in a snapshot, for a checkpoint of another run."""
        trial = self.trials[trial_id]
        self.searcher.on_trial_complete(trial_id, self._result(trial_id, score))
        trial.set_status(Trial.TERMINATED)
        trial.update_last_result({**self._result(trial_id, score), "training_iteration": 1, "done": False})

    def end(self, trial_id: str, score: float | None) -> None:
        trial = self.trials[trial_id]
        result = None if score is None else self._result(trial_id, score)
        self.searcher.on_trial_complete(trial_id, result, error=score is None)
        trial.set_status(Trial.ERROR if score is None else Trial.TERMINATED)
        if score is not None:
            trial.update_last_result({**self._result(trial_id, score), "training_iteration": 1, "done": True})
        note_trial(trial)

    def _result(self, trial_id: str, score: float) -> dict[str, object]:
        return {"score": score, "seed_scores": [score] * len(self.trials[trial_id].config["seeds"])}

    def snapshot(self, **runner_data: object) -> None:
        states = [trial.get_json_state() for trial in self.trials.values()]
        folder = self.folder / "race"
        snapshot = {"trial_data": states, "runner_data": runner_data}
        (folder / f"experiment_state-{SESSION}.json").write_text(json.dumps(snapshot))
        (folder / f"searcher-state-{SESSION}.pkl").write_bytes(dump_runs(self.searcher._runs.values()))

    def lose(self, trial_id: str) -> None:
        """Remove a trial of which nothing was noted when the driver was killed."""
        shutil.rmtree(next((self.folder / "race").glob(f"*-{trial_id}")))
        del self.trials[trial_id]

    def stored(self) -> dict[str, object]:
        """Return the snapshot that Tune would read."""
        return json.loads((self.folder / "race" / f"experiment_state-{SESSION}.json").read_text())

    def recovered(self) -> tuple[SearchStore, PlannedSearch]:
        store = SearchStore(str(self.folder), "race")
        recover(store)
        searcher = PlannedSearch(CONFIG)
        searcher.restore(str(self.folder / "race" / f"searcher-state-{SESSION}.pkl"))
        return store, searcher


@pytest.fixture
def driver(tmp_path):
    return Driver(tmp_path)


def statuses(store):
    return {state.trial_id: json.loads(state.state)["status"] for state in trial_states(store)}


def test_what_happened_after_the_snapshot_is_not_lost(driver):
    first, second, third = driver.begin(3)
    driver.end(first, 0.5)
    driver.snapshot()
    driver.end(second, 0.6)
    fourth, fifth = driver.begin(2)
    driver.end(fifth, None)

    store, searcher = driver.recovered()
    assert statuses(store) == {
        first: "TERMINATED",
        second: "TERMINATED",
        third: "PENDING",
        fourth: "PENDING",
        fifth: "ERROR",
    }
    # Tune's own file has all trials, and the restored searcher knows what the driver's searcher knew.
    assert [TrialState(*pair).trial_id for pair in driver.stored()["trial_data"]] == [
        first,
        second,
        third,
        fourth,
        fifth,
    ]
    assert searcher.suggest("next")["trial"] == 6
    told = {trial_id: (run.ended, run.scores) for trial_id, run in driver.searcher._runs.items()}
    assert {trial_id: (run.ended, run.scores) for trial_id, run in searcher._runs.items() if trial_id != "next"} == told


def test_a_race_goes_on_where_it_was(driver):
    """Heats that were earned after the snapshot are not given twice."""
    numbers = driver.begin(12)
    driver.snapshot()
    for place, trial_id in enumerate(numbers):
        driver.end(trial_id, 0.5 + 0.01 * place)
    second_heat = driver.begin(3)
    driver.end(second_heat[0], 0.7)

    _, searcher = driver.recovered()
    given = {driver.trials[trial_id].config["trial"] for trial_id in second_heat}
    expected = driver.searcher
    for name in ("next", "last"):
        mine, theirs = searcher.suggest(name), expected.suggest(name)
        assert mine == theirs
        assert mine is None or mine["trial"] not in given


def test_a_suggestion_that_is_recalled_is_the_one_that_was_made(driver):
    driver.begin(2)
    driver.snapshot()
    later = driver.begin(6)
    _, searcher = driver.recovered()
    for trial_id in later:
        assert searcher._runs[trial_id].suggestion == driver.searcher._runs[trial_id].suggestion


def test_recovering_twice_changes_nothing(driver):
    driver.begin(2)
    driver.snapshot()
    driver.end(driver.begin()[0], 0.5)
    store, _ = driver.recovered()
    once = statuses(store)
    again, searcher = driver.recovered()
    assert statuses(again) == once
    assert searcher.suggest("next")["trial"] == 4


def test_decisions_and_numbers_of_another_run_are_not_taken_over(driver):
    """Otherwise Tune would stop the trial at its first checkpoint, although it resumes from an older one."""
    (saving,) = driver.begin()
    driver.snapshot(
        _cached_trial_decisions={saving: "STOP"},
        _queued_trial_decisions={saving: "STOP"},
        _max_pending_trials=64,
        _iteration=7,
    )
    driver.recovered()
    assert driver.stored()["runner_data"] == {"_iteration": 7}


def test_tune_has_those_of_its_own_then(driver, monkeypatch):
    """Tune sets them before it reads the snapshot."""
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "3")
    (saving,) = driver.begin()
    driver.snapshot(
        _cached_trial_decisions={saving: "STOP"},
        _max_pending_trials=64,
        _session_str=SESSION,
        _start_time=0.0,
        _checkpoint_period="auto",
        _iteration=7,
    )
    driver.recovered()
    controller = TuneController(search_alg=SearchGenerator(driver.searcher), storage=driver.trials[saving].storage)
    controller.__setstate__(driver.stored()["runner_data"])
    assert controller._iteration == 7
    assert controller._cached_trial_decisions == {}
    assert controller._max_pending_trials == 3


def test_a_trial_that_was_stopped_halfway_goes_on(driver):
    first, second = driver.begin(2)
    driver.stop_halfway(first, 0.3)
    driver.end(second, 0.5)
    driver.snapshot()
    store, searcher = driver.recovered()
    assert {state.trial_id: state.ended for state in trial_states(store)} == {first: False, second: True}
    stored = [TrialState(*pair).trial() for pair in driver.stored()["trial_data"]]
    assert [(trial.trial_id, trial.status) for trial in stored] == [(first, "PENDING"), (second, "TERMINATED")]
    assert searcher.suggest("next")["trial"] == 3


def test_a_searcher_that_is_older_than_the_trials_is_told_of_all(driver):
    """The searcher's file of a snapshot is written last."""
    first, _ = driver.begin(2)
    driver.snapshot()
    driver.end(first, 0.5)
    (third,) = driver.begin()
    older = (driver.folder / "race" / f"searcher-state-{SESSION}.pkl").read_bytes()
    driver.snapshot()
    (driver.folder / "race" / f"searcher-state-{SESSION}.pkl").write_bytes(older)
    _, searcher = driver.recovered()
    assert third in searcher._runs
    assert {trial_id for trial_id, run in searcher._runs.items() if run.ended} == {first}
    assert searcher.suggest("next")["trial"] == 4


def test_a_search_in_which_trials_ended_does_not_begin_anew(driver):
    """Its snapshots are lost, for example by a copy that left out links."""
    ended, other = driver.begin(2)
    store = SearchStore(str(driver.folder), "race")
    driver.end(ended, 0.5)
    with pytest.raises(
        SearchError, match=f"no snapshot to resume from, but trials that ended, such as .*{ended}.*cp -a"
    ):
        begin_anew(store)
    assert len(store.trial_folders()) == 2
    driver.lose(ended)
    next((driver.folder / "race").glob(f"*-{other}/{TRIAL_FILE}")).write_text("{")
    begin_anew(store)
    assert store.trial_folders() == []


def test_a_copy_without_hidden_files_goes_on(driver):
    (trial_id,) = driver.begin()
    driver.snapshot()
    (driver.folder / "race" / f"search_gen_state-{SESSION}.json").write_bytes(pickle.dumps({"finished": True}))
    store, _ = driver.recovered()
    assert statuses(store) == {trial_id: "PENDING"}
    assert puts_aside(store.local_folder)
    assert pickle.loads(store.read_bytes(store.newest("search_gen_state-"))) == {"finished": False}
    driver.begin()
    assert len(statuses(driver.recovered()[0])) == 2


@pytest.mark.parametrize("damage", ["{", "[]", '["a", "b"]', "[{}, {}]", '["{}", "{}"]', '{"state": 1, "metadata": 2}'])
def test_no_damage_of_a_file_goes_unnoticed(driver, damage):
    driver.begin()
    driver.snapshot()
    (lost,) = driver.begin()
    path = next((driver.folder / "race").glob(f"*-{lost}")) / TRIAL_FILE
    path.write_text(damage)
    with pytest.raises(SearchError, match=f"{path}.*damaged.*Delete its folder"):
        driver.recovered()


def test_a_damaged_file_says_what_to_do_and_what_is_lost_is_suggested_anew(driver):
    driver.begin()
    driver.snapshot()
    (lost,), (kept,) = driver.begin(), driver.begin()
    path = next((driver.folder / "race").glob(f"*-{lost}")) / TRIAL_FILE
    path.write_text("{")
    with pytest.raises(SearchError, match=f"{path}.*damaged.*Delete its folder"):
        driver.recovered()
    driver.lose(lost)
    store, searcher = driver.recovered()
    assert lost not in statuses(store)
    assert kept in searcher._runs
    assert [searcher.suggest(name)["trial"] for name in ("next", "last")] == [2, 4]


def test_what_was_lost_and_begun_again_before_another_kill_is_not_begun_a_third_time(driver):
    driver.begin()
    driver.snapshot()
    (lost,), (kept,) = driver.begin(), driver.begin()
    driver.lose(lost)
    _, driver.searcher = driver.recovered()
    driver.snapshot()
    (again,) = driver.begin()
    assert driver.trials[again].config["trial"] == 2

    _, searcher = driver.recovered()
    assert again in searcher._runs
    assert kept in searcher._runs
    assert [searcher.suggest(name)["trial"] for name in ("next", "last")] == [4, 5]


def test_a_lost_policy_has_the_learning_rate_of_its_round(driver):
    """This also holds if the studies know less than they did when that round began."""
    *ended, last, end = driver.begin(10)
    for place, trial_id in enumerate(ended):
        driver.end(trial_id, 0.5 + 0.01 * place)
    driver.snapshot()
    for trial_id in (last, end):
        driver.end(trial_id, 0.9)
    (lost,), (kept,) = driver.begin(), driver.begin()
    driver.lose(lost)
    _, searcher = driver.recovered()
    suggested, known = searcher.suggest("next"), driver.trials[kept].config
    assert suggested["trial"] == known["trial"] - 1
    assert [suggested[name] for name in SHARED] == [known[name] for name in SHARED]


def test_of_an_ended_trial_only_the_last_checkpoint_stays(driver):
    (trial_id,) = driver.begin()
    folder = next((driver.folder / "race").glob(f"*-{trial_id}"))
    for name in ("checkpoint_000001", "checkpoint_000002"):
        (folder / name).mkdir()

    class Stored:
        storage = driver.trials[trial_id].storage
        checkpoint = type("Checkpoint", (), {"path": str(folder / "checkpoint_000002")})()

    drop_older_checkpoints(Stored)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint_000002", TRIAL_FILE]
