"""MLflow's SQLite stores: each is made as a whole, whenever its maker is killed."""

from __future__ import annotations

import contextlib
import pathlib
import re
import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy
from mlflow import MlflowClient

from search.tracking.store import open_client, quiet

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = pathlib.Path(__file__).parents[3]
DYING = """
import os, pathlib, sys
import sqlalchemy, mlflow.store.tracking.sqlalchemy_store
from search.tracking.store import open_client

folder = pathlib.Path(sys.argv[1])
for last in map(int, sys.argv[2:]):
    if (child := os.fork()) == 0:
        done = 0

        @sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
        def count(*_):
            global done
            done += 1
            if done > last:
                os._exit(7)

        open_client(f"sqlite:///{folder}/{last}.db")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, last
"""

DYING_COPY = """
import os, sqlite3, sys

source, file = map(sqlite3.connect, sys.argv[1:])
file.execute("PRAGMA cache_size = 5")  # so that pages reach the file before the end
source.backup(file, pages=1, progress=lambda _, left, pages: left > pages / 2 or os._exit(7))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_client(f"sqlite:///{path}")
    return path


def schema(path: pathlib.Path) -> dict[str, list[str]]:
    """Return the words of each table and index: a migration that copies a table writes its constraints in any order."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master")
        return {name: sorted(re.split(r"[\s,()]+", sql or "")) for name, sql in found}


def rows(path: pathlib.Path, table: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(f"SELECT * FROM {table}"))


def test_a_new_store_is_the_one_that_mlflow_makes(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    theirs = tmp_path / "mlflow.db"

    def hurry(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hurry)
    try:
        with quiet():
            MlflowClient(tracking_uri=f"sqlite:///{theirs}")
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hurry)
    assert schema(made) == schema(theirs)
    assert rows(made, "alembic_version") == rows(theirs, "alembic_version") != []
    assert {file.name for file in made.parent.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


def test_a_store_whose_maker_was_killed_opens_as_a_new_one(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The killed processes import MLflow, which takes seconds."""
    moments = (150, 600)
    command = [sys.executable, "-W", "ignore", "-c", DYING, str(tmp_path), *map(str, moments)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    for moment in moments:
        path = tmp_path / f"{moment}.db"
        assert open_client(f"sqlite:///{path}").create_experiment("first")
        assert schema(path) == schema(made)


def test_a_store_whose_copy_was_cut_off_opens_as_a_new_one(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mlflow.db"
    cut = subprocess.run([sys.executable, "-c", DYING_COPY, str(made), str(path)], check=False, timeout=60)
    assert cut.returncode == 7
    assert path.stat().st_size > 0
    assert path.with_name("mlflow.db-journal").stat().st_size > 0
    assert open_client(f"sqlite:///{path}").create_experiment("first")
    assert schema(path) == schema(made)


def test_what_a_store_holds_is_left_alone(made: pathlib.Path) -> None:
    before = open_client(f"sqlite:///{made}").create_experiment("kept")
    assert open_client(f"sqlite:///{made}").get_experiment_by_name("kept").experiment_id == before
