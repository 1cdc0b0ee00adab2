"""A Ray head, further nodes and an MLflow server, all on this machine and each ended by its own handle."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import secrets
import signal
import subprocess
import sys

import psutil

from search.records.search import SearchRecord
from search.settings.search_file import load_config
from search.store.folder import SearchStore
from search.store.trials import read_search
from search.tracking.ui import ui_command, ui_environment
from tests.search.ports import free_port
from tests.search.tracking.tracking_record import answers, runs_of, wait_until

_SECONDS_TO_START = 120.0
_BIN = pathlib.Path(sys.executable).parent

QUICK = (
    "families=['fixed','norm_balance']",
    "constant.most_trials=2",
    "trials_per_family=2",
    "replicates=1",
    "training.epochs=20",
    "teacher.training.epochs=3",
)
"""`--set` values that make the recipe digits-quick a search of four trials that take well under a second each."""


def quick(*more: str) -> list[str]:
    """Return the recipe's name with `--set` for each of `QUICK` and of the values given."""
    return ["digits-quick", *(part for value in (*QUICK, *more) for part in ("--set", value))]


class Daemon:
    """A process in a session of its own, with all processes that it starts."""

    def __init__(self, command: list[str], environment: dict[str, str], log: pathlib.Path) -> None:
        self.log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command, env=environment, stdout=stream, stderr=stream, start_new_session=True, cwd="/"
            )

    def end(self) -> None:
        """Kill the process and all that it started."""
        family = self._family()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=3)
        self.process.wait(10)

    def child(self, name: str) -> psutil.Process:
        """Return the process of that name among those that this one started."""
        return next(process for process in self._family() if process.name() == name)

    def _family(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


class RayCluster:
    """A head and further nodes, guarded by a token.

    Args:
        folder: a short path, since Ray's sockets lie below it and a socket's path is 107 characters at most.
        cache: folder of trained teachers.
        head_cpus: number of trials that the head runs at a time.
    """

    def __init__(self, folder: pathlib.Path, cache: pathlib.Path, *, head_cpus: int) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.dashboard = f"http://127.0.0.1:{free_port()}"
        self._daemons: list[Daemon] = []
        (folder / "home").mkdir(parents=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "KD_SEARCH_"))}
        self.environment = inherited | {
            "HOME": str(folder / "home"),
            "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}",  # here a job finds `python`
            "RAY_TMPDIR": str(folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "KD_SEARCH_CACHE": str(cache),
        }
        self.head = self._start(
            *("--head", f"--num-cpus={head_cpus}", f"--port={self.address.rpartition(':')[2]}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={self.dashboard.rpartition(':')[2]}"),
            f"--ray-client-server-port={free_port()}",
        )

    def await_head(self) -> None:
        """Return once jobs can be submitted."""
        url = f"{self.dashboard}/api/version"
        wait_until(lambda: answers(url), _SECONDS_TO_START, f"a dashboard at {url} ({self.head.log})")

    def add_node(self) -> Daemon:
        """Start a node with one CPU; it has joined when this returns."""
        # Nodes on one machine must not unpack a job's files in the same place.
        place = f"--temp-dir={self.folder}/{len(self._daemons)}"
        node = self._start(f"--address={self.address}", "--num-cpus=1", place)
        wait_until(lambda: b"Ray runtime started" in node.log.read_bytes(), _SECONDS_TO_START, f"a node ({node.log})")
        return node

    def search(self, *arguments: str, seconds: float = 240.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `kd-search` to its end, in a folder that is unrelated to the project."""
        return self.python("-m", "search", *arguments, seconds=seconds, **environment)

    def python(self, *arguments: str, seconds: float = 240.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python with the cluster's token."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def begin_search(self, *arguments: str) -> Daemon:
        """Run `kd-search` in the background."""
        return self._daemon([sys.executable, "-m", "search", *arguments])

    def end(self) -> None:
        """End everything that was started here, the head last."""
        for daemon in reversed(self._daemons):
            daemon.end()

    def _start(self, *arguments: str) -> Daemon:
        common = ("--block", "--num-gpus=0", "--node-ip-address=127.0.0.1", "--object-store-memory=100000000")
        return self._daemon([str(_BIN / "ray"), "start", *common, "--dashboard-agent-listen-port=0", *arguments])

    def _daemon(self, command: list[str]) -> Daemon:
        daemon = Daemon(command, self.environment, self.folder / f"{len(self._daemons)}.log")
        self._daemons.append(daemon)
        return daemon


class TrackingServer:
    """An MLflow server, which starts in the background."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(parents=True)
        port = free_port()
        self._uri = f"http://127.0.0.1:{port}"
        command = ui_command(f"sqlite:///{folder}/mlflow.db", port=port)
        command += ["--artifacts-destination", str(folder / "files")]
        self._daemon = Daemon(command, ui_environment(), folder / "log")

    def uri(self) -> str:
        """Return its address once it answers."""
        url = f"{self._uri}/health"
        wait_until(lambda: answers(url), _SECONDS_TO_START, f"an MLflow server at {url} ({self._daemon.log})")
        return self._uri

    def end(self) -> None:
        """Stop it."""
        self._daemon.end()


@dataclasses.dataclass(frozen=True)
class Site:
    """The parts of a site for searches: the cluster, a folder that all nodes share, and an MLflow server."""

    cluster: RayCluster
    storage: pathlib.Path
    tracking_uri: str

    @property
    def places(self) -> tuple[str, ...]:
        """The options that name folder and server."""
        return "--storage", str(self.storage), "--tracking-uri", self.tracking_uri

    def read(self, name: str) -> SearchRecord:
        """Read a search from the storage, without trials if it has not begun."""
        store = SearchStore(str(self.storage), name)
        return read_search(store) if store.exists() else SearchRecord(name=name, config=load_config("digits-quick"))

    def run_statuses(self, name: str) -> dict[str, list[str]]:
        """Return statuses of MLflow runs: `search` has those of the search's own runs, `trials` those of its trials."""
        statuses: dict[str, list[str]] = {"search": [], "trials": []}
        for run in runs_of(self.tracking_uri, name):
            kind = "trials" if "mlflow.parentRunId" in run.data.tags else "search"
            statuses[kind].append(run.info.status)
        return {kind: sorted(values) for kind, values in statuses.items()}
