"""Stores a transfer in a folder of its search: its plan, the constants tried at scale, and the finalists' trainings."""

from __future__ import annotations

import json

import pyarrow.fs

from search.confirm import ConfirmationStore
from search.errors import SearchError
from search.records import ConfirmationRecord, TransferRecord
from search.settings import next_command
from search.store import SearchStore, replace_in
from trainables.errors import ConfigError

FOLDER = "transfer"
RECORD_FILE = "transfer.json"
_BRACKET = "constants"
_TRAINED = "finalists"


class TransferStore:
    """Reads and writes one transfer of a search.

    Args:
        store: of the search.
        name: of the scaled search file's search.
    """

    def __init__(self, store: SearchStore, name: str) -> None:
        self.bracket = ConfirmationStore(store, f"{FOLDER}/{name}/{_BRACKET}")
        self.trained = ConfirmationStore(store, f"{FOLDER}/{name}/{_TRAINED}")
        self._store, self._folder = store, f"{store.folder}/{FOLDER}/{name}"
        self._uri = f"{store.uri}/{FOLDER}/{name}"

    def read(self) -> TransferRecord | None:
        """Read the transfer with its results so far; None if none has begun.

        Raises:
            SearchError: a file is damaged, or of another release.
        """
        try:
            content = json.loads(self._store.read_bytes(f"{self._folder}/{RECORD_FILE}"))
            record = TransferRecord.parse(content)
        except FileNotFoundError:
            return None
        except (ValueError, ConfigError) as error:
            raise SearchError(
                f"{self._uri}/{RECORD_FILE} is damaged or of another release ({error}). Move the folder away, and"
                f" transfer again: `{next_command('transfer', self._store.name, self._store.storage)} --to FILE`."
            ) from error
        return record.model_copy(update={"bracket": self.bracket.read(), "trained": self.trained.read()})

    def write(self, record: TransferRecord) -> None:
        """Store all but results, in place of what was stored before."""
        content = record.model_dump(mode="json", exclude={"bracket", "trained"})
        self._store.filesystem.create_dir(self._folder, recursive=True)
        replace_in(
            self._store.filesystem,
            f"{self._folder}/{RECORD_FILE}",
            json.dumps(content, indent=2, ensure_ascii=False).encode(),
        )
        for kept, part in ((self.bracket, record.bracket), (self.trained, record.trained)):
            if part is not None:
                kept.write(part)


def read_transfer(store: SearchStore, name: str) -> TransferRecord | None:
    """Read the transfer of a search to the scaled search file of this name; None if none has begun.

    Raises:
        SearchError: a file is damaged, or of another release.
    """
    return TransferStore(store, name).read()


def read_transfers(store: SearchStore) -> tuple[TransferRecord, ...]:
    """Read all transfers of a search, by their names.

    Raises:
        SearchError: a file is damaged, or of another release.
    """
    selector = pyarrow.fs.FileSelector(f"{store.folder}/{FOLDER}", allow_not_found=True)
    names = sorted(
        info.base_name
        for info in store.filesystem.get_file_info(selector)
        if info.type == pyarrow.fs.FileType.Directory
    )
    found = (read_transfer(store, name) for name in names)
    return tuple(record for record in found if record is not None)


def results_of(record: ConfirmationRecord | None) -> int:
    """Return the number of trainings that have ended."""
    return 0 if record is None else len(record.results)
