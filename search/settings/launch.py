"""Holds where a search runs and where it writes its results.

The command line and the Python functions take these places from their options and from the environment.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

DEFAULT_OUTPUT = pathlib.Path("runs")
DASHBOARD_VARIABLE = "RAY_API_SERVER_ADDRESS"
"""The environment variable in which Ray looks for the address of a cluster's dashboard."""
DEFAULT_EXPERIMENT = "kd-policy-search"


def default_cache() -> pathlib.Path:
    """The default folder of teachers and data sets."""
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("KD_SEARCH_CACHE") or home / "kd-policy-search").expanduser()


def default_data_root(cache: pathlib.Path) -> pathlib.Path:
    """The default folder of data sets, beside the teachers in `cache`."""
    return pathlib.Path(os.environ.get("KD_SEARCH_DATA") or cache / "data").expanduser()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launch:
    """The resolved places of a search.

    Attributes:
        output: local folder; each search's report lies in a folder of its name.
        storage: folder or URI (`s3://…`) under which each search has a folder of its name; on a cluster, shared.
        address: address of a running Ray cluster (`auto` or `host:port`); None starts Ray on this machine.
        tracking_uri: the MLflow store.
        experiment: the MLflow experiment.
        tracked_anew: True if these two differ from those that the search began with.
        cache: folder of trained teachers.
        data_root: folder of downloaded and converted data sets.
    """

    output: pathlib.Path
    storage: str
    address: str | None
    tracking_uri: str
    experiment: str
    cache: pathlib.Path
    data_root: pathlib.Path
    report_seconds: float = 5.0
    checkpoint_seconds: float = 30.0
    tracked_anew: bool = False

    @classmethod
    def of(
        cls,
        output: str | os.PathLike[str] | None = None,
        *,
        storage: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        data_root: str | os.PathLike[str] | None = None,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        address: str | None = None,
        report_seconds: float = 5.0,
        checkpoint_seconds: float = 30.0,
    ) -> Launch:
        """Return the launch that a user describes; what is None has its default, or the environment's value.

        Args:
            output: local folder of results, by default `runs`.
            storage: place of the searches, by default `output`.
            cache: folder of trained teachers and data sets.
            data_root: folder of data sets, by default `data` in `cache`.
            tracking_uri: MLflow's store, by default a file in `output`.
            experiment: MLflow's experiment.
            address: of a running Ray cluster.
            report_seconds: seconds between a trial's reports.
            checkpoint_seconds: seconds between its checkpoints.
        """
        from search.settings.tracking_uri import default_tracking_uri

        folder = DEFAULT_OUTPUT if output is None else pathlib.Path(output).expanduser()
        place = str(folder) if storage is None else os.fspath(storage)
        kept = default_cache() if cache is None else pathlib.Path(cache).expanduser()
        data = default_data_root(kept) if data_root is None else pathlib.Path(data_root).expanduser()
        return cls(
            output=folder,
            storage=place if "://" in place else os.path.expanduser(place),
            address=address,
            tracking_uri=tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_tracking_uri(folder),
            experiment=experiment or DEFAULT_EXPERIMENT,
            cache=kept / "teachers",
            data_root=data,
            report_seconds=report_seconds,
            checkpoint_seconds=checkpoint_seconds,
        )

    @classmethod
    def on_this_machine(cls, output: pathlib.Path, cache: pathlib.Path, experiment: str = DEFAULT_EXPERIMENT) -> Launch:
        """Return local places: searches and MLflow's store in `output`, teachers and data sets in `cache`, own Ray."""
        from search.settings.tracking_uri import default_tracking_uri

        return cls(
            output=output,
            storage=str(output),
            address=None,
            tracking_uri=default_tracking_uri(output),
            experiment=experiment,
            cache=cache / "teachers",
            data_root=cache / "data",
        )

    def tracked_at(self, tracking_uri: str, experiment: str) -> Launch:
        """The same launch with another MLflow store."""
        return dataclasses.replace(self, tracking_uri=tracking_uri, experiment=experiment)

    @property
    def storage_option(self) -> str:
        """The option that says where searches are kept."""
        return "--output" if self.storage == str(self.output) else "--storage"

    @property
    def storage_path(self) -> str:
        """`storage` as Ray Tune takes it: a URI, or an absolute path."""
        return self.storage if "://" in self.storage else str(pathlib.Path(self.storage).absolute())
