"""Stores a confirmation in a folder of its search: the plan, and a pair of files for each finished training.

`confirmation.json` holds the finalists and the seeds; `<finalist>-<seed>.json` a result and `<finalist>-<seed>.pt` its
student. A result is written after its student and in one step, so each stored result is complete.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeVar

import pyarrow.fs

from search.errors import SearchError
from search.records import ConfirmationRecord, SeedResult
from search.settings import next_command
from search.store import SearchStore, replace_in
from trainables.errors import ConfigError
from trainables.settings import Settings

FOLDER = "confirm"
RECORD_FILE = "confirmation.json"
_FORMAT = 1
_MODULE = ".module.pt"

_Stored = TypeVar("_Stored", bound=Settings)


class Unit(NamedTuple):
    """One training of a confirmation."""

    finalist: str
    seed: int

    @property
    def name(self) -> str:
        """The name of its files, without their endings."""
        return f"{self.finalist}-{self.seed}"


class ConfirmationStore:
    """Reads and writes the confirmation of one search.

    Args:
        store: of the search.
        folder: the folder inside the search's own.
    """

    def __init__(self, store: SearchStore, folder: str = FOLDER) -> None:
        self.folder = f"{store.folder}/{folder}"
        self._store = store
        self._uri = f"{store.uri}/{folder}"

    def read(self) -> ConfirmationRecord | None:
        """Read the confirmation with its results so far; None if none has begun.

        Raises:
            SearchError: a file is damaged, or of another release.
        """
        content = self._read(RECORD_FILE)
        if content is None:
            return None
        if content.pop("format", None) != _FORMAT:
            raise SearchError(
                f"{self._uri}/{RECORD_FILE} was written by another release; read it with that release, or"
                f" {set_aside()} to confirm again."
            )
        record = self._parse(ConfirmationRecord, RECORD_FILE, content)
        units = units_of(record)
        selector = pyarrow.fs.FileSelector(self.folder, allow_not_found=True)
        names = {info.base_name for info in self._store.filesystem.get_file_info(selector)}
        results = tuple(
            self._parse(SeedResult, file, self._read(file) or {})
            for unit in units
            if (file := f"{unit.name}.json") in names
        )
        return record.model_copy(update={"results": results, "complete": len(results) == len(units)})

    def write(self, record: ConfirmationRecord) -> None:
        """Store everything but the results, in place of what was stored before."""
        content = record.model_dump(mode="python", exclude={"results", "complete"})
        self._write(RECORD_FILE, _json({"format": _FORMAT, **content}))

    def add(self, result: SeedResult, student: bytes | None, module: bytes | None = None) -> None:
        """Store one training: its scores, and the student's `state_dict` as `torch.save` writes it, if there is one.

        Args:
            result: its scores.
            student: the `state_dict`.
            module: the student with an example of its inputs, as a training function keeps it; one for a finalist.
        """
        name = Unit(result.finalist, result.seed).name
        if student is not None:
            self._write(f"{name}.pt", student)
        if module is not None:
            self._write(f"{result.finalist}{_MODULE}", module)
        self._write(f"{name}.json", _json(result.model_dump(mode="python")))

    def student_path(self, unit: Unit) -> str:
        """Return the path of a training's student on the storage's file system."""
        return f"{self.folder}/{unit.name}.pt"

    def module(self, finalist: str) -> bytes | None:
        """Return a training function's student with an example of its inputs; None if the function keeps none."""
        try:
            return self._store.read_bytes(f"{self.folder}/{finalist}{_MODULE}")
        except FileNotFoundError:
            return None

    def _read(self, file: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self._store.read_bytes(f"{self.folder}/{file}"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self._damaged(file, error) from error
        return content

    def _parse(self, kind: type[_Stored], file: str, content: dict[str, Any]) -> _Stored:
        try:
            return kind.parse(content)
        except ConfigError as error:
            raise self._damaged(file, error) from error

    def _damaged(self, file: str, reason: Exception) -> SearchError:
        again = next_command("confirm", self._store.name, self._store.storage)
        return SearchError(f"{self._uri}/{file} is damaged ({reason}). Move it away; `{again}` creates it again.")

    def _write(self, file: str, content: bytes) -> None:
        self._store.filesystem.create_dir(self.folder, recursive=True)
        replace_in(self._store.filesystem, f"{self.folder}/{file}", content)


def read_confirmation(store: SearchStore) -> ConfirmationRecord | None:
    """Read a search's confirmation, finished or not; None if none has begun.

    Raises:
        SearchError: a file of it is damaged, or of another release.
    """
    return ConfirmationStore(store).read()


def set_aside(label: str = "before") -> str:
    """Return the remedy for messages, where a confirmation prevents another one of the same search."""
    return f"move the search's folder `{FOLDER}` aside (e.g. to `{FOLDER}-{label}`; moved back, it is used again)"


def units_of(record: ConfirmationRecord) -> tuple[Unit, ...]:
    """List all trainings of a confirmation seed by seed, so that an interrupted one has whole seeds to compare."""
    return tuple(Unit(finalist.key, seed) for seed in record.seeds for finalist in record.finalists)


def _json(content: dict[str, Any]) -> bytes:
    """Write JSON with NaN and infinity as Python's `json` reads them; pydantic would write them as null."""
    return json.dumps(content, indent=2, ensure_ascii=False).encode()
