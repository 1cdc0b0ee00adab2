"""Writes runs into MLflow, so that writing again changes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import pathlib
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from search.tracking.inputs import Input, as_mlflow
from search.tracking.series import Point, rounded

ENDED = ("FINISHED", "FAILED", "KILLED")
_METRICS_A_CALL = 900  # MLflow takes 1000 metrics, parameters and tags together; larger calls cost less a point
_LOGGED = "kd.logged"
_CREATOR = {"mlflow.user": "kd-search", "mlflow.source.name": "kd-search", "mlflow.source.type": "LOCAL"}


@dataclasses.dataclass
class Run:
    """A run in MLflow, with what it is known to hold."""

    run_id: str
    status: str
    began: int
    """The time of its start, in milliseconds since 1970; MLflow cannot change it."""
    ended: int | None
    """The time of its end, like `began`."""
    tags: dict[str, str]
    parameters: set[str]
    metrics: dict[str, float]
    """The latest value of each metric."""

    @classmethod
    def found(cls, found: Any) -> Run:
        """Create a run from the one that MLflow's client returns."""
        return cls(
            run_id=found.info.run_id,
            status=found.info.status,
            began=found.info.start_time or 0,
            ended=found.info.end_time,
            tags=dict(found.data.tags),
            parameters=set(found.data.params),
            metrics=dict(found.data.metrics),
        )

    @property
    def logged(self) -> dict[str, int]:
        """The progress of the run's points (last epoch, step, trial, seeds), and checksums of its files and inputs."""
        counts: dict[str, int] = json.loads(self.tags.get(_LOGGED, "{}"))
        return counts

    def shows(self, point: Point) -> bool:
        """Tell whether the latest value of the point's metric is the point's. An earlier release did not round."""
        had = self.metrics.get(point.name)
        return had is not None and (rounded(had) == point.value or (math.isnan(had) and math.isnan(point.value)))

    def logged_with(self, **counts: int) -> dict[str, str]:
        """Return the tag that holds `logged` after more was written."""
        return {_LOGGED: json.dumps(self.logged | counts, sort_keys=True)}


@dataclasses.dataclass
class Tally:
    """A tally of writing: the ids of runs created or changed, metric points sent, and seconds spent.

    Attributes:
        problem: something could not be read or stored when it was last written, but the rest was.
        address: of the search's trials in the page of an MLflow server; None for any other store.
    """

    runs: set[str] = dataclasses.field(default_factory=set)
    points: int = 0
    seconds: float = 0.0
    problem: str | None = None
    address: str | None = None


class RunWriter:
    """Writes runs of one experiment; what a run is known to hold is not sent again.

    Args:
        client: MLflow's.
        experiment_id: where runs are created.
        tally: counts what is written.
    """

    def __init__(self, client: Any, experiment_id: str, tally: Tally) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.tally = tally

    def create(self, name: str, start: int, tags: Mapping[str, str]) -> Run:
        """Create a run that began at `start`, in milliseconds since 1970; 0 for now."""
        created = self.client.create_run(
            self.experiment_id, start_time=start or round(time.time() * 1000), run_name=name, tags={**_CREATOR, **tags}
        )
        self.tally.runs.add(created.info.run_id)
        return Run.found(created)

    def delete(self, run: Run) -> None:
        """Delete a run; MLflow keeps it among its deleted ones."""
        self.client.delete_run(run.run_id)
        self.tally.runs.add(run.run_id)

    def log(self, run: Run, points: list[Point], parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Send what the run lacks. Tags go last: they say what the run holds by then."""
        from mlflow.entities import Metric, Param, RunTag

        new_parameters = [Param(name, value) for name, value in parameters.items() if name not in run.parameters]
        new_tags = [RunTag(name, value) for name, value in tags.items() if run.tags.get(name) != value]
        if not (points or new_parameters or new_tags):
            return
        metrics = [Metric(point.name, point.value, point.timestamp, point.step) for point in points]
        while len(metrics) > _METRICS_A_CALL:
            self.client.log_batch(run.run_id, metrics=metrics[:_METRICS_A_CALL])
            del metrics[:_METRICS_A_CALL]
        self.client.log_batch(run.run_id, metrics=metrics, params=new_parameters, tags=new_tags)
        self.tally.runs.add(run.run_id)
        self.tally.points += len(points)
        run.parameters.update(parameters)
        run.metrics.update((point.name, point.value) for point in points)
        run.tags.update(tags)

    def log_inputs(self, run: Run, inputs: Sequence[Input]) -> None:
        """Send the data sets and the teacher of a run, unless it has exactly these."""
        checksum = zlib.crc32(json.dumps(inputs).encode())
        if run.logged.get("inputs") == checksum:
            return
        self.client.log_inputs(run.run_id, as_mlflow(inputs))
        self.log(run, [], {}, run.logged_with(inputs=checksum))

    def untag(self, run: Run, names: Iterable[str]) -> None:
        """Delete those of these tags that the run has."""
        for name in run.tags.keys() & set(names):
            self.client.delete_tag(run.run_id, name)
            self.tally.runs.add(run.run_id)
            del run.tags[name]

    def set_status(self, run: Run, status: str, moment: int | None = None) -> None:
        """Give a run its status; one of `ENDED` ends it at a moment, in milliseconds since 1970, or now.

        A run ends when it began, or later: a trial that is trained again may have begun after its last sign of life.
        """
        moment = None if moment is None else max(moment, run.began)
        if run.status == status and moment in (None, run.ended):
            return
        if status in ENDED:
            self.client.set_terminated(run.run_id, status, moment)
        else:
            self.client.update_run(run.run_id, status=status)
        run.status, run.ended = status, moment
        self.tally.runs.add(run.run_id)

    def store_files(self, run: Run, files: Mapping[str, bytes]) -> None:
        """Upload files, path -> content, unless the run has exactly these.

        A store of files may fail where that of the runs does not; then the tally has the problem.
        """
        checksum = checksum_of(files)
        if not files or run.logged.get("files") == checksum:
            return
        try:
            with written(files) as folder:
                self.client.log_artifacts(run.run_id, str(folder))
        except Exception as error:  # from any library that accesses the store: S3, a server's proxy, a folder …
            why = " ".join(str(error).split())[:300]
            self.tally.problem = f"files of run {run.run_id} could not be stored: {why}"
            return
        self.log(run, [], {}, run.logged_with(files=checksum))


def checksum_of(files: Mapping[str, bytes]) -> int:
    """Return a number that changes with any path or content."""
    checksum = 0
    for name, content in sorted(files.items()):
        checksum = zlib.crc32(content, zlib.crc32(f"{name}\0{len(content)}\0".encode(), checksum))
    return checksum


@contextlib.contextmanager
def written(files: Mapping[str, bytes]) -> Iterator[pathlib.Path]:
    """Provide a folder that holds these files within the block."""
    with tempfile.TemporaryDirectory(prefix="kd-search-") as name:
        folder = pathlib.Path(name)
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield folder
