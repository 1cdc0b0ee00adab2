"""Runs a transfer: tunes a constant at scale, then trains the pilot's finalists beside it on fresh seeds.

Finished trainings are kept: an interrupted transfer resumes, and one that is asked for more seeds trains on those only.
"""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Sequence

from search.cluster import check_resources, check_shared, ray_session, stopped_on_request
from search.confirm import SEEDS_ASKED, Unit, read_confirmation, train_missing, units_of
from search.errors import SearchError
from search.prepare import Pictures, prepare
from search.records import TITLE, ConfirmationRecord, ConstantFacts, Finalist, Listener, TransferRecord
from search.settings import Launch, SearchConfig, TransferSettings
from search.store import SearchStore, read_search
from search.transfer.bracket import TUNED, domain_of, next_constants, tuned_of
from search.transfer.plan import BRACKET_SEEDS, bracketed_settings, first_seed, plan_transfer, with_rules_of
from search.transfer.store import TransferStore
from search.wording import number


@dataclasses.dataclass(frozen=True)
class Transferred:
    """A transfer, finished or not, and what failed."""

    record: TransferRecord
    failed: dict[Unit, str]
    """The errors of the finalists' trainings that failed in this run; the next run retries them."""
    interrupted: bool


class _Quiet(Listener):
    """Passes only ticks on, since constants that are tried have no table of their own."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def tick(self) -> None:
        self._listener.tick()


def transfer_search(
    name: str, scaled: SearchConfig, launch: Launch, listener: Listener, settings: TransferSettings
) -> Transferred:
    """Begin a transfer, resume one, or give one more seeds.

    Args:
        name: of the pilot, a search that has finished.
        scaled: the scaled search file's settings.
        launch: the pilot's places.
        listener: receives the events.
        settings: of the transfer.

    Raises:
        SearchError: the pilot is unknown, unfinished or running, or the transfer began with other settings or data.
        KDPolicySearchError: data, teacher or cluster is not available.
    """
    store = SearchStore(launch.storage, name)
    pilot = store.config()
    scaled = with_rules_of(scaled, pilot)
    with store.locked(), stopped_on_request(store, "transfer"):
        search, confirmation, kept = read_search(store), read_confirmation(store), TransferStore(store, scaled.name)
        planned, finalists = plan_transfer(search, confirmation, scaled, settings, launch)
        record = _continued(kept.read(), planned, settings)
        if record.complete:
            listener.stage("everything is transferred already; use --seeds to add seeds")
            return Transferred(record, {}, interrupted=False)
        for what in _stages(record, scaled):
            listener.stage(what)
        listener.stage("starting Ray" if launch.address is None else f"joining the Ray cluster at {launch.address}")
        with ray_session(launch.address):
            check_resources(scaled)
            check_shared(store)
            ray_is_up = threading.Event()
            ray_is_up.set()
            prepared = prepare(scaled, launch, listener, ray_is_up)
            if record.foundation and (other := prepared.foundation.mismatch(record.foundation)):
                raise SearchError(
                    f"the transfer of {name!r} to {scaled.name!r} began on other inputs than those found now ({other})."
                    f" Restore them, or move `transfer/{scaled.name}` in the search's folder aside to begin again."
                )
            record = record.model_copy(update={"foundation": prepared.foundation.text})
            pictures = Pictures.without_test_set(prepared.assets)
            first = first_seed(pilot, scaled, confirmation)
            if record.trained is None:
                record, interrupted = _tuned(record, finalists, scaled, pilot, pictures, launch, listener, kept, first)
                if interrupted:
                    return Transferred(record, {}, interrupted=True)
            trained = record.trained
            assert trained is not None  # the constants at scale are known
            trained = trained.model_copy(update={"test_size": _size(pictures)})
            kept.write(record.model_copy(update={"trained": trained}))
            failed, interrupted, _ = train_missing(trained, scaled, pictures, launch, listener, kept.trained)
        return Transferred(kept.read() or record, failed, interrupted)


def _continued(earlier: TransferRecord | None, planned: TransferRecord, settings: TransferSettings) -> TransferRecord:
    """Return the record to go on with: the earlier one with as many seeds as are asked for, or the planned one.

    Raises:
        SearchError: the transfer began with another choice, other finalists or other settings.
    """
    if earlier is None:
        return planned
    same = ("scaled", "choice", "kept", "pilot")
    differing = [name for name in same if getattr(earlier, name) != getattr(planned, name)]
    free = {"seeds", "smallest_gain"}
    ours, theirs = ({k: v for k, v in one.settings.items() if k not in free} for one in (earlier, planned))
    differing += [name for name in ours if ours[name] != theirs.get(name)]
    if differing:
        told = {"scaled": "another scaled file", "choice": "another choice of the pilot", "pilot": "other finalists"}
        words = ", ".join(told.get(name, f"another `{name}`") for name in differing)
        raise SearchError(
            f"the transfer of {planned.search!r} to {planned.name!r} began with {words}. Give the scaled search another"
            f" `name`, or move `transfer/{planned.name}` in the search's folder aside to begin again."
        )
    trained = earlier.trained
    if trained is None or settings.seeds <= len(trained.seeds):
        return earlier
    seeds = tuple(range(trained.seeds[0], trained.seeds[0] + settings.seeds))
    asked = [*trained.settings[SEEDS_ASKED], len(seeds)]
    trained = trained.model_copy(
        update={"seeds": seeds, "settings": {**trained.settings, SEEDS_ASKED: asked}, "complete": False}
    )
    return earlier.model_copy(update={"trained": trained})


def _stages(record: TransferRecord, scaled: SearchConfig) -> list[str]:
    """Say which settings travel and which the scaled file gives."""
    kept = ", ".join(record.kept) or "none"
    given = ", ".join(record.settings["from_scaled"])
    return [
        f"with the pilot's values: every rule's numbers and λ; of the shared settings: {kept}",
        f"with the values of {scaled.name}: {given + ', and ' if given else ''}everything else",
    ]


def _tuned(
    record: TransferRecord,
    finalists: Sequence[Finalist],
    scaled: SearchConfig,
    pilot: SearchConfig,
    pictures: Pictures,
    launch: Launch,
    listener: Listener,
    kept: TransferStore,
    first: int,
) -> tuple[TransferRecord, bool]:
    """Tune a constant at scale, and plan the finalists; return the record, and True if it was interrupted."""
    most = int(record.settings["constants"])
    fixed = [name for name in record.settings["from_scaled"] if name not in scaled.space.shared]
    begin = next((finalist for finalist in finalists if finalist.key == record.constant), None)
    domain = domain_of(bracketed_settings(pilot, scaled, fixed), begin)
    tried = record.bracket or _record(record, (), range(first, first + BRACKET_SEEDS), scaled)
    listener.stage(f"tuning a constant at scale: at most {most} on {BRACKET_SEEDS} seeds")
    while True:
        missing = [unit for unit in units_of(tried) if unit not in {Unit(r.finalist, r.seed) for r in tried.results}]
        if not missing:
            more = next_constants(domain, scaled.seed, tried, most)
            if not more:
                break
            tried = tried.model_copy(update={"finalists": (*tried.finalists, *more), "complete": False})
        record = record.model_copy(update={"bracket": tried})
        kept.write(record)
        failed, interrupted, _ = train_missing(tried, scaled, pictures, launch, _Quiet(listener), kept.bracket)
        if interrupted:
            return record, True
        if failed:
            unit, reason = next(iter(failed.items()))
            raise SearchError(
                f"a constant at scale could not be trained ({unit.name}: {reason}). Mend the cause; the same command"
                " resumes the transfer."
            )
        tried = kept.bracket.read() or tried
        listener.stage(f"{len(tried.finalists)} constants tried; best so far: {_best(tried)}")
    tuned = tuned_of(domain, tried)
    if tuned is None and most:
        raise SearchError("no constant at scale has a finite score; give smaller learning rates in the scaled file.")
    chosen, retuned = [*finalists], dict[str, str]()
    if tuned is not None:
        chosen += [one for one in tuned.finalists if not _there(one, finalists, record.constant)]
        rules = [finalist for finalist in finalists if finalist.role == "rule"][: int(record.settings["retuned"])]
        for rule in rules:
            again = _retuned(rule, tuned.finalists[0])
            if again.shared != rule.shared:
                chosen.append(again)
                retuned[again.key] = rule.key
    facts = (
        tuned.facts if tuned is not None else ConstantFacts(chosen=record.constant, reason="none was tuned at scale")
    )
    key = (
        None
        if tuned is None
        else next(
            (one.key for one in chosen if one.key == TUNED or _there(tuned.finalists[0], [one], record.constant)), None
        )
    )
    start = first + BRACKET_SEEDS
    seeds = range(start, start + int(record.settings["seeds"]))
    facts = facts.model_copy(update={"chosen": key or record.constant})
    trained = _record(record, tuple(chosen), seeds, scaled).model_copy(update={"constant": facts})
    return record.model_copy(update={"trained": trained, "tuned": key, "retuned": retuned}), False


def _there(constant: Finalist, finalists: Sequence[Finalist], key: str | None) -> bool:
    """Tell whether a constant at scale is one of the pilot's finalists, so that it need not be trained twice."""
    return any(
        (other.key == key or other.role == "labels_alone")
        and (other.parameters, other.shared) == (constant.parameters, constant.shared)
        for other in finalists
    )


def _retuned(rule: Finalist, constant: Finalist) -> Finalist:
    update = {"key": f"{rule.key}-retuned", "shared": dict(constant.shared), "trial": None, "search_score": None}
    return rule.model_copy(update=update)


def _record(
    record: TransferRecord, finalists: tuple[Finalist, ...], seeds: range, scaled: SearchConfig
) -> ConfirmationRecord:
    gain = record.settings["smallest_gain"]
    return ConfirmationRecord(
        search=record.search,
        seeds=tuple(seeds),
        finalists=finalists,
        objective=scaled.base_trial().objective,
        smallest_gain=scaled.confirm.smallest_gain if gain is None else gain,
        identity=uuid.uuid4().hex,
        settings={SEEDS_ASKED: [len(seeds)], TITLE: f"Transfer of {record.search} to {record.name}"},
    )


def _best(tried: ConfirmationRecord) -> str:
    def score(finalist: Finalist) -> float:
        scores = list(tried.scores(finalist.key).values())
        return sum(scores) / len(scores) if scores else float("-inf")

    best = max(tried.finalists, key=score)
    settings = "".join(f", {name.replace('_', ' ')} {number(value)}" for name, value in best.shared.items())
    return f"{best.rule}{settings}"


def _size(pictures: Pictures) -> int | None:
    return None if pictures.test is None else len(pictures.test)
