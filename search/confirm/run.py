"""Confirms a search: its finalists are trained again on fresh seeds and judged on the test pictures.

Finished trainings are kept: an interrupted confirmation resumes, and one that is asked for more seeds trains on those
only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from search.cluster import check_resources, check_shared, ray_session, stopped_on_request
from search.confirm.figures import teacher_on_test, with_figures
from search.confirm.plan import plan_confirmation
from search.confirm.store import ConfirmationStore, Unit, set_aside, units_of
from search.confirm.tasks import run_units
from search.confirm.test_set_uses import TEST_DIGEST, count_use
from search.confirm.training import Trained
from search.errors import SearchError
from search.prepare import Ground, Pictures, prepare_ground
from search.records import ConfirmationRecord, Listener, SearchRecord
from search.settings import ConfirmationSettings, Launch, ResourceSettings, SearchConfig
from search.store import SearchStore, read_search
from trainables.pictures import PictureFormat, TrialAssets

_RETRIES_ON_A_CLUSTER = 2


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """A confirmation, finished or not, and what failed."""

    record: ConfirmationRecord
    failed: dict[Unit, str]
    """The errors of the trainings that failed in this run; the next run retries them."""
    interrupted: bool


def confirm_search(
    name: str,
    launch: Launch,
    listener: Listener,
    settings: ConfirmationSettings,
    resources: ResourceSettings | None = None,
    gates: Mapping[str, str] | None = None,
) -> Confirmed:
    """Begin a confirmation, resume one, or give one more seeds.

    Args:
        name: of a search that has finished.
        launch: its places.
        listener: receives the events.
        settings: of the confirmation.
        resources: of one training, and how many run at a time; when not given, those of the search's trials.
        gates: the KPI gates; when not given, those that the confirmation began with, or else the search's.

    Raises:
        SearchError: the search is unknown, unfinished or running, or the confirmation began with other
            finalists, on other data or with another teacher.
        KDPolicySearchError: data, teacher or cluster is not available.
    """
    store = SearchStore(launch.storage, name)
    config = store.config()
    if resources is not None:
        # As many threads as in the search, since another number may round otherwise.
        device = config.device.model_copy(update={"threads": config.base_trial().device.threads})
        config = config.model_copy(update={"resources": resources, "device": device})
    with store.locked(), stopped_on_request(store, "confirm"):
        search, kept = read_search(store), ConfirmationStore(store)
        plan = plan_confirmation(search, config, settings, kept.read(), launch, gates)
        for remark in plan.remarks:
            listener.stage(remark)
        if (
            plan.record.complete
            and (config.function or plan.record.student_figures is not None)
            and (plan.record.pictures or config.own)
        ):
            listener.stage("everything is confirmed already; use --seeds to add seeds")
            kept.write(plan.record)  # the gates may be others
            return Confirmed(plan.record, {}, interrupted=False)
        listener.stage("starting Ray" if launch.address is None else f"joining the Ray cluster at {launch.address}")
        with ray_session(launch.address):
            check_resources(config)
            check_shared(store)
            ground = prepare_ground(config, launch, listener)
            record = _on_same_ground(search, plan.record, ground)
            uses = count_use(store, ground.test_digest, record.identity)
            record = record.model_copy(update={"test_uses": uses})
            if record.teacher is None and ground.pictures.test is not None:
                record = teacher_on_test(record, ground, config)
            kept.write(record)
            failed, interrupted, module = train_missing(record, config, ground.pictures, launch, listener, kept)
        record = kept.read() or record
        if record.test_size is None:
            record = record.model_copy(update={"test_size": _samples(record)})
        if record.complete and not interrupted:
            listener.stage("measuring size and speed")
            record = with_figures(record, ground, config, module)
            kept.write(record)
        return Confirmed(record, failed, interrupted)


def _on_same_ground(search: SearchRecord, record: ConfirmationRecord, ground: Ground) -> ConfirmationRecord:
    """Add what is known of the test pictures to the record; raise SearchError if data or teacher changed."""
    if other := ground.foundation.mismatch(search.foundation):
        raise SearchError(
            f"the search {search.name!r} ran on other inputs than those found now ({other}), so its finalists cannot"
            " be confirmed on them. Restore the data, checkpoint, cache or kind of device that it ran with."
        )
    if record.settings.get(TEST_DIGEST, ground.test_digest) != ground.test_digest:
        raise SearchError(
            f"the confirmation of {search.name!r} began with another test set than is found now, so its results and"
            f" new ones could not be compared. Restore that test set, or {set_aside()}"
            " to begin again."
        )
    settings = {**record.settings, TEST_DIGEST: ground.test_digest}
    assets = ground.pictures.assets
    known = {
        "test_size": record.test_size if ground.pictures.test is None else len(ground.pictures.test),
        "pictures": PictureFormat.of(assets) if isinstance(assets, TrialAssets) else None,
    }
    return record.model_copy(update={"settings": settings, **known})


def _samples(record: ConfirmationRecord) -> int | None:
    """Return the number of test samples, as a training function's trainings tell it; None if they do not."""
    counts = {values.count for result in record.results for values in result.samples.values()}
    return counts.pop() if len(counts) == 1 else None


def train_missing(
    record: ConfirmationRecord,
    config: SearchConfig,
    pictures: Pictures,
    launch: Launch,
    listener: Listener,
    kept: ConfirmationStore,
) -> tuple[dict[Unit, str], bool, bytes | None]:
    """Train what a record lacks, and keep each training as soon as it ends. Ray must be up.

    Args:
        record: its finalists, seeds and results so far.
        config: of the trainings.
        pictures: what they read.
        launch: the places.
        listener: receives the events.
        kept: where results go.

    Returns:
        The errors of what failed, True if it was interrupted, and a training function's student with an example.
    """
    known = {Unit(result.finalist, result.seed) for result in record.results}
    modules: list[bytes | None] = [None]
    samples = {result.test_ids for result in record.results}
    missing = [unit for unit in units_of(record) if unit not in known]

    def keep(trained: Trained) -> None:
        samples.add(trained.result.test_ids)
        if len(samples) > 1:
            raise SearchError(
                f"all trainings of {record.search!r} must be judged on the same test samples, but the function's"
                " `run.report_test` gave other `ids` in different trainings; give the same samples each time, and"
                f" {set_aside()} to begin again."
            )
        kept.add(trained.result, trained.student, trained.module)
        modules.append(trained.module)
        listener.result(trained.result)

    failed: dict[Unit, str] = {}
    listener.confirmation_begins(record)
    try:
        run_units(
            missing,
            {finalist.key: finalist for finalist in record.finalists},
            config,
            pictures,
            # A node may be lost; on one machine a failure is the trainings' own and would only be repeated.
            retries=0 if launch.address is None else _RETRIES_ON_A_CLUSTER,
            done=keep,
            tick=listener.tick,
            failed=failed,
        )
    except KeyboardInterrupt:
        return failed, True, None
    finally:
        listener.end()
    return failed, False, modules[-1]
