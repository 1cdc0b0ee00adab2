import dataclasses
import json
import pathlib

import pyarrow.fs
import pytest

from search.errors import SearchError
from search.records.search import SearchRecord
from search.settings.launch import Launch
from search.store.folder import SearchStore, searches_in
from search.store.snapshots import SnapshotKeeper, begin_to_put_aside
from search.store.trials import read_search
from tests.search.tiny import tiny_config


@pytest.fixture
def launch(tmp_path):
    return Launch(
        output=tmp_path,
        storage=str(tmp_path),
        address=None,
        tracking_uri="http://somebody:secret@host:5000",
        experiment="e",
        cache=tmp_path,
        data_root=tmp_path,
    )


@pytest.fixture
def record():
    return SearchRecord(name="tiny", config=tiny_config().model_dump(mode="json"), teacher_accuracy=0.9, foundation="f")


@pytest.fixture
def begun(launch, record):
    """Return the store of a search that has begun."""
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    return store


def test_a_header_reads_back(launch, record):
    store = SearchStore(launch.storage, "tiny")
    assert not store.exists()
    store.write_header(record, launch)
    assert store.exists()
    assert store.header_record() == record
    assert store.config() == tiny_config()
    assert not store.has_snapshot()


def test_no_password_is_written(begun, tmp_path):
    assert "secret" not in (tmp_path / "tiny/search.json").read_text()


def test_an_unknown_search_is_answered_with_the_nearest(launch, begun):
    with pytest.raises(SearchError, match=r"no search 'tinny'.*searches there: tiny\. Did you mean 'tiny'"):
        SearchStore(launch.storage, "tinny").read_header()
    with pytest.raises(SearchError, match=r"searches there: tiny\. If it is elsewhere, .*`--output`"):
        SearchStore(launch.storage, "shapes").read_header()


def test_a_damaged_or_foreign_header_is_told(begun, tmp_path):
    path = tmp_path / "tiny/search.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(SearchError, match="format 99"):
        begun.read_header()
    path.write_text("{")
    with pytest.raises(SearchError, match="is damaged"):
        begun.read_header()


def test_folders_that_are_no_searches_are_not_listed(launch, begun, tmp_path):
    (tmp_path / "mlartifacts").mkdir()
    assert searches_in(launch.storage) == ["tiny"]
    assert searches_in(str(tmp_path / "none")) == []


def test_a_uri_names_the_same_folder(launch, record, tmp_path):
    by_uri = dataclasses.replace(launch, storage=f"file://{tmp_path}")
    SearchStore(by_uri.storage, "tiny").write_header(record, by_uri)
    assert SearchStore(launch.storage, "tiny").exists()
    assert SearchStore(by_uri.storage, "tiny").local_folder == pathlib.Path(tmp_path, "tiny")


def test_a_held_search_is_seen_as_running(launch):
    store = SearchStore(launch.storage, "tiny")
    assert store.is_running() is False
    with store.locked():
        assert SearchStore(launch.storage, "tiny").is_running() is True
    assert store.is_running() is False


def test_where_snapshots_are_put_aside_tunes_own_do_not_count(begun, record):
    """Tune writes them in place: a reader may find an empty file, and a kill leaves it."""
    begin_to_put_aside(begun.local_folder)
    torn = begun.local_folder / "experiment_state-2026-01-01_00-00-00.json"
    torn.write_text("")
    assert not begun.has_snapshot()
    assert read_search(begun) == record
    with pytest.raises(SearchError, match="has saved no trials yet"):
        begun.read_snapshot()
    torn.write_text("whole")
    SnapshotKeeper(begun.local_folder).keep(begun.local_folder)
    torn.write_text("")
    assert begun.has_snapshot()
    assert begun.read_snapshot() == "whole"


def test_a_copy_without_hidden_files_is_read_by_tunes_own(begun):
    assert not begun.has_snapshot()
    (begun.local_folder / "experiment_state-2026-01-01_00-00-00.json").write_text("whole")
    assert begun.has_snapshot()
    assert begun.read_snapshot() == "whole"


def test_of_a_folder_that_one_may_only_read_it_is_not_known_whether_it_runs(begun):
    """Permissions do not bind root, so a folder blocks the lock."""
    (pathlib.Path(begun.folder) / ".lock").mkdir()
    assert begun.is_running() is None
    with pytest.raises(SearchError, match=r"'tiny' cannot be locked: .*\.lock.* writable"), begun.locked():
        pass


@pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/kd", "s3://bucket/kd/"])
def test_a_storage_with_options_has_searches_whose_uris_mean_their_folders(place):
    store = SearchStore(f"{place}?region=eu-west-1&endpoint_override=localhost%3A9000&scheme=http", "mine")
    filesystem, path = pyarrow.fs.FileSystem.from_uri(store.uri)
    assert path == store.folder
    assert filesystem == store.filesystem


def test_settings_of_another_release_are_one_clear_error(begun, tmp_path):
    path = tmp_path / "tiny/search.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "config": {**header["config"], "colour": "red"}}))
    for read in (begun.config, begun.header_record):
        with pytest.raises(
            SearchError, match=r"search 'tiny', in .*search\.json, cannot be read .*`colour` is not a known"
        ):
            read()
