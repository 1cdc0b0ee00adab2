"""Reads a monitor's log as a log of decisions, and sums up its alarms and fall-backs."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import tempfile

from policies.monitoring import LOG_FILE, MonitorLog, read_log
from policies.monitoring.windows import WORDS
from search.errors import SearchError
from trainables.records import DecisionEntry
from trainables.training import LogContext, StoredLog

MLFLOW_SCHEME = "runs:/"
"""The beginning of an MLflow run's address."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """Something that the monitor did at a step, in words; `kind` is `alarm`, `fall_back` or `reset`."""

    kind: str
    step: int
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class MonitorStory:
    """The alarms of a training.

    `alarm_off` is the reason why none could ring, `trainings` the number of confirmed trainings that the ranges are
    from, and `watched` the readings in words.
    """

    alarm_off: str
    trainings: int
    watched: tuple[str, ...]
    events: tuple[Event, ...]


def stored_log(monitored: MonitorLog) -> StoredLog:
    """Return the decisions of a monitor's log, as those of a trial with one seed."""
    start, decisions = monitored.start, monitored.of("decision")
    next_steps = [*(record["step"] for record in decisions[1:]), monitored.steps]
    total = int(start["total_steps"] or monitored.steps)
    entries = tuple(
        DecisionEntry(
            seed=0,
            step=record["step"],
            epoch=0.0,
            weight=record["weight"],
            scale=record["scale"],
            branch=record["branch"],
            reason=record["reason"],
            intervention=record["intervention"],
            repeats=0 if record["intervention"] is None else following - record["step"] - 1,
            progress=record["progress"],
            **record["readings"],
        )
        for record, following in zip(decisions, next_steps, strict=True)
    )
    return StoredLog(LogContext(start["policy"], (0,), monitored.steps, max(total, monitored.steps)), entries)


def monitor_story(monitored: MonitorLog) -> MonitorStory:
    """Sum up alarms, fall-backs and resets."""
    events = [record for record in monitored.records if record["kind"] in ("alarm", "fall_back", "reset")]
    return MonitorStory(
        alarm_off=monitored.start["alarm_off"],
        trainings=int((monitored.start["monitoring"] or {}).get("trainings", 0)),
        watched=tuple(WORDS[name] for name in monitored.start["watch"]),
        events=tuple(Event(kind=one["kind"], step=one["step"], text=one["text"]) for one in events),
    )


def monitor_lines(story: MonitorStory) -> list[str]:
    """Put the alarms into words."""
    if story.alarm_off:
        lines = [f"No alarm could ring: {story.alarm_off}."]
    else:
        watched = ", ".join(story.watched)
        lines = [f"The alarm watched the ranges of {story.trainings} confirmed trainings: {watched}."]
    if not story.events:
        return lines if story.alarm_off else [*lines, "No reading left its range."]
    names = {"alarm": "alarm: ", "fall_back": "", "reset": ""}
    for step, group in itertools.groupby(story.events, key=lambda event: event.step):
        lines += [f"step {step:,}: {names[event.kind]}{event.text}" for event in group]
    return lines


def is_monitor_log(path: pathlib.Path) -> bool:
    """Tell whether a path is a file of JSON lines, or a folder that holds a monitor's log."""
    return path.suffix == ".jsonl" if path.is_file() else (path / LOG_FILE).is_file()


def read_monitored(path: pathlib.Path) -> MonitorLog:
    """Read the log of a path for which `is_monitor_log` is true.

    Raises:
        PolicyError: it is damaged.
    """
    return read_log(path if path.is_file() else path / LOG_FILE)


def read_mlflow(address: str, tracking_uri: str) -> MonitorLog:
    """Read the log of an MLflow run, `runs:/ID`.

    Raises:
        SearchError: there is no such run, or it has no log.
        PolicyError: the log is damaged.
    """
    import mlflow

    run_id = address.removeprefix(MLFLOW_SCHEME).partition("/")[0]
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = mlflow.MlflowClient(tracking_uri).download_artifacts(run_id, LOG_FILE, folder)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise SearchError(
                f"MLflow's run {run_id!r} in {tracking_uri} has no log {LOG_FILE!r} ({error}); name a run that"
                " `Monitor(balancer, to=MLflowRun())` wrote to, and its store with --tracking-uri."
            ) from error
        return read_log(found)
