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


def test_a_header_reads_back(launch, record):
    store = SearchStore(launch.storage, "tiny")
    assert not store.exists()
    store.write_header(record, launch)
    assert store.exists()
    assert store.header_record() == record
    assert store.config() == tiny_config()
    assert not store.has_snapshot()


def test_no_password_is_written(launch, record, tmp_path):
    SearchStore(launch.storage, "tiny").write_header(record, launch)
    assert "secret" not in (tmp_path / "tiny/search.json").read_text()


def test_an_unknown_search_is_answered_with_the_nearest(launch, record):
    SearchStore(launch.storage, "tiny").write_header(record, launch)
    with pytest.raises(SearchError, match=r"no search 'tinny'.*searches there: tiny\. Did you mean 'tiny'"):
        SearchStore(launch.storage, "tinny").read_header()
    with pytest.raises(SearchError, match=r"searches there: tiny\. If it is elsewhere, .*`--output`"):
        SearchStore(launch.storage, "shapes").read_header()


def test_a_damaged_or_foreign_header_is_told(launch, record, tmp_path):
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    path = tmp_path / "tiny/search.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps(header | {"format": 99}))
    with pytest.raises(SearchError, match="format 99"):
        store.read_header()
    path.write_text("{")
    with pytest.raises(SearchError, match="is damaged"):
        store.read_header()


def test_folders_that_are_no_searches_are_not_listed(launch, record, tmp_path):
    (tmp_path / "mlartifacts").mkdir()
    SearchStore(launch.storage, "tiny").write_header(record, launch)
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


def test_where_snapshots_are_put_aside_tunes_own_do_not_count(launch, record):
    """Tune writes them in place: a reader may find an empty file, and a kill leaves it."""
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    begin_to_put_aside(store.local_folder)
    torn = store.local_folder / "experiment_state-2026-01-01_00-00-00.json"
    torn.write_text("")
    assert not store.has_snapshot()
    assert read_search(store) == record
    with pytest.raises(SearchError, match="has saved no trials yet"):
        store.read_snapshot()
    torn.write_text("whole")
    SnapshotKeeper(store.local_folder).keep(store.local_folder)
    torn.write_text("")
    assert store.has_snapshot()
    assert store.read_snapshot() == "whole"


def test_a_copy_without_hidden_files_is_read_by_tunes_own(launch, record):
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    assert not store.has_snapshot()
    (store.local_folder / "experiment_state-2026-01-01_00-00-00.json").write_text("whole")
    assert store.has_snapshot()
    assert store.read_snapshot() == "whole"


def test_of_a_folder_that_one_may_only_read_it_is_not_known_whether_it_runs(launch, record):
    """Permissions do not bind root, so a folder blocks the lock."""
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    (pathlib.Path(store.folder) / ".lock").mkdir()
    assert store.is_running() is None
    with pytest.raises(SearchError, match=r"'tiny' cannot be locked: .*\.lock.* writable"), store.locked():
        pass


@pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/kd", "s3://bucket/kd/"])
def test_a_storage_with_options_has_searches_whose_uris_mean_their_folders(place):
    store = SearchStore(f"{place}?region=eu-west-1&endpoint_override=localhost%3A9000&scheme=http", "mine")
    filesystem, path = pyarrow.fs.FileSystem.from_uri(store.uri)
    assert path == store.folder
    assert filesystem == store.filesystem


def test_settings_of_another_release_are_one_clear_error(launch, record, tmp_path):
    store = SearchStore(launch.storage, "tiny")
    store.write_header(record, launch)
    path = tmp_path / "tiny/search.json"
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "config": {**header["config"], "colour": "red"}}))
    for read in (store.config, store.header_record):
        with pytest.raises(
            SearchError, match=r"search 'tiny', in .*search\.json, cannot be read .*`colour` is not a known"
        ):
            read()
