"""Writes a monitor's records: the form that all sinks share, and a file of JSON lines."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from policies.errors import PolicyError

Record: TypeAlias = Mapping[str, Any]
"""A record of JSON values; `kind` is `start`, `decision`, `readings`, `alarm`, `fall_back`, `reset` or `end`.

`docs/monitoring.md` lists the fields of each kind.
"""


@runtime_checkable
class Sink(Protocol):
    """A place for a monitor's records. Write your own with these two methods."""

    def write(self, records: Sequence[Record]) -> None:
        """Write some records, in order. It is called every so many steps, and should not wait for a network."""

    def close(self) -> None:
        """Write what is still held back; called once, at the end."""


class JsonLines:
    """Appends records to a file, one JSON object a line. `kd-search explain FILE` reads it.

    Args:
        path: the file; it is created with its folder.

    Raises:
        PolicyError: the file cannot be written.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise PolicyError(
                f"cannot write the log {str(path)!r}: {error.strerror or error}; name a file in a folder that you may"
                " write to."
            ) from error

    def write(self, records: Sequence[Record]) -> None:
        """Append the records."""
        self._file.write("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def scalars_of(record: Record) -> dict[str, float]:
    """Return the numbers of a `readings` record that are worth a curve, by name; none of a record of another kind."""
    if record["kind"] != "readings":
        return {}
    return {**record["means"], "scale": record["scale"], "interventions": record["interventions"]}


def told_of(record: Record) -> str:
    """Return the text of a record that a person must see; empty for the others."""
    return str(record["text"]) if record["kind"] in ("alarm", "fall_back", "reset") else ""
