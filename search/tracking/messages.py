"""What a search's driver asks of MLflow's process, and its answers; they travel pickled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from search.records import SearchRecord, TrialRecord
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.projection import ReadDecisions


@dataclasses.dataclass(frozen=True)
class Check:
    """Can a search write to this store? Answered by `Checked`."""

    uri: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """What speaks against it; None if nothing does."""

    problem: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begin:
    """What is to be projected, and where to; as for `Projection`. Not answered."""

    uri: str
    experiment: str
    read_decisions: ReadDecisions | None
    confirmation: TrackedConfirmation | None


@dataclasses.dataclass(frozen=True)
class News:
    """A trial's new state, to be kept until it is to be written. Not answered."""

    trial: TrialRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Write:
    """Bring the store up to date. Answered by `Written`.

    Attributes:
        search: without its trials, which were sent as news.
        trials: the ids of those that it has, in order.
        changed: those to write; None for everything, as `Projection.write` does.
        files: as for `Projection.write`.
    """

    search: SearchRecord
    trials: tuple[str, ...]
    changed: frozenset[str] | None
    files: Mapping[str, bytes] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """What came of it: the ids of runs created or changed, points sent, seconds, and what went wrong.

    Attributes:
        failure: the store failed; what it holds now is not known.
        problem: something could not be had or stored, but the rest was.
    """

    runs: frozenset[str]
    points: int
    seconds: float
    failure: str | None = None
    problem: str | None = None
