"""The same settings give the same search to the last bit, for any number of workers and any kills."""

import os
import random
import signal
import subprocess

import pytest

from search.run.search import run_search
from search.store.folder import SearchStore
from search.store.trials import read_search
from tests.search.run.test_interruption import command
from tests.search.tiny import TINY, QuietListener, tiny_config

MORE = ("trials_per_family=6", "constant.most_trials=12", "training.epochs=20", "racing={heats=2}", "replicates=3")
KILLS = 11


def content(search):
    """Return all that a search tried and found, without names, times and places."""
    return {
        trial.number: (
            trial.family,
            trial.parameters,
            trial.shared,
            trial.status,
            [(replicate.seed, replicate.validation_accuracy, replicate.validation_loss) for replicate in replicates],
        )
        for trial in search.trials
        if (replicates := trial.history.replicates) is not None
    }


@pytest.fixture(scope="module")
def alone(launch):
    """Run the search with one worker, undisturbed."""
    config = tiny_config(*MORE, "name=alone", "resources.max_concurrent=1")
    return content(run_search(config, launch, QuietListener()).search)


def test_two_workers_give_what_one_gives(alone, launch):
    both = run_search(tiny_config(*MORE, "name=both"), launch, QuietListener()).search
    assert both.status == "finished"
    assert content(both) == alone


@pytest.mark.slow
def test_a_search_that_is_killed_again_and_again_is_the_undisturbed_one(alone, launch, cache):
    chance, output = random.Random(0), launch.output
    settings = [*TINY, *MORE, "name=killed"]
    verb, killed = ("run", "digits-quick"), 0
    while killed < KILLS:
        process = subprocess.Popen(
            command(*verb, output=output, cache=cache, settings=settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))},
        )
        try:
            process.wait(chance.uniform(8.0, 25.0))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        if process.returncode == 0:
            break
        if SearchStore(launch.storage, "killed").exists():
            verb = ("resume", "killed")
    done = subprocess.run(
        command("resume", "killed", output=output, cache=cache), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert killed > 0
    search = read_search(SearchStore(launch.storage, "killed"))
    assert search.status == "finished"
    assert content(search) == alone
