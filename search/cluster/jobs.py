"""Sends a search to a running cluster as a Ray job; follows and stops it from wherever the dashboard is reached."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pathlib
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import policies
import search
import trainables
from search.cluster.sent_settings import settings_text
from search.errors import ClusterError, SearchError, nearest
from search.settings import SearchConfig
from search.store import SearchStore, check_unchanged

CONFIG_VARIABLE = "KD_SEARCH_CONFIG"
"""The environment variable that holds a job's search: the settings, as `settings_text` writes them."""
STORAGE = "kd.storage"
"""The key of a job's metadata that says where its search is kept."""
_NAME = "kd.search"
_ACTIVE = ("PENDING", "RUNNING")
_GRACE_SECONDS = 240
"""The time that a stopped job has to end. MLflow takes the last two minutes of it, at most."""
_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_AGENT = 20.0  # a head's agent, which starts the jobs, comes up some seconds after its dashboard
_ERROR = "error: "
"""The start of the message that the command line ends with."""
_LONGEST_ERROR = 10
"""The longest error message, in lines."""
_TOKEN = "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) to what the head was started with"


class Jobs:
    """The Ray Jobs of one cluster. Its methods raise `ClusterError` also when the dashboard stops answering.

    Args:
        address: of the cluster's dashboard, `http://host:8265`. A token is taken from the environment as Ray does
            (`RAY_AUTH_MODE=token` and `RAY_AUTH_TOKEN` or `~/.ray/auth_token`).

    Raises:
        ClusterError: nothing that speaks Ray Jobs answers there, or it asks for another token.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise ClusterError(
                f"`--address` of a submission must be the dashboard's, like http://head:8265, but got {address!r}."
            )
        self.address = address
        self._client = _connect(address)

    def submit(
        self,
        config: SearchConfig,
        *,
        storage: str,
        arguments: list[str],
        environment: Mapping[str, str],
        working_dir: pathlib.Path | None,
        ship_code: bool,
    ) -> str:
        """Send a search; it is resumed if its name has run before.

        Args:
            config: the search.
            storage: a folder that all nodes share, or a URI.
            arguments: further arguments of `kd-search run` on the cluster.
            environment: variables that the search's driver and trials get.
            working_dir: a folder to send along (pictures, checkpoints); paths in the search file are relative to it.
            ship_code: send this installation's three packages too, so that the cluster needs only the libraries.

        Returns:
            The job's id.

        Raises:
            ClusterError: a job of this name is under way, or the cluster refuses the job.
        """
        if active := self.find(config.name, active=True):
            raise ClusterError(
                f"the search {config.name!r} already runs as job {active.submission_id}. Follow it with `kd-search"
                f" logs {config.name} -f --address {self.address}`, or stop it first."
            )
        runtime: dict[str, Any] = {
            "env_vars": {
                **environment,
                CONFIG_VARIABLE: settings_text(config),
                # Time to save the search and to close its MLflow runs when the job is stopped.
                "RAY_JOB_STOP_WAIT_TIME_S": str(_GRACE_SECONDS),
                "PYTHONUNBUFFERED": "1",
            },
        }
        if working_dir is not None:
            runtime["working_dir"] = str(working_dir)
        if ship_code:
            runtime["py_modules"] = code_folders()
        command = ["python", "-P", "-m", "search", "run", "-", "--resume", "--address", "auto", "--storage", storage]
        with self._asking("refused the job"):
            return self._submit(
                entrypoint=shlex.join([*command, *arguments]),
                submission_id=f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}",
                runtime_env=runtime,
                metadata={_NAME: config.name, STORAGE: storage},
            )

    def find(self, name: str, *, active: bool = False) -> Any | None:
        """Return the latest job of a search, or its latest active job; None if there is none."""
        jobs = [job for job in self._jobs() if job.metadata[_NAME] == name]
        found = [job for job in jobs if not active or job.status in _ACTIVE]
        return max(found, key=lambda job: job.start_time or 0, default=None)

    def require(self, name: str) -> Any:
        """Return the latest job of a search, as `find` does.

        Raises:
            ClusterError: no job of this search is known there.
        """
        job = self.find(name)
        if job is None:
            known = sorted({job.metadata[_NAME] for job in self._jobs()})
            raise ClusterError(
                f"{self.address} has no job of a search {name!r}; searches there:"
                f" {', '.join(known) or 'none'}.{nearest(name, known)}"
            )
        return job

    def last_words(self, job: Any) -> str | None:
        """Return the last line of a job's log, or the whole error that it ends with; None while the log is empty."""
        with self._asking("did not send the log"):
            lines = [line.rstrip() for line in self._client.get_job_logs(job.submission_id).splitlines()]
        told = [line for line in lines if line]
        for length, line in enumerate(reversed(told[-_LONGEST_ERROR:]), start=1):
            if line.startswith(_ERROR):
                return "\n".join(told[-length:])
        return told[-1].strip() if told else None

    def logs(self, name: str, *, follow: bool, write: Callable[[str], None]) -> str:
        """Write a job's log and return the job's status; with `follow`, also write new lines until the job ends."""
        job_id = self.require(name).submission_id

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job_id):
                write(lines)

        with self._asking("stopped sending the log"):
            if follow:
                asyncio.run(tail())
            else:
                write(self._client.get_job_logs(job_id))
            return str(self._client.get_job_status(job_id).value)

    def stop(self, name: str) -> str:
        """Stop a search, wait until its state is saved, and return the job's last status.

        Raises:
            ClusterError: there is no such job, or it has not ended in time.
        """
        job = self.require(name)
        with self._asking("did not stop the job"):
            if job.status in _ACTIVE:
                self._client.stop_job(job.submission_id)
            deadline = time.monotonic() + _GRACE_SECONDS + 30
            while time.monotonic() < deadline:
                status = self._client.get_job_status(job.submission_id)
                if status not in _ACTIVE:
                    return str(status.value)
                time.sleep(0.5)
        raise ClusterError(f"job {job.submission_id} has not ended {_GRACE_SECONDS + 30} s after the request to stop.")

    def _submit(self, **job: Any) -> str:
        deadline = time.monotonic() + _SECONDS_TO_AGENT
        while True:
            try:
                return str(self._client.submit_job(**job))
            except RuntimeError as error:
                if "No available agent" not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise ClusterError(
                        f"the head at {self.address} answers, but the agent that starts its jobs does not. If another"
                        " Ray runs on that machine too, start the head with --dashboard-agent-listen-port=0."
                    ) from error
            time.sleep(1)

    def _jobs(self) -> list[Any]:
        with self._asking("did not list its jobs"):
            return [job for job in self._client.list_jobs() if _NAME in (job.metadata or {})]

    @contextlib.contextmanager
    def _asking(self, failure: str) -> Iterator[None]:
        """Turn any error of Ray's client into `ClusterError` (`RuntimeError`, those of requests and aiohttp, …)."""
        try:
            yield
        except ClusterError:
            raise
        except Exception as error:
            raise ClusterError(f"{self.address} {failure}: {_reason(error)}.") from error


def code_folders() -> list[str]:
    """Return the folders of the three packages, for `py_modules` of a Ray runtime environment.

    They are sent to a cluster whose nodes have only the libraries.
    """
    return [str(pathlib.Path(package.__path__[0])) for package in (policies, trainables, search)]


def seen_from_here(storage: str, name: str) -> SearchStore | None:
    """Return a search that has begun in a storage of other machines; None if it has not, or cannot be read here."""
    try:
        store = SearchStore(storage, name)
        return store if store.exists() else None
    except SearchError:
        return None


def check_begun(config: SearchConfig, storage: str) -> None:
    """Compare a search with what has begun under its name, if the storage can be read from here.

    If it cannot be read, because it is the cluster's, the job compares.

    Raises:
        SearchError: some settings differ.
    """
    store = seen_from_here(storage, config.name)
    if store is not None:
        check_unchanged(config, store.config())


def _connect(address: str) -> Any:
    """Create Ray's client in a thread: it asks the dashboard for its version, and could wait forever."""
    from ray.job_submission import JobSubmissionClient

    for handler in logging.getLogger("ray").handlers:
        handler.setLevel(logging.WARNING)  # it would log every package that it uploads
    clients: list[Any] = []
    problems: list[Exception] = []

    def ask() -> None:
        try:
            clients.append(JobSubmissionClient(address))
        except Exception as error:  # ConnectionError, RuntimeError, AuthenticationError, a JSON error …
            problems.append(error)

    thread = threading.Thread(target=ask, name="ray-jobs", daemon=True)
    thread.start()
    thread.join(_SECONDS_TO_ANSWER)
    if clients:
        return clients[0]
    if not problems:
        reason = f"no answer within {_SECONDS_TO_ANSWER:.0f} s"
    elif type(problems[0]).__name__ == "AuthenticationError":
        raise ClusterError(
            f"the Ray dashboard at {address!r} refuses the token ({_reason(problems[0])}); {_TOKEN}."
        ) from problems[0]
    else:
        reason = _reason(problems[0])
    raise ClusterError(
        f"no Ray dashboard answers at {address!r}: {reason}. Give the address that `ray start --head` prints for its"
        " dashboard (ray[default] must be installed there, and --dashboard-host must let you in)."
    ) from next(iter(problems), None)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".: ") if lines else type(error).__name__
