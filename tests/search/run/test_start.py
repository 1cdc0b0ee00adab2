"""The modules and processes that a search starts before its trials, and their order."""

import contextlib
import ipaddress
import json
import os
import subprocess
import sys
import threading

import psutil
import pytest
import ray

from search.cluster.connection import ray_session
from search.errors import ClusterError, TrackingError
from search.run import start
from search.run.start import prepared_session
from search.settings.tracking_uri import sqlite_path
from search.store.folder import SearchStore
from search.tracking import MLflowProcess
from tests.search.tiny import QuietListener, tiny_config

TIMED_OUT = "The current node timed out during startup. This could happen because some of the raylet failed to startup."


def loaded_by(code, *names):
    """Return those of these modules that a program has loaded when it ends."""
    program = f"{code}\nimport json, sys\nprint(json.dumps([name for name in {names!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_ray_is_started_before_what_takes_longer_is_imported():
    assert loaded_by("import search.run.search", "ray", "torch", "ray.tune", "mlflow", "optuna", "sklearn") == ["ray"]


def test_ray_starts_no_workers_before_there_is_work():
    # By default Ray starts one a core, and its first driver waits for them.
    code = """
import psutil, ray
from search.cluster.connection import ray_session
with ray_session(None):
    names = [process.name() for process in psutil.Process().children(recursive=True)]
print("raylet" in names, sum(name.startswith("ray::IDLE") for name in names))
"""
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_prestart_worker_first_driver"}
    done = subprocess.run([sys.executable, "-c", code], env=inherited, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["True", "0"]


def test_no_thread_of_rays_metrics_is_left_that_could_crash_the_exit():
    # It is the C++ exporter's, has no name of its own, and can be seen by counting only.
    code = """
import os
from search.cluster import ray_session
with ray_session(None):
    pass
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
print(names.count(open("/proc/self/comm").read()))
"""
    left = {}
    for value in ("0", "1", None):
        environment = {k: v for k, v in os.environ.items() if k != "RAY_enable_open_telemetry"}
        environment |= {} if value is None else {"RAY_enable_open_telemetry": value}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        left[value] = int(done.stdout)
    assert left[None] == left["0"] < left["1"]


def test_a_tracking_file_that_cannot_be_used_is_told_before_the_first_trial(init, launch, monkeypatch):
    monkeypatch.setattr(start, "check_resources", lambda config: None)
    monkeypatch.setattr(start, "check_shared", lambda store: None)
    monkeypatch.setattr(
        "search.prepare.prepare", lambda *_: threading.Event().wait(20)
    )  # it does not wait for the teacher either
    launch.output.mkdir(exist_ok=True)
    path = sqlite_path(launch.tracking_uri)
    path.write_bytes(b"SQLite format 3\x00" + bytes(200))
    config, store = tiny_config(), SearchStore(launch.storage, "tiny")
    monkeypatch.setattr(start, "_SECONDS_TO_ABANDON", 0.1)
    with (
        pytest.raises(TrackingError, match="cannot be used"),
        MLflowProcess() as mlflow,
        prepared_session(config, launch, QuietListener(), store, mlflow),
    ):
        pass


@pytest.fixture
def init(monkeypatch):
    """Replace Ray by one that fails to start as often as it is told to."""
    calls, failures = [], []

    def start(**settings):
        calls.append(settings)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))
    return calls, failures


def test_a_ray_of_our_own_is_no_strangers_cluster_and_is_not_heard_by_the_network(monkeypatch):
    """This starts a real Ray, which takes seconds."""
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")  # an address that nobody has, RFC 5737
    with ray_session(None):
        started = psutil.Process().children(recursive=True)
        assert "gcs_server" in {process.name() for process in started}
        heard_at = set()
        for process in [psutil.Process(), *started]:
            with contextlib.suppress(psutil.NoSuchProcess):
                sockets = process.net_connections("inet")
                heard_at |= {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}
    assert {ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback for ip in heard_at} == {True}


def test_a_ray_that_was_too_slow_to_start_is_tried_once_more(init):
    calls, failures = init
    failures.append(Exception(TIMED_OUT))
    with ray_session(None):
        assert len(calls) == 2
    assert calls[2:] == ["shutdown"]


def test_a_ray_that_never_starts_says_that_the_machine_is_busy(init):
    calls, failures = init
    failures += [Exception(TIMED_OUT)] * 2
    with pytest.raises(ClusterError, match=r"too busy.*--address"), ray_session(None):
        pass
    assert len(calls) == 2


def test_another_failure_of_ray_is_not_tried_again(init):
    calls, failures = init
    failures.append(ValueError("no such folder"))
    with pytest.raises(ValueError, match="no such folder"), ray_session(None):
        pass
    assert len(calls) == 1
