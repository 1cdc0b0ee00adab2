"""Made-up searches for tests of what MLflow shows, and an MLflow server."""

import contextlib
import datetime
import os
import pathlib
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from search.records.search import SearchRecord, TrialRecord, TrialStatus
from search.tracking.store import open_client
from search.tracking.ui import ui_command, ui_environment
from trainables.records.trial import EpochRecord, ReplicateResult, TracePoint, TrialHistory

EXPERIMENT = "kd-policy-search"
START = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
EPOCHS = 6
STEPS_AN_EPOCH = 4


def make_history(epochs: int = EPOCHS, score: float | None = 0.9, loss: float = 0.5) -> TrialHistory:
    return TrialHistory(
        score=score,
        score_std=None if score is None else 0.01,
        epochs=tuple(
            EpochRecord(
                epoch=epoch,
                train_task_loss=loss,
                train_distill_loss=1.0,
                validation_loss=0.4,
                validation_accuracy=0.1 * epoch,
                agreement=0.8,
                weight=0.5,
                seconds=2.0,
            )
            for epoch in range(1, epochs + 1)
        ),
        trace=tuple(
            TracePoint(
                step=step,
                epoch=step / STEPS_AN_EPOCH,
                weight=0.5,
                scale=1.0,
                cosine=0.3,
                norm_ratio=2.0,
                task_loss=0.5,
                distill_loss=1.0,
            )
            for step in range(0, epochs * STEPS_AN_EPOCH, 2)
        ),
        decisions=1,
        replicates=(ReplicateResult(seed=0, validation_accuracy=0.9, validation_loss=0.4, agreement=0.8),) * 2,
        policy={"format": "kd-policy", "version": 1, "family": "cosine_threshold"},
    )


def make_trial(number: int, status: TrialStatus = "finished", **changes: Any) -> TrialRecord:
    values: dict[str, Any] = {
        "trial_id": f"trial{number}",
        "number": number,
        "status": status,
        "family": "cosine_threshold",
        "parameters": {"threshold": 0.3, "above": 0.9, "below": 0.5},
        "shared": {"learning_rate": 0.02, "temperature": 8.0},
        "rule": "λ = 0.9 while the gradients' cosine is above 0.3, else 0.5.",
        "short_rule": "cosine > .3: .9, else .5",
        "complexity": 5,
        "started": START + datetime.timedelta(seconds=10 * number),
        "ended": START + datetime.timedelta(seconds=10 * number + 9) if status in ("finished", "failed") else None,
        "history": make_history() if status == "finished" else make_history(2, None),
    }
    return TrialRecord(**(values | changes))


def make_search(name: str, *trials: TrialRecord, **changes: Any) -> SearchRecord:
    config = {
        "name": name,
        "families": ["fixed", "cosine_threshold"],
        "trials_per_family": 2,
        "replicates": 2,
        "evaluations": EPOCHS,
        "trace_points": EPOCHS * STEPS_AN_EPOCH,
        "temperature": 4.0,
        "data": {"name": "digits", "train_size": 100},
        "teacher": {"model": {"name": "cnn"}, "training": {"epochs": 4}},
        "student": {"name": "mlp"},
        "training": {"epochs": EPOCHS, "batch_size": 32, "optimizer": "adamw", "learning_rate": 0.01},
    }
    values: dict[str, Any] = {"name": name, "config": config, "created": START, "status": "finished", "trials": trials}
    return SearchRecord(**(values | changes))


def runs_of(uri: str, search: str, role: str | None = None, experiment: str = EXPERIMENT) -> list[Any]:
    """Return the runs of a search in MLflow: all of them, or those of a role."""
    client = open_client(uri)
    asked = f"tags.`kd.search` = '{search}'" + ("" if role is None else f" and tags.`kd.role` = '{role}'")
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id], asked))


def points_of(uri: str, run: Any, metric: str) -> list[tuple[int, float]]:
    """Return steps and values of a metric."""
    return [(point.step, point.value) for point in open_client(uri).get_metric_history(run.info.run_id, metric)]


def files_of(uri: str, run: Any) -> set[str]:
    """Return the paths of a run's files at the top."""
    return {file.path for file in open_client(uri).list_artifacts(run.info.run_id)}


def wait_until(holds: Callable[[], object], seconds: float = 120.0, what: str = "it") -> None:
    """Wait until it holds; the limit suits a process that has yet to import MLflow on a busy machine."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Tell whether something answers at an address, be it with an error."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError as error:
        return isinstance(error, urllib.error.HTTPError)
    return True


@contextlib.contextmanager
def served(uri: str, port: int, folder: pathlib.Path) -> Iterator[None]:
    command = ui_command(uri, "127.0.0.1", port)
    command += ["--artifacts-destination", str(folder)]
    with subprocess.Popen(
        command,
        env=ui_environment(),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            wait_until(lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}/health"))
            assert server.poll() is None
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # the server's own session: itself and its worker
