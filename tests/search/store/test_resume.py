"""The checkpoint from which a trial resumes after its search was killed."""

from types import SimpleNamespace

import pytest
import torch

from search.store.folder import SearchStore
from search.store.resume import mend_checkpoints
from trainables.trial import STATE_FILE, STUDENT_FILE, DistillationTrial

TRIAL = "0001-fixed-abc"


@pytest.fixture
def store(tmp_path):
    (tmp_path / "tiny" / TRIAL).mkdir(parents=True)
    return SearchStore(str(tmp_path), "tiny")


def write(store, number, file, value=0):
    folder = store.local_folder / TRIAL / f"checkpoint_{number:06d}"
    folder.mkdir()
    torch.save({"value": value}, folder / file)
    return folder


def mend(store, number, *, ended=False):
    path = store.local_folder / TRIAL / f"checkpoint_{number:06d}"
    checkpoint = SimpleNamespace(path=f"/where/it/was/once/tiny/{TRIAL}/{path.name}")
    mend_checkpoints(store, [SimpleNamespace(ended=ended, trial=lambda: SimpleNamespace(checkpoint=checkpoint))])
    return path


def value(folder):
    return torch.load(folder / STATE_FILE)["value"]


def test_a_checkpoint_that_is_there_stays(store):
    write(store, 1, STATE_FILE, 1)
    write(store, 2, STATE_FILE, 2)
    assert value(mend(store, 1)) == 1


def test_one_that_was_replaced_becomes_the_newest_whole_one(store):
    write(store, 1, STATE_FILE, 1)
    write(store, 2, STATE_FILE, 2)
    torn = write(store, 3, STATE_FILE, 3) / STATE_FILE
    torn.write_bytes(torn.read_bytes()[:-40])
    assert value(mend(store, 0)) == 2


def test_that_of_an_end_that_nobody_heard_of_becomes_an_older_one(store):
    write(store, 1, STATE_FILE, 1)
    write(store, 2, STUDENT_FILE)
    mended = mend(store, 2)
    assert value(mended) == 1
    assert not (mended / STUDENT_FILE).exists()


@pytest.mark.parametrize("file", [None, STUDENT_FILE])
def test_without_any_the_trial_begins_anew(store, file):
    if file is not None:
        write(store, 2, file)
    mended = mend(store, 2)
    assert list(mended.iterdir()) == []
    beginning = SimpleNamespace(_training=None)
    DistillationTrial.load_checkpoint(beginning, str(mended))
    assert beginning._training is None


def test_trials_that_ended_are_left_alone(store):
    student = write(store, 2, STUDENT_FILE) / STUDENT_FILE
    mend(store, 2, ended=True)
    assert student.exists()
