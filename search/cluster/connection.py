"""Starts Ray for one search on this machine, or joins a running cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import secrets
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import ray
from ray._private import ray_constants, services
from ray._private import utils as ray_utils

import search
from search.cluster.jobs import code_folders
from search.cluster.reachable import explain_refusal, in_ray_job
from search.cluster.sharing import alive_nodes
from search.cluster.short_path import temporary_folder
from search.errors import ClusterError
from search.settings import ResourceSettings, SearchConfig

# Switches of Ray and Tune, which they read from the environment only.
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our history files hold what result.json would repeat
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",  # a long trial's checkpoints may force syncs
    "RAY_AIR_NEW_OUTPUT": "0",  # its boxes come even at verbosity 0; our own table says more
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # our line says why a trial failed; its traceback stands in its folder
    "RAY_USAGE_STATS_ENABLED": "0",
    # Its thread outlives `ray.shutdown`. If it logs while the process ends, the process dies of a segmentation fault.
    "RAY_enable_open_telemetry": "0",
}
# Ray starts a worker for every core as soon as it is up, and its first driver waits for them. Trials use none of these
# workers, since Tune's actors have an environment of their own. On many cores they would be as many idle processes.
_NO_WORKERS_AHEAD = ("RAY_prestart_worker_first_driver", "0")
_ROUNDING = 1e-6


@contextlib.contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """Run Ray within the block; shut it down afterwards if it was started here, but keep a joined cluster running.

    A Ray of our own listens on the loopback interface only and demands a token from this process's environment. So
    nobody else on the machine can run code through it. The project's code is sent to a cluster, so its nodes need only
    the libraries.

    Raises:
        ClusterError: no cluster answers at `address`, or the folder of temporary files has too long a path.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": True}
    if ray.is_initialized():
        yield
        return
    # Ray would set a handler of SIGTERM that ends the driver without saving, in place of ours.
    without_handler = mock.patch.object(ray_utils, "set_sigterm_handler", create=True)
    if address is None:
        if "RAY_AUTH_MODE" not in os.environ:
            # Ray then asks for a token of its own accord, and would write one into the home folder if there were none.
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault(*_NO_WORKERS_AHEAD)
        with without_handler:
            _start(quiet)
    else:
        # A job's own runtime environment holds the code already.
        ship = {} if in_ray_job() else {"py_modules": code_folders()}
        try:
            with without_handler:
                ray.init(address=address, runtime_env={**ship, **_own_packages_first()}, **quiet)
        except Exception as error:  # ConnectionError, RuntimeError, ValueError, AuthenticationError …
            raise ClusterError(
                f"the Ray cluster at `--address` {address!r} could not be joined: {explain_refusal(str(error))}"
            ) from error
    if threading.current_thread() is threading.main_thread():
        # Ray's native code has set a handler, too, which would abort the process; this sets Python's again.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        yield
    finally:
        ray.shutdown()


class _InItsOwnGroup(subprocess.Popen[bytes]):
    """A process that a signal to this one's process group does not reach.

    `timeout`, systemd and batch systems end a program by SIGTERM to its whole group. Without Ray's processes this one
    could not end the search cleanly: it would wait for a minute and then be aborted.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **{"process_group": 0, **named})


def _own_packages_first() -> dict[str, Callable[[], None]]:
    """Return the part of a runtime environment that lets each worker import the project's packages before all else.

    Ray then puts this process's working folder and its script's folder first in the workers' path. A user's file there,
    such as `policies.py`, would hide the package of that name.
    """
    folder = str(pathlib.Path(search.__file__).absolute().parents[1])

    def take_packages() -> None:
        import contextlib
        import importlib
        import sys

        sys.path.insert(0, folder)  # a node without this folder has the packages in its path, or was sent them
        with contextlib.suppress(ImportError):
            importlib.import_module("search")
        sys.path.remove(folder)

    return {"worker_process_setup_hook": take_packages}


def _start(quiet: dict[str, Any], *, again: bool = True) -> None:
    """Start a Ray of our own; try twice, since its processes may start too slowly on a busy machine."""
    folder = temporary_folder()
    try:
        # Ray has no settings for these two; `create`, since a release of it may know neither name.
        with (
            # Ray asks the kernel to end them with this process, whatever their group, so none is left behind.
            mock.patch.object(services, "ConsolePopen", _InItsOwnGroup, create=True),
            # Else Ray on Linux puts the machine's own address in place of 127.0.0.1.
            mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False, create=True),
        ):
            # "local", since without an address Ray joins the cluster that RAY_ADDRESS names, or the machine's last.
            ray.init(
                address="local",
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
                runtime_env=_own_packages_first(),
                **quiet,
            )
    except Exception as error:
        if "timed out during startup" not in str(error):
            raise
        if not again:
            raise ClusterError(
                "Ray's processes did not start within half a minute, twice: this machine is too busy. Try again when"
                " it is less busy, or join a running cluster with `--address`."
            ) from error
        _start(quiet, again=False)


def _wanted(resources: ResourceSettings) -> dict[str, float]:
    """Return what a training needs, by kind of resource."""
    return {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}


def room_for(resources: ResourceSettings) -> int:
    """Count the trainings that fit at a time if nobody else uses the nodes; at least 1. Ray must be up."""
    wanted = _wanted(resources)
    room = sum(
        min(int(node["Resources"].get(kind, 0.0) / amount + _ROUNDING) for kind, amount in wanted.items() if amount)
        for node in alive_nodes()
    )
    return max(1, min(room, resources.max_concurrent or room))


def check_resources(config: SearchConfig) -> None:
    """Raise ClusterError if no node could ever run a trial of this search."""
    wanted, nodes = _wanted(config.resources), [node["Resources"] for node in alive_nodes()]
    if any(all(node.get(kind, 0.0) >= amount for kind, amount in wanted.items() if amount) for node in nodes):
        return
    have = "; ".join(f"{n.get('CPU', 0):g} CPU, {n.get('GPU', 0):g} GPU" for n in nodes) or "no node"
    raise ClusterError(
        f"a trial needs {wanted['CPU']:g} CPU and {wanted['GPU']:g} GPU (`resources.cpus_per_trial`,"
        f" `resources.gpus_per_trial`), but the nodes have: {have}. Lower them, e.g."
        " --set resources.gpus_per_trial=0, or add a node that has them."
    )
