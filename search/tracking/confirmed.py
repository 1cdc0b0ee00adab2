"""Projects a confirmation into MLflow: a run for each finalist below the search's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from search.confirm import Champion
from search.evidence import Judgement
from search.records import ConfirmationRecord, SearchRecord
from search.tracking import confirmed_wording as told
from search.tracking import wording
from search.tracking.inputs import inputs_of
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


def write_finalists(
    writer: RunWriter,
    known: dict[str, Run],
    search: SearchRecord,
    record: ConfirmationRecord,
    judgement: Judgement,
    parent: Run,
) -> None:
    """Bring the runs of a finished confirmation's finalists and the search's own up to date.

    There are none before the last training has ended. A user who watches the scores come in and stops at a lead finds
    winners among equals.

    Args:
        writer: of the experiment.
        known: the runs that are there, by finalist.
        search: the search.
        record: its confirmation, finished or not.
        judgement: of both.
        parent: the search's own run.
    """
    verdict, comparison = judgement.verdict, judgement.finalists
    if verdict is None or comparison is None or verdict.winner is None:
        return
    of_transfers = {key for key in known if "/" in key}  # no finalist's key has a slash
    for key in known.keys() - of_transfers - {finalist.key for finalist in record.finalists}:
        writer.delete(known.pop(key))  # from a confirmation that was begun anew
    for finalist in record.finalists:
        key, results = finalist.key, [result for result in record.results if result.finalist == finalist.key]
        tags = told.finalist_tags(search, record, comparison, verdict, finalist, parent.run_id)
        run = known.get(key)
        had = 0 if run is None else run.logged.get("seeds", 0)
        if run is not None and had and run.tags.get(told.RESULTS) != told.fingerprint(results[:had]):
            writer.delete(run)  # it holds more than some of these results
            run, had = None, 0
        if run is None:
            begin = min(told.moment_of(result) - round(1000 * result.seconds) for result in results)
            run = known[key] = writer.create(told.run_name(record, finalist), max(begin, 1), tags)
        moment = max(map(told.moment_of, results))
        points = told.seed_points(results[had:])
        if run.tags.get(told.RESULTS) != told.fingerprint(results):
            points = told.finalist_points(record, comparison.of(key), moment) + points
        tags |= {told.RESULTS: told.fingerprint(results)} | run.logged_with(seeds=len(results))
        writer.log(run, points, wording.run_parameters(search, finalist), tags)
        writer.log_inputs(run, inputs_of(search, tested=True))
        writer.set_status(run, "FINISHED", moment)
    fingerprint = told.fingerprint(record.results)
    if parent.tags.get(told.RESULTS) != fingerprint:
        points = told.verdict_points(record, judgement, max(map(told.moment_of, record.results)))
        writer.log(parent, points, {}, {told.RESULTS: fingerprint})
