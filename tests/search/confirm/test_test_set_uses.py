"""Uses of a test set are counted over all searches of a storage."""

import json
import pathlib
import shutil

import pytest

from search.confirm.test_set_uses import USES_FOLDER, count_use
from search.store.folder import SearchStore

SEALED, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def storage(tmp_path):
    return str(tmp_path)


def test_each_confirmation_of_a_storage_counts_once(storage):
    one, two = SearchStore(storage, "one"), SearchStore(storage, "two")
    assert count_use(one, SEALED, "first") == 1
    assert count_use(two, SEALED, "first") == 2
    assert count_use(one, SEALED, "first") == 2  # it is resumed
    assert count_use(one, SEALED, "second") == 3  # the first one was moved aside
    assert count_use(two, OTHER, "first") == 1


def test_a_deleted_search_still_counts_and_another_storage_does_not(storage, tmp_path_factory):
    gone = SearchStore(storage, "gone")
    pathlib.Path(gone.folder).mkdir()
    count_use(gone, SEALED, "x")
    shutil.rmtree(gone.folder)
    assert count_use(SearchStore(storage, "next"), SEALED, "y") == 2
    assert count_use(SearchStore(str(tmp_path_factory.mktemp("other")), "next"), SEALED, "y") == 1


def test_confirmations_of_releases_that_did_not_count_are_found(storage):
    for name, digest in (("old", SEALED), ("older", OTHER), ("damaged", None), ("begun", "")):
        folder = pathlib.Path(storage, name, "confirm")
        folder.mkdir(parents=True)
        (folder.parent / "search.json").write_text("{}")
        kept = "no JSON" if digest is None else json.dumps({"settings": {"test_digest": digest} if digest else {}})
        (folder / "confirmation.json").write_text(kept)
    assert count_use(SearchStore(storage, "new"), SEALED, "x") == 2
    assert count_use(SearchStore(storage, "old"), SEALED, "") == 2  # an older one that is resumed is counted already
    assert not list(pathlib.Path(storage, USES_FOLDER).rglob(".*.tmp"))
