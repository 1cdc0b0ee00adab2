import json
import os
import pathlib
import shutil
from types import SimpleNamespace

import pyarrow.fs
import pytest
from ray.tune.execution.experiment_state import _ExperimentCheckpointManager, _find_newest_experiment_checkpoint

from search.store.snapshots import SnapshotKeeper, forget_earlier_sessions, latest_state, put_back


def write_staging(folder, state, stamp, session="2026-01-01_00-00-00"):
    """Write the files that Tune leaves in its staging folder; `stamp` is their time in nanoseconds."""
    folder.mkdir(exist_ok=True)
    for name in (
        f"experiment_state-{session}.json",
        f"search_gen_state-{session}.json",
        f"searcher-state-{session}.pkl",
    ):
        (folder / name).write_text(json.dumps({"state": state, "file": name}))
        os.utime(folder / name, ns=(stamp, stamp))


@pytest.fixture
def search(tmp_path):
    return tmp_path / "search"


@pytest.fixture
def staging(tmp_path):
    return tmp_path / "staging"


@pytest.fixture
def snapshot(search, staging):
    """Let Tune write a snapshot, and put it aside."""
    keeper = SnapshotKeeper(search)

    def put_aside(state, **when):
        write_staging(staging, state, **{"stamp": state} | when)
        keeper.keep(staging)

    return put_aside


def read(path):
    return json.loads(path.read_text())["state"]


def test_the_newest_snapshot_is_kept_whole(search, snapshot):
    for number in range(1, 5):
        snapshot(number)
        assert read(latest_state(search)) == number


def test_a_reader_of_the_last_snapshot_is_not_disturbed_by_the_next(search, snapshot):
    snapshot(1)
    held = latest_state(search)
    snapshot(2)
    assert read(held) == 1


def test_half_a_snapshot_after_the_last_step_is_passed_over(search, staging):
    keeper = SnapshotKeeper(search)
    write_staging(staging, 1, stamp=1)
    keeper.keep(staging)
    (state,) = staging.glob("experiment_state-*.json")
    whole = state.read_text()
    state.write_text(whole[:-5])
    keeper.keep(staging, last=True)
    assert read(latest_state(search)) == 1
    state.write_text(whole.replace("1,", "2,", 1))
    keeper.keep(staging, last=True)
    assert read(latest_state(search)) == 2


def test_old_snapshots_are_deleted(search, snapshot):
    for number in range(1, 20):
        snapshot(number)
    assert len([p for p in (search / ".snapshots").iterdir() if p.name.isdigit()]) == 2


def test_an_unchanged_snapshot_is_not_copied_again(search, snapshot):
    snapshot(5)
    copy = latest_state(search)
    copy.write_text("{}")
    snapshot(5)
    assert copy.read_text() == "{}"


def test_after_a_kill_the_whole_copy_replaces_the_torn_one(search, snapshot):
    snapshot(7)
    torn = search / "experiment_state-2026-01-01_00-00-00.json"
    torn.write_text("")  # killed while Tune wrote it
    put_back(search)
    assert read(torn) == 7
    assert read(search / "searcher-state-2026-01-01_00-00-00.pkl") == 7


def test_of_two_sessions_the_newer_is_kept(search, staging, snapshot):
    write_staging(staging, "old", stamp=1, session="2026-01-01_00-00-00")
    snapshot("new", stamp=2, session="2026-01-02_00-00-00")
    assert read(latest_state(search)) == "new"


def restored_from(search):
    """Return what Tune would read, of the three files that must be left."""
    assert len([path for path in search.iterdir() if path.is_file()]) == 3
    return read(pathlib.Path(_find_newest_experiment_checkpoint(str(search))))


def test_half_a_first_snapshot_of_a_resumed_session_is_passed_over(search, staging):
    for folder in (search, staging):
        write_staging(folder, "whole", stamp=1, session="2026-01-01_00-00-00")
    SnapshotKeeper(search).keep(staging)
    (search / "experiment_state-2026-01-02_00-00-00.json").write_text("")
    put_back(search)
    assert restored_from(search) == "whole"


def test_a_session_that_began_after_the_clock_was_put_back_counts(search, tmp_path):
    for state, stamp, session in (("before", 2, "2026-10-25_02-50-00"), ("after", 1, "2026-10-25_02-10-00")):
        for folder in (search, tmp_path / state):
            write_staging(folder, state, stamp=stamp, session=session)
        SnapshotKeeper(search).keep(tmp_path / state)
    put_back(search)
    assert restored_from(search) == "after"


def test_numbers_go_up_whatever_the_clock_says(search, staging):
    for stamp in (9, 8, 7, 6, 5):
        write_staging(staging, stamp, stamp=stamp)
        before = latest_state(search)
        SnapshotKeeper(search).keep(staging)
        assert before is None or before.exists()  # a reader may still use it
        assert read(latest_state(search)) == stamp


@pytest.mark.parametrize("file_system", [pyarrow.fs.LocalFileSystem, pyarrow.fs._MockFileSystem])
def test_files_of_ours_that_tune_brought_down_are_not_written_back(tmp_path, file_system):
    filesystem = file_system()
    search, staging = str(tmp_path / "search"), tmp_path / "staging"
    filesystem.create_dir(search, recursive=True)
    (staging / "0001-fixed-abc").mkdir(parents=True)
    names = {"search.json", "tuner.pkl", "experiment_state-2026-01-01_00-00-00.json"}
    for name in names:
        with filesystem.open_output_stream(f"{search}/{name}") as stream:
            stream.write(b"{}")
    storage = SimpleNamespace(
        storage_filesystem=filesystem, experiment_fs_path=search, experiment_driver_staging_path=str(staging)
    )
    manager = _ExperimentCheckpointManager(storage=storage, checkpoint_period="auto")
    manager.sync_down_experiment_state()
    assert {path.name for path in staging.iterdir() if path.is_file()} == names
    forget_earlier_sessions(staging)
    assert [path.name for path in staging.iterdir()] == ["0001-fixed-abc"]


def test_a_copy_in_which_links_were_followed_goes_on(search, staging, snapshot, tmp_path):
    copy = tmp_path / "copy"
    snapshot(1)
    shutil.copytree(search, copy)
    assert read(latest_state(copy)) == 1
    write_staging(staging, 2, stamp=2)
    SnapshotKeeper(copy).keep(staging)
    assert read(latest_state(copy)) == 2


def test_without_a_snapshot_nothing_is_deleted(search):
    write_staging(search, 1, stamp=1)
    put_back(search)
    assert len(list(search.iterdir())) == 3


def test_without_a_snapshot_there_is_nothing_to_keep_or_put_back(search, staging):
    staging.mkdir()
    SnapshotKeeper(search).keep(staging)
    assert latest_state(search) is None
    put_back(search)


def test_a_damaged_copy_gives_way_to_the_one_before(search, staging):
    keeper = SnapshotKeeper(search)
    for state in (1, 2):
        write_staging(staging, state, stamp=state)
        for path in staging.glob("experiment_state-*"):
            path.write_text(json.dumps({"trial_data": [], "state": state}))
            os.utime(path, ns=(state, state))
        keeper.keep(staging)
    assert read(latest_state(search)) == 2
    latest_state(search).write_bytes(b"\xff{")
    assert read(latest_state(search)) == 1
    put_back(search)
    (tuned,) = search.glob("experiment_state-*")
    assert read(tuned) == 1
