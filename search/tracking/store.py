"""Opens MLflow stores: quietly, with short timeouts, and one creator at a time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import filelock

from search.errors import TrackingError
from search.settings import artifact_location, sqlite_path, without_password

REQUEST_SECONDS = 10
_CREATION_SECONDS = 60.0
_BUSY_SECONDS = 20.0  # as long as MLflow waits for others that write to its file
_KIND = "mlflow.experimentKind"
_KIND_TRAINING = "custom_model_development"  # lets MLflow's UI open on the runs, not on traces of language models
_NOTE = "mlflow.note.content"
_ABOUT_EXPERIMENT = (
    "Searches for the rule that sets λ, the weight of the distillation loss. A run with `kd.role` = `search` is one"
    " search and holds its ranking; the runs below it are its trials, one student each. Select two trials and press"
    " *Compare* to see two policies side by side."
)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep MLflow and its database layer from writing to the terminal, in this thread and within the block."""
    # MLflow sends usage data from its import on, and offers no other way to refuse.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.utils.logging_utils import suppress_logs_in_thread

    with suppress_logs_in_thread():
        yield


def open_client(uri: str) -> Any:
    """Return an `mlflow.MlflowClient` of the store, which is created if it is a new SQLite file.

    Raises:
        Exception: whatever MLflow raises if the store cannot be opened.
    """
    with quiet():
        import mlflow
        from mlflow import environment_variables as settings

        # Defaults of this process only: the user's environment takes precedence, and no child inherits them. The
        # caller retries, since it knows whether somebody waits.
        settings.MLFLOW_HTTP_REQUEST_TIMEOUT.default = REQUEST_SECONDS
        settings.MLFLOW_HTTP_REQUEST_MAX_RETRIES.default = 0
        settings.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.default = True
        path = sqlite_path(uri)
        if path is None:
            return mlflow.MlflowClient(tracking_uri=uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f".{path.name}.lock")
        lock.touch()  # fails at once where no file can be made; the lock itself would be tried until its timeout
        # Two processes that run MLflow's first migrations of one file at the same time break it.
        with filelock.FileLock(lock, timeout=_CREATION_SECONDS):
            if "?" not in uri:  # with options SQLite may take the file for something else
                _create_tables(path)
            return mlflow.MlflowClient(tracking_uri=uri)


def _create_tables(path: pathlib.Path) -> None:
    """Fill a new or empty SQLite file with MLflow's tables: all of them or, if this process is killed meanwhile, none.

    MLflow runs its migrations, some 70, outside transactions and cannot resume in the middle of one. So a file that a
    killed process left half made could never be opened. Here they run in memory, where no step waits for the disk, and
    one transaction copies the result.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as file:
        # The query itself rolls back what a killed process left of a copy.
        if file.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None:
            return
        import sqlalchemy
        from mlflow.store.db.utils import _initialize_tables

        with contextlib.closing(sqlite3.connect(":memory:")) as memory:
            _initialize_tables(
                sqlalchemy.create_engine("sqlite://", creator=lambda: memory, poolclass=sqlalchemy.StaticPool)
            )
            # Our processes wait for the lock, but another server may have made the tables by now.
            if file.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None:
                memory.backup(file)


def open_experiment(client: Any, uri: str, name: str, tags: dict[str, str]) -> str:
    """Return the id of the experiment; create it if there is none of this name, and set the tags.

    Raises:
        TrackingError: an experiment of this name was deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        all_tags = {_KIND: _KIND_TRAINING, _NOTE: _ABOUT_EXPERIMENT} | tags
        try:
            return str(client.create_experiment(name, artifact_location=artifact_location(uri), tags=all_tags))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another process came first
    if experiment.lifecycle_stage != "active":
        raise TrackingError(
            f"the MLflow experiment {name!r} in {without_password(uri)!r} was deleted; restore it with `mlflow"
            f" experiments restore --experiment-id {experiment.experiment_id}`, or choose another experiment name."
        )
    for key, value in ({_KIND: experiment.tags.get(_KIND, _KIND_TRAINING)} | tags).items():
        if experiment.tags.get(key) != value:
            client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)
