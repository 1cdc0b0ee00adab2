"""Where tests run their searches."""

import os
import pathlib

import pytest

from search.settings.launch import Launch

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> pathlib.Path:
    """Teachers trained once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def launch(tmp_path_factory, cache) -> Launch:
    """A folder of results of its own, on this machine."""
    return Launch.on_this_machine(tmp_path_factory.mktemp("runs"), cache, "test")
