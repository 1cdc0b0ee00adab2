"""Publishes a search or its confirmation when it has ended: report, champion, MLflow."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from search.confirm import (
    FOLDER,
    Champion,
    choose_champion,
    module_reader,
    read_confirmation,
    student_reader,
    withdraw_champion,
    write_card,
    write_champion,
)
from search.errors import TrackingError
from search.evidence import ReportSource, judge
from search.records import SearchRecord, read_analysis
from search.settings import Launch
from search.store import SearchStore, decision_reader, stored_decisions
from search.tracking import TrackedConfirmation, TrackingReport, sync
from search.transfer import read_transfers

if TYPE_CHECKING:
    from search.confirm import Format, Subject


def publish_report(search: SearchRecord, launch: Launch) -> pathlib.Path:
    """Write page, figures, numbers and policies under `<output>/<name>/report` and return the page's path.

    Raises:
        SearchError: the confirmation is damaged, or a file cannot be written.
    """
    from search.report import write_report

    return write_report(report_source(search, launch), launch.output / search.name / "report")


def report_source(search: SearchRecord, launch: Launch) -> ReportSource:
    """Collect a search and what is stored beside it: its confirmation, decision logs and analysis.

    Raises:
        SearchError: the confirmation is damaged.
    """
    store = SearchStore(launch.storage, search.name)
    return ReportSource(
        search=search,
        confirmation=read_confirmation(store) if store.exists() else None,
        transfers=read_transfers(store) if store.exists() else (),
        decisions=functools.partial(stored_decisions, store),
        analysis=read_analysis(launch.output / search.name / "analysis"),
        launch=launch,
    )


def report_files(folder: pathlib.Path) -> dict[str, bytes]:
    """Return a report's files as MLflow keeps them with the search's run, as path -> content."""
    return {
        f"report/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def publish_champion(search: SearchRecord, store: SearchStore, launch: Launch) -> pathlib.Path | None:
    """Write the champion's student, policy and verdict under `<output>/<name>/champion`.

    Returns:
        The folder; None while a confirmation names no champion, or if no finalist keeps every KPI gate.

    Raises:
        SearchError: the student cannot be read, or a file cannot be written.
    """
    champion, folder = _champion(search, store), launch.output / store.name / FOLDER
    if champion is None:
        if judge(search, read_confirmation(store)).lacks_champion:
            withdraw_champion(folder)
        return None
    return write_champion(champion, student_reader(store), folder)


def publish_exports(
    search: SearchRecord, store: SearchStore, launch: Launch, formats: Collection[Format] | None = None
) -> tuple[str, ...]:
    """Write the published champion's student in other formats, and name them in its card.

    Args:
        search: as it is stored, with a champion.
        store: of the search.
        launch: its places.
        formats: the formats to write; None for all that the installed packages can write.

    Returns:
        A line for each format that could not be written, with the reason.

    Raises:
        SearchError: a file cannot be read or written.
    """
    from search.confirm import FILES, export_champion, subject_of  # imports PyTorch

    champion = _champion(search, store)
    folder = launch.output / store.name / FOLDER
    if formats is None:
        from trainables.exports import has_onnx

        formats = [form for form in FILES if form != "onnx" or has_onnx()]
    if champion is None or not formats:
        return ()
    if not champion.result.student_kept:
        assert champion.function is not None  # all others keep their students
        return (f"the student is not exported, since {champion.function.origin} did not keep it with `run.keep`",)
    student, module = student_reader(store), module_reader(store)

    def subject() -> Subject:
        return subject_of(champion, search.config, launch, student(champion), module(champion))

    problems = export_champion(folder, subject, formats)
    write_card(champion, folder)
    return problems


def tracked_confirmation(search: SearchRecord, store: SearchStore) -> TrackedConfirmation | None:
    """Return what MLflow shows of a search's confirmation; None if none has begun.

    Raises:
        SearchError: a file of it is damaged.
    """
    record = read_confirmation(store)
    if record is None:
        return None
    return TrackedConfirmation(record=record, champion=_champion(search, store), read_student=student_reader(store))


def project(search: SearchRecord, store: SearchStore, launch: Launch, page: pathlib.Path) -> TrackingReport:
    """Bring MLflow up to date with a search, its report and its confirmation.

    Args:
        search: as it is stored.
        store: of the search.
        launch: its places.
        page: of its report.

    Raises:
        TrackingError: the store fails.
    """
    return sync(
        search,
        launch.tracking_uri,
        launch.experiment,
        report_files(page.parent),
        decision_reader(store),
        tracked_confirmation(search, store),
        read_transfers(store),
    )


@dataclasses.dataclass(frozen=True)
class Published:
    """The files of a confirmation."""

    page: pathlib.Path
    """The report's page."""
    champion: pathlib.Path | None
    """The champion's folder; None while there is no champion."""
    not_exported: tuple[str, ...]
    """A line for each format that the champion's student could not be written in."""
    problem: str | None
    """The reason why MLflow does not have everything; None if it has."""


def publish_confirmation(search: SearchRecord, launch: Launch) -> Published:
    """Write report and champion after a confirmation, and log both to MLflow.

    Raises:
        SearchError: a file cannot be read or written.
    """
    store = SearchStore(launch.storage, search.name)
    page = publish_report(search, launch)
    champion = publish_champion(search, store, launch)
    not_exported = () if champion is None else publish_exports(search, store, launch)
    try:
        tracked = project(search, store, launch, page)
        problem = None if tracked.complete else str(tracked)
    except TrackingError as error:
        problem = str(error)
    return Published(page, champion, not_exported, problem)


def publish_transfer(search: SearchRecord, launch: Launch) -> tuple[pathlib.Path, str | None]:
    """Write the report after a transfer, and log it to MLflow.

    Returns:
        The report's page, and the reason why MLflow does not have everything; None if it has.

    Raises:
        SearchError: a file cannot be read or written.
    """
    page = publish_report(search, launch)
    try:
        tracked = project(search, SearchStore(launch.storage, search.name), launch, page)
    except TrackingError as error:
        return page, str(error)
    return page, None if tracked.complete else str(tracked)


def _champion(search: SearchRecord, store: SearchStore) -> Champion | None:
    record = read_confirmation(store)
    return None if record is None else choose_champion(record, judge(search, record), search.config)
