"""Projects transfers into MLflow: tags and numbers of the search's own run, and a run for each finalist at scale."""

from __future__ import annotations

from collections.abc import Sequence

from search.evidence import TransferFindings, TransferRow, transfer_findings, transfer_headline, transfer_sentences
from search.records import Finalist, SearchRecord, TransferRecord
from search.tracking import wording
from search.tracking.confirmed_wording import FINALIST, RESULTS, fingerprint, moment_of
from search.tracking.runs import Run, RunWriter
from search.tracking.series import Point, points_of, value_of
from search.wording import Scale, setting_title

PREFIX = "transfer/"
"""The beginning of the finalists' keys, and of the numbers' names in the search's own run."""


def write_transfers(
    writer: RunWriter,
    known: dict[str, Run],
    search: SearchRecord,
    transfers: Sequence[TransferRecord],
    parent: Run,
) -> None:
    """Bring the runs of all finished transfers' finalists and the search's own up to date.

    Args:
        writer: of the experiment.
        known: the finalists' runs that are there, by key; those of a transfer begin with `PREFIX`.
        search: the pilot.
        transfers: its transfers; unfinished ones are not shown.
        parent: the search's own run.
    """
    wanted = set[str]()
    for record in transfers:
        found, trained = transfer_findings(record, search.unit), record.trained
        if found is None or trained is None or found.kind == "incomplete":
            continue
        finalists = {finalist.key: finalist for finalist in trained.finalists}
        for row in found.rows:
            key = f"{PREFIX}{record.name}/{row.key}"
            wanted.add(key)
            _write(writer, known, key, search, record, found, row, finalists[row.key], parent)
        tag, mark = f"kd.{PREFIX}{record.name}".replace("/", "."), fingerprint(trained.results)
        tags = {tag: transfer_headline(found), f"{tag}.kind": found.kind, f"{tag}.results": mark}
        points = [] if parent.tags.get(f"{tag}.results") == mark else _points(record, found)
        writer.log(parent, points, {}, wording.cut_tags(tags))
    for key in [key for key in known if key.startswith(PREFIX) and key not in wanted]:
        writer.delete(known.pop(key))  # of a transfer that was moved away


def _write(
    writer: RunWriter,
    known: dict[str, Run],
    key: str,
    search: SearchRecord,
    record: TransferRecord,
    found: TransferFindings,
    row: TransferRow,
    finalist: Finalist,
    parent: Run,
) -> None:
    assert record.trained is not None  # the findings are of it
    results = [result for result in record.trained.results if result.finalist == row.key]
    moments = [moment_of(result) for result in results]
    mark = fingerprint(results)
    tags = wording.tags_below(
        search,
        parent.run_id,
        "transferred",
        finalist,
        {
            FINALIST: key,
            "kd.transfer": record.name,
            "kd.taken": "yes" if row.key == found.take else "no",
            "kd.tied": ", ".join(f"{name}: {tie}" for name, tie in row.unlike.items()) or "none",
            wording.NOTE: _note(found, row),
        },
    )
    run = known.get(key)
    if run is not None and run.tags.get(RESULTS) not in (None, mark):
        writer.delete(run)  # it holds more than, or other than, these results
        run = None
    if run is None:
        name = wording.cut(f"{record.name}: {row.title}", wording.MAX_NAME)
        begin = min(moment - round(1000 * result.seconds) for moment, result in zip(moments, results, strict=True))
        run = known[key] = writer.create(name, max(begin, 1), tags)
    points: list[Point] = []
    if run.tags.get(RESULTS) != mark:
        objective = record.trained.objective
        values = {
            "score": value_of(objective, row.score),
            "pilot_score": value_of(objective, row.pilot_score),
            "gain": row.gain.mean if row.gain else None,
            "gain_low": row.gain.low if row.gain else None,
            "gain_high": row.gain.high if row.gain else None,
            "p_corrected": row.claim.p_corrected if row.claim else None,
        }
        points = points_of(values, len(results), max(moments))
        for result, moment in zip(results, moments, strict=True):
            score = value_of(objective, record.trained.score(result))
            points += points_of({"seed/score": score, "seed/training_seconds": result.seconds}, result.seed, moment)
    writer.log(run, points, wording.as_text(_parameters(record, finalist)), tags | {RESULTS: mark})
    writer.set_status(run, "FINISHED", max(moments))


def _parameters(record: TransferRecord, finalist: Finalist) -> dict[str, object]:
    config = record.config
    varied = {"learning_rate": config.training.learning_rate, "temperature": config.temperature}
    return {"transfer": record.name, **varied, **finalist.shared, **wording.policy_parameters(finalist)}


def _points(record: TransferRecord, found: TransferFindings) -> list[Point]:
    assert record.trained is not None  # the findings are of it
    regret, agreement = found.regret, found.agreement
    values = {
        "regret": regret.mean if regret else None,
        "regret_low": regret.low if regret else None,
        "regret_high": regret.high if regret else None,
        "tau": agreement.tau if agreement else None,
        "tau_p": agreement.p_value if agreement else None,
        "seeds": found.seeds,
    }
    named = {f"{PREFIX}{record.name}/{name}": value for name, value in values.items()}
    return points_of(named, found.seeds, max(map(moment_of, record.trained.results)))


def _note(found: TransferFindings, row: TransferRow) -> str:
    scale = Scale(found.objective)
    shared = ", ".join(f"{setting_title(name)} {value:.3g}" for name, value in row.shared.items())
    of = "with the pilot's numbers" if row.of_pilot else "with settings that were tuned at scale"
    lines = [f"**{row.rule}**", "", f"Trained under `{found.name}`, {of}{f' ({shared})' if shared else ''}."]
    lines += [f"Score at scale: {scale.value(row.score)}; in the pilot: {scale.value(row.pilot_score)}.", ""]
    return "\n".join(
        [*lines, f"**{transfer_headline(found)}**", "", *(f"- {one}" for one in transfer_sentences(found))]
    )
