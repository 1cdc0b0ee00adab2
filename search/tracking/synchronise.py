"""Runs one whole projection, and reports its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from search.errors import KDPolicySearchError, TrackingError
from search.records import SearchRecord, TransferRecord
from search.settings import without_password
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.problems import explain
from search.tracking.projection import Projection, ReadDecisions
from search.tracking.runs import Tally
from search.wording import count, duration


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackingReport:
    """The result of a projection."""

    runs: int
    """Runs created or changed."""
    points: int
    """Metric points sent."""
    seconds: float
    """Seconds spent writing."""
    complete: bool
    """True if MLflow now shows all that the search holds."""
    address: str | None = None
    """The address of the search's trials in the page of an MLflow server; None for any other store."""
    error: str | None = None
    """The last thing that went wrong, even if a later attempt succeeded."""

    @classmethod
    def of(cls, tally: Tally, *, complete: bool, error: str | None) -> TrackingReport:
        """Create the report of what was written."""
        return cls(
            runs=len(tally.runs),
            points=tally.points,
            seconds=tally.seconds,
            complete=complete,
            address=tally.address,
            error=error,
        )

    def __str__(self) -> str:
        """Return one line for the terminal."""
        if not self.complete:
            return f"MLflow is not up to date: {self.error or 'not everything was written in time'}"
        if not self.runs:
            return "MLflow was up to date already"
        written = f"{count(self.runs, 'run')} and {count(self.points, 'point')} written in {duration(self.seconds)}"
        return f"MLflow is up to date: {written}"


def sync(
    search: SearchRecord,
    uri: str,
    experiment: str,
    files: Mapping[str, bytes] | None = None,
    read_decisions: ReadDecisions | None = None,
    confirmation: TrackedConfirmation | None = None,
    transfers: Sequence[TransferRecord] | None = None,
) -> TrackingReport:
    """Bring MLflow up to date with a search; nothing is written twice if it was up to date already.

    Args:
        search: all that is known of it.
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        files: path -> content, kept with the search's own run.
        read_decisions: as for `Projection`.
        confirmation: as for `Projection`.
        transfers: as for `Projection`.

    Raises:
        TrackingError: the store fails.
    """
    projection = Projection(uri, experiment, read_decisions, confirmation, transfers)
    try:
        projection.write(search, files)
    except KDPolicySearchError:
        raise
    except Exception as error:
        raise TrackingError(
            f"the MLflow store {without_password(uri)!r} failed while it was written: {explain(uri, error)}"
            " (The search's own files are not affected; try again when MLflow works.)"
        ) from error
    problem = projection.tally.problem
    return TrackingReport.of(projection.tally, complete=problem is None, error=problem)
