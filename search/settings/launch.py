"""Holds where a search runs and where it writes its results, as the command line reads them.

The command line takes these places from its flags and from the environment.
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
