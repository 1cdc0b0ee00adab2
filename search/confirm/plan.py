"""Plans a confirmation: its finalists and its seeds, whether it begins or resumes."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from search.confirm.finalists import choose_finalists
from search.confirm.store import set_aside, units_of
from search.errors import SearchError
from search.records import ENDED, ConfirmationRecord, Finalist, SearchRecord
from search.settings import ConfirmationSettings, Launch, SearchConfig, next_command

SEEDS_ASKED = "seeds_asked"
"""The key in a record's settings for the numbers of seeds that were asked for: the first one, then each larger one. A
user who looks at the results and then asks for more seeds finds false leads more often than with a single look."""
_MARGIN = "smallest_gain"
LEFT_OUT = "left_out"
"""The key in a record's settings for the families without a finalist, with the reasons."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """A confirmation with its results so far, and remarks for its user."""

    record: ConfirmationRecord
    remarks: tuple[str, ...]


def plan_confirmation(
    search: SearchRecord,
    config: SearchConfig,
    settings: ConfirmationSettings,
    earlier: ConfirmationRecord | None,
    launch: Launch | None = None,
    gates: Mapping[str, str] | None = None,
) -> Plan:
    """Plan the confirmation of a search, on the seeds that follow the search's own.

    Args:
        search: the finished search.
        config: its settings.
        settings: of the confirmation.
        earlier: the confirmation as it is stored; None if none has begun.
        launch: its places, for the commands in messages.
        gates: the KPI gates; None for those of `earlier`, or else of the search.

    Raises:
        SearchError: the search has not finished, or `earlier` has another student, other finalists or another
            smallest gain.
    """
    if search.status != "finished":
        ended = sum(trial.status in ENDED for trial in search.trials)
        raise SearchError(
            f"the search {search.name!r} must have finished before it is confirmed, but {ended} of"
            f" {config.total_trials} trials have; resume it: {next_command('resume', search.name, launch)}"
        )
    selection = choose_finalists(search, config, settings, launch)
    remarks = [f"{family} is left out: {reason}" for family, reason in selection.left_out.items()]
    if len(config.students) > 1:
        remarks.append(f"the student {selection.finalists[0].student!r} is confirmed, of {', '.join(config.students)}")
    if earlier is None:
        record = ConfirmationRecord(
            search=search.name,
            seeds=_fresh(config, settings.seeds),
            finalists=selection.finalists,
            objective=config.base_trial().objective,
            smallest_gain=settings.smallest_gain,
            gates=dict(config.gates if gates is None else gates),
            searched=config.size,
            constant=selection.constant,
            identity=uuid.uuid4().hex,
            settings={
                **settings.model_dump(mode="json", exclude={"seeds"}),
                LEFT_OUT: selection.left_out,
                SEEDS_ASKED: [settings.seeds],
            },
        )
        return Plan(record, tuple(remarks))
    goes_on = next_command("confirm", search.name, launch)
    grown = earlier.size_of(config) != config.size
    if grown:
        _check_fresh(earlier, config)
    _check_same(earlier, selection.finalists, goes_on, grown=grown)
    _check_margin(earlier, settings, goes_on)
    had = len(earlier.seeds)
    if settings.seeds < had:
        remarks.append(f"{had} seeds were requested before, and all are kept")
    seeds = _fresh(config, max(had, settings.seeds))
    asked = [*earlier.settings[SEEDS_ASKED], *([len(seeds)] if len(seeds) > had else [])]
    if gates is not None and dict(gates) != earlier.gates:
        changed = earlier.gates_changed or bool(earlier.results)
        earlier = earlier.model_copy(update={"gates": dict(gates), "gates_changed": changed})
    record = earlier.model_copy(update={"seeds": seeds, "settings": {**earlier.settings, SEEDS_ASKED: asked}})
    if grown:
        remarks.append("the search has grown since, and has the same finalists; its confirmation goes on")
        record = record.model_copy(update={"searched": config.size, "constant": selection.constant})
    complete = len(record.results) == len(units_of(record))
    return Plan(record.model_copy(update={"complete": complete}), tuple(remarks))


def settings_of(config: SearchConfig, earlier: ConfirmationRecord | None, **given: Any) -> ConfirmationSettings:
    """Take the given settings (not None), and the others as the confirmation began, or from the search file."""
    values = config.confirm.model_dump()
    if earlier is not None:
        values |= {key: value for key, value in earlier.settings.items() if key in values}
        values["seeds"] = len(earlier.seeds)
    return ConfirmationSettings.parse(values | {key: value for key, value in given.items() if value is not None})


def _check_fresh(earlier: ConfirmationRecord, config: SearchConfig) -> None:
    """Make sure that the search has not used a confirmation's seeds since."""
    if used := sorted(set(earlier.seeds) & set(config.seeds)):
        raise SearchError(
            f"the search {earlier.search!r} has grown since its confirmation began, and has trained on the seeds"
            f" {', '.join(map(str, used))}, which were fresh then. To confirm the search as it is now, {set_aside()}."
        )


def _check_same(earlier: ConfirmationRecord, finalists: Sequence[Finalist], goes_on: str, *, grown: bool) -> None:
    """Make sure that a confirmation resumes with the finalists that it began with; `goes_on` is the command for it."""
    before, now = earlier.finalists[0].student, finalists[0].student
    if before != now:
        raise SearchError(
            f"the confirmation of {earlier.search!r} is of the student {before!r}, but got {now!r}, and a search has"
            f" one confirmation. `{goes_on}` resumes it with {before!r}; to confirm {now!r} instead,"
            f" {set_aside(before)}."
        )
    # What is trained decides, not how this release words a rule.
    if [(f.key, f.suggestion) for f in earlier.finalists] != [(f.key, f.suggestion) for f in finalists]:
        began, would = (", ".join(f.key for f in chosen) for chosen in (earlier.finalists, finalists))
        if grown:
            raise SearchError(
                f"the search {earlier.search!r} has grown since its confirmation began with other finalists: {began};"
                f" now they would be {would}. Its verdict remains, as that of the smaller search. To confirm the search"
                f" as it is now, {set_aside()}."
            )
        raise SearchError(
            f"the confirmation of {earlier.search!r} began with other finalists: {began}; now they would be {would}."
            f" `{goes_on}`, without `--families` and `--more-constants`, resumes it with those that it began with; to"
            f" confirm others instead, {set_aside()}."
        )


def _check_margin(earlier: ConfirmationRecord, settings: ConfirmationSettings, goes_on: str) -> None:
    """Make sure that the smallest gain worth a rule was decided before the results were seen."""
    if _MARGIN in earlier.settings and settings.smallest_gain != earlier.smallest_gain:
        began = "none" if earlier.smallest_gain is None else f"{earlier.smallest_gain:g}"
        raise SearchError(
            f"`smallest_gain` must stay as the confirmation of {earlier.search!r} began ({began}), since its results"
            f" are known by now, but got {settings.smallest_gain}. `{goes_on}`, without `--smallest-gain`, resumes it;"
            f" to confirm with another one, {set_aside()}."
        )


def _fresh(config: SearchConfig, count: int) -> tuple[int, ...]:
    first = config.seed + config.replicates
    return tuple(range(first, first + count))
