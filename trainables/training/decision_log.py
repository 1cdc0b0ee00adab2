"""Logs the steps at which a rule changed its decision or the guard intervened, and the readings at these steps.

`policies.monitoring.changes` tells which steps these are.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from policies.monitoring.changes import NOTABLE_CHANGE as NOTABLE_CHANGE
from policies.monitoring.changes import Changes
from policies.monitoring.changes import reason_kind as reason_kind
from trainables.errors import DataError
from trainables.records import DecisionEntry

if TYPE_CHECKING:
    from policies.balancer import Step

DECISIONS_FILE = "decisions.parquet"
MOST_ENTRIES = 20_000
"""The most entries of a trial."""

_CONTEXT = b"kd-policy-search"
_WHOLE = frozenset({"seed", "step", "branch", "repeats"})
_TEXT = frozenset({"reason", "intervention"})


class LogContext(NamedTuple):
    """The description of its trial in a log, so that the file explains itself.

    `policy` is a policy document; each replicate has done `steps` of its `total_steps`.
    """

    policy: dict[str, Any]
    seeds: tuple[int, ...]
    steps: int
    total_steps: int
    dropped: int = 0


@dataclasses.dataclass(frozen=True)
class StoredLog:
    """A log as read: entries by seed, then by step."""

    context: LogContext
    entries: tuple[DecisionEntry, ...]


class DecisionLog:
    """Keeps the entries of one replicate.

    Args:
        seed: the replicate's seed.
        limit: the most entries that are kept.
    """

    def __init__(self, seed: int, limit: int) -> None:
        self.entries: list[DecisionEntry] = []
        self.dropped = 0
        self._seed = seed
        self._limit = limit
        self._changes = Changes()
        self._open = False
        """True if the last entry is of the same case as the last step, so that repeats belong to it."""

    def note(self, step: Step, steps_per_epoch: float) -> None:
        """Log the replicate's next step if it needs an entry."""
        decision, intervention = step.decision, step.intervention
        if not self._changes.look(step):
            if intervention is not None and self._open:
                last = self.entries[-1]
                self.entries[-1] = last._replace(repeats=last.repeats + 1)
            return
        self._open = len(self.entries) < self._limit
        if not self._open:
            self.dropped += 1
            return
        seen = step.observation
        geometry = seen.geometry or step.geometry
        self.entries.append(
            DecisionEntry(
                seed=self._seed,
                step=step.step,
                epoch=step.step / steps_per_epoch,
                weight=decision.weight,
                scale=decision.scale,
                branch=decision.branch,
                reason=decision.reason,
                intervention=intervention,
                progress=seen.progress,
                cosine=None if geometry is None else geometry.cosine,
                norm_ratio=None if geometry is None else geometry.norm_ratio,
                task_loss=seen.task_loss,
                distill_loss=seen.distill_loss,
                confidence=seen.confidence,
                agreement=seen.agreement,
                class_reliability=seen.class_reliability,
                answer_reliability=seen.answer_reliability,
                confidence_reliability=seen.confidence_reliability,
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values."""
        return {
            "entries": [tuple(entry) for entry in self.entries],
            "dropped": self.dropped,
            **self._changes.state_dict(),
            "open": self._open,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.entries = [DecisionEntry(*entry) for entry in state["entries"]]
        self.dropped = int(state["dropped"])
        self._changes.load_state_dict(state)
        self._open = bool(state["open"])


def write_decisions(path: pathlib.Path, entries: Sequence[DecisionEntry], context: LogContext) -> None:
    """Write a log as a Parquet file: a column for each field of `DecisionEntry`, null where it is None."""
    import pyarrow
    import pyarrow.parquet

    columns = list(zip(*entries, strict=True)) or [() for _ in DecisionEntry._fields]
    fields = [
        pyarrow.field(
            name,
            pyarrow.int64() if name in _WHOLE else pyarrow.string() if name in _TEXT else pyarrow.float64(),
            nullable=DecisionEntry._field_defaults.get(name, 0) is None,
        )
        for name in DecisionEntry._fields
    ]
    schema = pyarrow.schema(fields, metadata={_CONTEXT: json.dumps(context._asdict()).encode()})
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, fields, strict=True)]
    pyarrow.parquet.write_table(pyarrow.table(arrays, schema=schema), path)


def read_decisions(source: pathlib.Path | BinaryIO, name: str) -> StoredLog:
    """Read what `write_decisions` wrote.

    Args:
        source: the file.
        name: the file's name in an error.

    Raises:
        DataError: the file is no decision log.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(source)
        context = json.loads(table.schema.metadata[_CONTEXT])
        entries = tuple(DecisionEntry(**row) for row in table.to_pylist())
        return StoredLog(LogContext(**{**context, "seeds": tuple(context["seeds"])}), entries)
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        problem = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name!r} is not a decision log ({type(error).__name__}: {problem}); give the {DECISIONS_FILE} of a"
            " trial's checkpoint."
        ) from error
