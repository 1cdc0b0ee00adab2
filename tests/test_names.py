"""The packages show what they offer, with its types; a user's files of the same names change nothing."""

import importlib
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import venv
import zipfile

import pytest

import policies
from tests.search.run.test_python import MINE
from tests.trainables.functions.function_files import DIGITS

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ("policies", "trainables", "search")


@pytest.mark.parametrize("name", PACKAGES)
def test_dir_shows_what_is_offered_and_all_of_it_is_there(name):
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    for offered in package.__all__:
        assert getattr(package, offered) is not None


def test_every_family_is_imported_by_its_class_name():
    shipped = [policy for policy in policies.FAMILIES.values() if policy.__module__.startswith("policies.")]
    assert len(shipped) >= 33
    for policy in shipped:
        assert policy.__name__ in policies.__all__
        assert getattr(policies, policy.__name__) is policy


def test_the_function_run_is_not_hidden_by_the_folder_of_its_name():
    code = "import search, search.run.search; assert callable(search.run); from search.run import check_start"
    subprocess.run([sys.executable, "-c", code], check=True, env=_environment())


# Types


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel and put it into an environment of its own; return the environment's Python."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    built = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    subprocess.run([*built, "--wheel-dir", str(folder), str(source)], check=True)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in PACKAGES:
        assert (site / name / "py.typed").is_file()
    return folder / "env" / "bin" / "python"


def test_a_users_mypy_sees_the_types_of_an_installed_copy(installed, tmp_path):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent(
            """
            import search
            from policies import CosineThreshold, LossBalancer, create_policy
            from trainables import Run

            reveal_type(search.run("digits-quick", {"replicates": 2}))
            reveal_type(search.open("mine").confirm(seeds=4).verdict.headline)
            reveal_type(CosineThreshold(threshold=0.2).rule())
            reveal_type(create_policy("fixed"))
            def distil(run: Run) -> None:
                reveal_type(run.learning_rate)
            search.run("digits-quick", replicates=2)
            search.open(3)
            """
        )
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed), "--cache-dir", "cache"]
    done = subprocess.run([*mypy, "mine.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines()]
    revealed = [line.partition('"')[2].rstrip('"') for line in lines if "Revealed" in line]
    assert revealed == ["search.run.found.Search", "str", "str", "policies.policy.Policy", "float"], done.stdout
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 2, errors
    assert 'Unexpected keyword argument "replicates"' in errors[0]
    assert 'incompatible type "int"' in errors[1]


# Files of the same names beside the user's script

SCRIPT = """
import sys
import search
import policies
assert policies.__file__ != {own!r}
found = search.run("mine.toml", {{"replicates": 1, "trials_per_family": 1}}, cache="cache")
assert found.status == "finished" and not found.record.all_failed
assert (found.trials["status"] == "finished").all(), found.trials["error"]
"""
FUNCTION = """
name = "function"
function = { name = "train.py:distil", processes = 1, options = { hidden = 8 } }
families = ["fixed", "norm_balance"]
trials_per_family = 1
replicates = 1
trace_points = 4
constant.most_trials = 1
training.learning_rate = 1e-2
"""
COMMAND = "import sys; del sys.path[0]; from search.cli import main; sys.argv[0] = 'kd-search'; main()"


def _environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def folder(tmp_path):
    """Make a user's folder with files of the packages' names."""
    for name in ("policies", "trainables"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the user’s own {name} was run')\n")
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path


def test_files_of_the_packages_names_beside_a_script_are_left_alone(folder):
    (folder / "script.py").write_text(SCRIPT.format(own=str(folder / "policies.py")))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_workers_and_processes_of_a_function_take_the_projects_code(folder):
    """They begin in the user's folder, where all three names are taken."""
    (folder / "search").mkdir()
    (folder / "search" / "__init__.py").write_text("raise SystemExit('the user’s own search was run')\n")
    (folder / "train.py").write_text(DIGITS)
    (folder / "function.toml").write_text(FUNCTION)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "run", "function.toml", "--cache", "cache"],
        cwd=folder, env=_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed:" not in done.stdout


def test_a_module_of_the_users_own_that_was_imported_first_is_named(folder):
    (folder / "policies.py").write_text("mine = 1\n")
    (folder / "script.py").write_text("import policies, search\n")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{folder / 'policies.py'} was imported under this name before. Rename" in done.stderr.splitlines()[-1]


def test_the_module_runs_beside_a_file_of_a_packages_name(folder):
    done = subprocess.run(
        [sys.executable, "-m", "search", "recipes"], cwd=folder, env=_environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, "digits-quick" in done.stdout) == (0, True), done.stderr
