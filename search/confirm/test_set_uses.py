"""Counts the uses of a test set: the confirmations of a storage that have opened it.

A storage keeps a folder `.test-sets` with one small file for each confirmation that opened a test set, under the set's
digest. Files are only ever added, so nothing is lost when two confirmations begin at once. A confirmation still counts
after it was moved aside or its search was deleted.
"""

from __future__ import annotations

import hashlib
import json

import pyarrow.fs

from search.confirm.store import FOLDER, RECORD_FILE
from search.store import SearchStore, replace_in, searches_in

USES_FOLDER = ".test-sets"
_DIGITS = 32
TEST_DIGEST = "test_digest"
"""The key in a confirmation's settings for the digest of its test set."""


def count_use(store: SearchStore, digest: str, identity: str) -> int:
    """Record that a confirmation opens a test set, and count those that did, this one included.

    Args:
        store: of the confirmed search.
        digest: of the test set.
        identity: of the confirmation; empty for one of an older release.
    """
    root = store.folder.rpartition("/")[0]
    if store.filesystem.get_file_info(f"{root}/{USES_FOLDER}").type == pyarrow.fs.FileType.NotFound:
        _note_earlier(store, root)
    _note(store, root, digest, store.name, identity)
    selector = pyarrow.fs.FileSelector(_folder(root, digest))
    return len([info for info in store.filesystem.get_file_info(selector) if info.base_name.endswith(".json")])


def _note_earlier(store: SearchStore, root: str) -> None:
    """Record the confirmations of releases that did not count."""
    for name in searches_in(store.storage):
        path = f"{root}/{name}/{FOLDER}/{RECORD_FILE}"
        if store.filesystem.get_file_info(path).type != pyarrow.fs.FileType.File:
            continue
        try:
            kept = json.loads(store.read_bytes(path))
            digest = kept["settings"].get(TEST_DIGEST)
        except (ValueError, KeyError, AttributeError):  # damaged: an error tells so when it is read
            continue
        if digest:
            _note(store, root, digest, name, kept.get("identity", ""))


def _note(store: SearchStore, root: str, digest: str, search: str, identity: str) -> None:
    folder = _folder(root, digest)
    own = hashlib.sha256(f"{search}/{identity}".encode()).hexdigest()[:_DIGITS]
    store.filesystem.create_dir(folder, recursive=True)
    content = json.dumps({"search": search, "confirmation": identity}).encode()
    replace_in(store.filesystem, f"{folder}/{own}.json", content)


def _folder(root: str, digest: str) -> str:
    return f"{root}/{USES_FOLDER}/{digest[:_DIGITS]}"
