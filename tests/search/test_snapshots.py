import json
import os

from search.snapshots import SnapshotKeeper, latest_state, put_back


def write_staging(folder, state, stamp, session="2026-01-01_00-00-00"):
    """What Tune leaves in its staging folder; `stamp` is the file's time in nanoseconds."""
    folder.mkdir(exist_ok=True)
    for name in (
        f"experiment_state-{session}.json",
        f"search_gen_state-{session}.json",
        f"searcher-state-{session}.pkl",
    ):
        (folder / name).write_text(json.dumps({"state": state, "file": name}))
        os.utime(folder / name, ns=(stamp, stamp))


def read(path):
    return json.loads(path.read_text())["state"]


def test_the_newest_snapshot_is_kept_whole(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    keeper = SnapshotKeeper(search)
    for number in range(1, 5):
        write_staging(staging, number, stamp=number)
        keeper.keep(staging)
        assert read(latest_state(search)) == number


def test_a_reader_of_the_last_snapshot_is_not_disturbed_by_the_next(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    keeper = SnapshotKeeper(search)
    write_staging(staging, 1, stamp=1)
    keeper.keep(staging)
    held = latest_state(search)
    write_staging(staging, 2, stamp=2)
    keeper.keep(staging)
    assert read(held) == 1


def test_old_snapshots_are_deleted(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    keeper = SnapshotKeeper(search)
    for number in range(1, 20):
        write_staging(staging, number, stamp=number)
        keeper.keep(staging)
    assert len([p for p in (search / ".snapshots").iterdir() if p.name.isdigit()]) == 2


def test_an_unchanged_snapshot_is_not_copied_again(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    keeper = SnapshotKeeper(search)
    write_staging(staging, 1, stamp=5)
    keeper.keep(staging)
    copy = latest_state(search)
    copy.write_text("{}")
    keeper.keep(staging)
    assert copy.read_text() == "{}"


def test_after_a_kill_the_whole_copy_replaces_the_torn_one(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    write_staging(staging, 7, stamp=7)
    SnapshotKeeper(search).keep(staging)
    torn = search / "experiment_state-2026-01-01_00-00-00.json"
    torn.write_text("")  # killed while Tune wrote it
    put_back(search)
    assert read(torn) == 7
    assert read(search / "searcher-state-2026-01-01_00-00-00.pkl") == 7


def test_of_two_sessions_the_newer_is_kept(tmp_path):
    search, staging = tmp_path / "search", tmp_path / "staging"
    write_staging(staging, "old", stamp=1, session="2026-01-01_00-00-00")
    write_staging(staging, "new", stamp=2, session="2026-01-02_00-00-00")
    SnapshotKeeper(search).keep(staging)
    assert read(latest_state(search)) == "new"


def test_without_a_snapshot_there_is_nothing_to_keep_or_put_back(tmp_path):
    staging = tmp_path / "staging"
    staging.mkdir()
    SnapshotKeeper(tmp_path / "search").keep(staging)
    assert latest_state(tmp_path / "search") is None
    put_back(tmp_path / "search")
