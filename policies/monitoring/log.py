"""Reads the log that a monitor wrote."""

from __future__ import annotations

import json
import pathlib
from typing import Any, NamedTuple

from policies.errors import PolicyError

FORMAT = "kd-policy-log"
VERSION = 1
LOG_FILE = "kd-policy.jsonl"
"""The name of the log where a sink writes one beside what else it writes."""


class MonitorLog(NamedTuple):
    """A log as read. `start` is the record that the training began with, `records` are the others, in order."""

    start: dict[str, Any]
    records: tuple[dict[str, Any], ...]

    def of(self, kind: str) -> tuple[dict[str, Any], ...]:
        """Return the records of a kind."""
        return tuple(record for record in self.records if record["kind"] == kind)

    @property
    def steps(self) -> int:
        """The number of steps that the log covers."""
        return max((record["step"] + 1 for record in self.records), default=int(self.start["step"]))


def read_log(path: str | pathlib.Path) -> MonitorLog:
    """Read a file of JSON lines.

    A training that was resumed has a `start` record for each of its parts. Records of steps that a later part took
    again are dropped. So is a last line that was cut off when the training was killed.

    Raises:
        PolicyError: the file cannot be read, or is no monitor's log.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"cannot read the log {str(path)!r}: {error}.") from error
    start: dict[str, Any] | None = None
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if record["kind"] != "start":
                records.append({**record, "step": int(record["step"])})
                continue
            if record["format"] != FORMAT or record["version"] != VERSION:
                raise ValueError(f"format {record['format']!r}, version {record['version']!r}")
            begun = int(record["step"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and isinstance(error, json.JSONDecodeError):
                break
            raise PolicyError(
                f"{str(path)!r} is not a monitor's log: line {number} is none of its records ({type(error).__name__}:"
                f" {error}); give the file that `Monitor(balancer, to=FILE)` wrote."
            ) from error
        start = record if start is None else {**record, "step": start["step"]}
        records = [record for record in records if record["step"] < begun and record["kind"] != "end"]
    if start is None:
        raise PolicyError(
            f"{str(path)!r} is not a monitor's log, since no line of it has the kind `start`; give the file that"
            " `Monitor(balancer, to=FILE)` wrote."
        )
    return MonitorLog(start, tuple(records))
