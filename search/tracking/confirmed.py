"""Projects a confirmation into MLflow: a run for each finalist below the search's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from search.confirm import Champion
from search.evidence import Judgement
from search.records import ConfirmationRecord, Finalist, SearchRecord, SeedResult
from search.tracking import confirmed_wording as told
from search.tracking import wording
from search.tracking.runs import Run, RunWriter


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackedConfirmation:
    """The part of a confirmation that MLflow shows.

    Attributes:
        record: the confirmation, finished or not.
        champion: the one to register; None if there is none, or it is not to be registered again.
        read_student: returns the champion's `state_dict` as `torch.save` writes it.
    """

    record: ConfirmationRecord
    champion: Champion | None = None
    read_student: Callable[[Champion], bytes] | None = None


class FinalistRuns:
    """Writes the runs of a finished confirmation's finalists.

    There are none before the last training has ended. A user who watches the scores come in and stops at a lead finds
    winners among equals.

    Args:
        writer: of the experiment.
        known: the runs that are there, by finalist.
    """

    def __init__(self, writer: RunWriter, known: dict[str, Run]) -> None:
        self.writer = writer
        self.known = known

    def write(self, search: SearchRecord, record: ConfirmationRecord, judgement: Judgement, parent: Run) -> None:
        """Bring the finalists' runs and the search's own up to date."""
        verdict, comparison = judgement.verdict, judgement.finalists
        if not record.complete or verdict is None or comparison is None or verdict.winner is None:
            return
        for key in self.known.keys() - {finalist.key for finalist in record.finalists}:
            self.writer.delete(self.known.pop(key))  # from a confirmation that was begun anew
        for finalist in record.finalists:
            results = [result for result in record.results if result.finalist == finalist.key]
            tags = told.finalist_tags(search, record, comparison, verdict, finalist, parent.run_id)
            run = self._run(record, finalist, results, tags)
            row, had = comparison.of(finalist.key), run.logged.get("seeds", 0)
            moment = max(map(told.moment_of, results))
            points = told.seed_points(results[had:])
            if run.tags.get(told.RESULTS) != told.fingerprint(results):
                points += told.finalist_points(record, row, moment)
            tags |= {told.RESULTS: told.fingerprint(results)} | run.logged_with(seeds=len(results))
            self.writer.log(run, points, wording.run_parameters(search, finalist), tags)
            self.writer.end(run, "FINISHED", moment)
        fingerprint = told.fingerprint(record.results)
        if parent.tags.get(told.RESULTS) != fingerprint:
            moment = max(map(told.moment_of, record.results))
            points = told.verdict_points(record, judgement, moment)
            self.writer.log(parent, points, {}, {told.RESULTS: fingerprint})

    def _run(
        self, record: ConfirmationRecord, finalist: Finalist, results: list[SeedResult], tags: dict[str, str]
    ) -> Run:
        """Return the finalist's run if it holds nothing but some of these results; else replace it by a new one."""
        run = self.known.get(finalist.key)
        if run is not None:
            had = run.logged.get("seeds", 0)
            if had and run.tags.get(told.RESULTS) != told.fingerprint(results[:had]):
                self.writer.delete(run)
                run = None
        if run is None:
            begin = min(told.moment_of(result) - round(1000 * result.seconds) for result in results)
            run = self.writer.create(told.run_name(record, finalist), max(begin, 0), tags)
            self.known[finalist.key] = run
        return run
