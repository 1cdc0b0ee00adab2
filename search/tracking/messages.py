"""Defines the messages between a search's driver and MLflow's process; they are sent pickled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from search.records import SearchRecord, TrialRecord
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.projection import ReadDecisions


@dataclasses.dataclass(frozen=True)
class Check:
    """Ask whether a search can write to this store. Answered by `Checked`."""

    uri: str


@dataclasses.dataclass(frozen=True)
class Checked:
    """The reason why a search cannot write to the store; None if it can."""

    problem: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begin:
    """Begin a projection: what is projected, and where to, as for `Projection`. Not answered."""

    uri: str
    experiment: str
    read_decisions: ReadDecisions | None
    confirmation: TrackedConfirmation | None


@dataclasses.dataclass(frozen=True)
class News:
    """A trial's new state, to be kept until it is written. Not answered."""

    trial: TrialRecord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Write:
    """Bring the store up to date. Answered by `Written`.

    Attributes:
        search: without its trials, which were sent as news.
        trials: the ids of its trials, in order.
        changed: the ids of the trials to write; None for everything, as `Projection.write` does.
        files: as for `Projection.write`.
    """

    search: SearchRecord
    trials: tuple[str, ...]
    changed: frozenset[str] | None
    files: Mapping[str, bytes] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """The result of `Write`: the ids of runs created or changed, points sent, seconds, and what went wrong.

    Attributes:
        failure: the store failed; what it holds now is not known.
        problem: something could not be read or stored, but the rest was.
    """

    runs: frozenset[str]
    points: int
    seconds: float
    failure: str | None = None
    problem: str | None = None
