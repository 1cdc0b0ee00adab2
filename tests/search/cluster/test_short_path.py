"""A session's sockets lie at short paths, wherever temporary files go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.cluster.short_path import temporary_folder
from search.errors import ClusterError


@pytest.fixture(autouse=True)
def no_folders(monkeypatch):
    for name in ("RAY_TMPDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_short_folder_is_left_to_ray(name, monkeypatch):
    assert temporary_folder() is None
    monkeypatch.setenv(name, "/scratch/user")
    assert temporary_folder() is None


def test_a_long_folder_of_ones_own_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/scratch/" + "ü" * 30)
    with pytest.raises(ClusterError, match=r"`RAY_TMPDIR` = .* at most 3\d bytes, but has 69\. Set RAY_TMPDIR to a sh"):
        temporary_folder()


def test_ray_starts_below_a_long_folder_of_temporary_files(tmp_path):
    long = tmp_path / ("a-batch-system-makes-long-names" * 3)
    long.mkdir()
    code = (
        "from search.cluster import ray_session\n"
        "with ray_session(None):\n"
        "    import ray\n"
        "    print(ray.get(ray.remote(lambda: 42).options(num_cpus=0).remote()))\n"
    )
    environment = {**os.environ, "TMPDIR": str(long), "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "42", done.stderr
