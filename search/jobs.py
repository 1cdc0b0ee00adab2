"""A search as a Ray job: sent to a running cluster, followed and stopped from anywhere that reaches its dashboard."""

from __future__ import annotations

import asyncio
import pathlib
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any

import policies
import search
import trainables
from search.config import SearchConfig
from search.errors import ClusterError

CONFIG_VARIABLE = "KD_SEARCH_CONFIG"
"""How a job is told its search: the settings as JSON, in its environment."""
_ACTIVE = ("PENDING", "RUNNING")
_GRACE_SECONDS = 120


class Jobs:
    """The Ray Jobs of one cluster.

    Args:
        address: of the cluster's dashboard, `http://host:8265`. A token is taken from the environment as Ray does
            (`RAY_AUTH_MODE=token` and `RAY_AUTH_TOKEN` or `~/.ray/auth_token`).

    Raises:
        ClusterError: nothing that speaks Ray Jobs answers there.
    """

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient

        if not address.startswith(("http://", "https://")):
            raise ClusterError(
                f"`--address` of a submission must be the dashboard's, like http://head:8265, but got {address!r}."
            )
        self.address = address
        try:
            self.client = JobSubmissionClient(address)
        except Exception as error:
            raise ClusterError(
                f"no Ray dashboard answers at {address!r}: {_first_line(error)}. Start the head with `ray start --head"
                " --dashboard-host=…` (ray[default] installed), and check address, port and token."
            ) from error

    def submit(
        self,
        config: SearchConfig,
        *,
        arguments: list[str],
        environment: Mapping[str, str],
        working_dir: pathlib.Path | None,
        ship_code: bool,
    ) -> str:
        """Send a search; a name that has run before is resumed.

        Args:
            config: the search.
            arguments: further arguments of `kd-search run` on the cluster.
            environment: variables that the search's driver and trials get.
            working_dir: a folder that goes along (pictures, checkpoints); paths in the search file are relative to it.
            ship_code: send this installation's three packages too, so that the cluster needs only the libraries.

        Returns:
            The job's id.

        Raises:
            ClusterError: a job of this name is under way, or the cluster refuses the job.
        """
        if active := self.find(config.name, active=True):
            raise ClusterError(
                f"the search {config.name!r} is under way as job {active.submission_id}. Follow it with `kd-search logs"
                f" {config.name} -f --address {self.address}`, or stop it first."
            )
        runtime: dict[str, Any] = {
            "env_vars": {
                **environment,
                CONFIG_VARIABLE: config.model_dump_json(),
                # Time to save the search and to close its MLflow runs when the job is stopped.
                "RAY_JOB_STOP_WAIT_TIME_S": str(_GRACE_SECONDS),
                "PYTHONUNBUFFERED": "1",
            },
        }
        if working_dir is not None:
            runtime["working_dir"] = str(working_dir)
        if ship_code:
            runtime["py_modules"] = [str(pathlib.Path(p.__path__[0])) for p in (policies, trainables, search)]
        try:
            return str(
                self.client.submit_job(
                    entrypoint=shlex.join(
                        ["python", "-m", "search", "run", "-", "--resume", "--address", "auto", *arguments]
                    ),
                    submission_id=f"{config.name}-{time.strftime('%Y%m%d-%H%M%S')}",
                    runtime_env=runtime,
                    metadata={"kd.search": config.name},
                )
            )
        except Exception as error:
            raise ClusterError(f"{self.address} refused the job: {_first_line(error)}.") from error

    def find(self, name: str, *, active: bool = False) -> Any | None:
        """The latest job of a search, or the latest that is still under way; None if there is none."""
        jobs = [
            job
            for job in self.client.list_jobs()
            if (job.metadata or {}).get("kd.search") == name and (not active or str(job.status.value) in _ACTIVE)
        ]
        return max(jobs, key=lambda job: job.start_time or 0, default=None)

    def require(self, name: str) -> Any:
        """As `find`.

        Raises:
            ClusterError: no job of this search is known there.
        """
        job = self.find(name)
        if job is None:
            known = sorted({(j.metadata or {}).get("kd.search", "") for j in self.client.list_jobs()} - {""})
            raise ClusterError(
                f"{self.address} knows no job of a search {name!r}; searches there: {', '.join(known) or 'none'}."
            )
        return job

    def logs(self, name: str, *, follow: bool, write: Callable[[str], None]) -> None:
        """Write a job's log, and with `follow` what comes until it ends."""
        job_id = self.require(name).submission_id
        if not follow:
            write(self.client.get_job_logs(job_id))
            return

        async def tail() -> None:
            async for lines in self.client.tail_job_logs(job_id):
                write(lines)

        asyncio.run(tail())

    def stop(self, name: str) -> str:
        """Stop a search, wait until its state is saved, and return the job's last status.

        Raises:
            ClusterError: there is no such job, or it has not ended when its grace is over.
        """
        job = self.require(name)
        if str(job.status.value) in _ACTIVE:
            self.client.stop_job(job.submission_id)
        deadline = time.monotonic() + _GRACE_SECONDS + 30
        while time.monotonic() < deadline:
            status = str(self.client.get_job_status(job.submission_id).value)
            if status not in _ACTIVE:
                return status
            time.sleep(0.5)
        raise ClusterError(f"job {job.submission_id} has not ended {_GRACE_SECONDS + 30} s after it was told to stop.")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
