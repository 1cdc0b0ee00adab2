"""Finds the decision log that a user means: of a search's recommended trial, of another of its trials, or a file."""

from __future__ import annotations

import dataclasses
import pathlib

from policies.monitoring import MonitorLog
from search.confirm import recommended_training
from search.errors import SearchError
from search.explain.monitored import MLFLOW_SCHEME, is_monitor_log, read_mlflow, read_monitored, stored_log
from search.records import SearchRecord, TrialRecord
from search.settings import Launch, next_command
from search.store import SEARCH_FILE, SearchStore, read_search, stored_decisions
from trainables.errors import DataError
from trainables.records import HISTORY_FILE, TrialHistory
from trainables.training import DECISIONS_FILE, StoredLog, read_decisions

EXPLAIN = "explain"
"""The folder, within a search's folder, for the figures of its trials."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A decision log, its title, the trial's history if it is known, and the path for a figure of it.

    `remark` says how the trial stands; it is empty if the user named the trial. `figure` has no suffix.
    """

    title: str
    remark: str = ""
    log: StoredLog
    history: TrialHistory | None
    figure: pathlib.Path
    monitored: MonitorLog | None = None
    """The monitor's log, if it is one."""


def find_source(run: str, launch: Launch) -> Source:
    """Return the log that `run` names: `search`, `search/number`, a log file, a folder with one, or `runs:/ID`.

    Raises:
        SearchError: there is no such search, trial or log.
        DataError: the file is not a decision log.
        PolicyError: the file is not a monitor's log.
    """
    if run.startswith(MLFLOW_SCHEME):
        of_run = run.removeprefix(MLFLOW_SCHEME).partition("/")[0]
        monitored = read_mlflow(run, launch.tracking_uri)
        return _of_monitor(monitored, f"MLflow run {of_run}", launch.output / EXPLAIN / of_run)
    path = pathlib.Path(run)
    if is_monitor_log(path):
        folder = path.absolute() if path.is_dir() else path.absolute().parent
        name = path.stem if path.is_file() else folder.name
        return _of_monitor(read_monitored(path), name, folder / name)
    if path.is_file():
        return _of_file(path)
    if path.is_dir() and (found := sorted([*path.glob(DECISIONS_FILE), *path.glob(f"checkpoint_*/{DECISIONS_FILE}")])):
        return _of_file(found[-1])
    name, _, number = run.partition("/")
    if not name or path.is_absolute() or "/" in number or path.suffix == ".parquet":
        raise SearchError(
            f"there is no decision log at {run!r}; give a search's name, name/number for one of its trials, the path of"
            f" a {DECISIONS_FILE}, of a monitor's log or of a folder that holds one, or runs:/ID for an MLflow run."
        )
    store = SearchStore(launch.storage, name)
    search = read_search(store)
    trial, remark = _recommended(store, search) if not number else (_numbered(search, number, launch), "")
    log = stored_decisions(store, trial)
    if log is None:
        raise SearchError(
            f"trial {trial.number} of {name!r} ({trial.status}) has stored no decision log; one is written with each of"
            f" its checkpoints, at the latest when it ends. `{next_command('status', name, launch)}` shows the search's"
            " progress."
        )
    return Source(
        title=f"trial {trial.number} of {name}",
        remark=remark,
        log=log,
        history=trial.history,
        figure=launch.output / name / EXPLAIN / f"trial-{trial.number}",
    )


def _of_monitor(monitored: MonitorLog, title: str, figure: pathlib.Path) -> Source:
    return Source(title=title, log=stored_log(monitored), history=None, figure=figure, monitored=monitored)


def _of_file(path: pathlib.Path) -> Source:
    history = path.with_name(HISTORY_FILE)
    try:
        known = TrialHistory.from_json(history.read_text(encoding="utf-8")) if history.is_file() else None
    except (OSError, ValueError) as error:
        raise DataError(
            f"{str(history)!r} beside the decision log is damaged: {error}; remove it to explain the log without it."
        ) from error
    folder = path.absolute().parent
    title = folder.parent.name if folder.name.startswith("checkpoint_") else folder.name
    search = folder.parent.parent
    # A trial's folder of Tune lies in its search's folder, where all figures of its trials go. Other logs have their
    # figure beside them.
    figure = search / EXPLAIN / title if (search / SEARCH_FILE).is_file() else path.with_suffix("")
    return Source(title=title, log=read_decisions(path, str(path)), history=known, figure=figure)


def _recommended(store: SearchStore, search: SearchRecord) -> tuple[TrialRecord, str]:
    """Return the trial that the search recommends, and how it stands.

    If a constant without a trial is recommended, it is the best trial of the search.
    """
    found = recommended_training(store, search)
    if found is not None:
        number = found.recommended.trial
        if number is not None:
            return next(trial for trial in search.trials if trial.number == number), found.words
        return found.first, (
            f"the best of the search; {found.recommended.title} is confirmed, a constant that no trial had with these"
            " settings"
        )
    raise SearchError(
        f"no trial of {search.name!r} has finished yet, so none is the best; name one: {search.name}/1 … (it has"
        f" {len(search.trials)} so far)."
    )


def _numbered(search: SearchRecord, number: str, launch: Launch) -> TrialRecord:
    for trial in search.trials:
        if str(trial.number) == number:
            return trial
    numbers = [trial.number for trial in search.trials]
    known = f"its trials are {min(numbers)} to {max(numbers)}" if numbers else "it has none so far"
    report = next_command("report", search.name, launch)
    raise SearchError(f"{search.name!r} has no trial {number!r}; {known}. `{report} --json` lists them.")
