"""Folders for the tests' searches."""

import os
import pathlib

import pytest

from search.settings.launch import Launch

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> pathlib.Path:
    """Keep teachers, trained once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def launch(tmp_path_factory, cache) -> Launch:
    """Make a folder of results on this machine."""
    return Launch.on_this_machine(tmp_path_factory.mktemp("runs"), cache, "test")
