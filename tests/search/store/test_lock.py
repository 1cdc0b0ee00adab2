"""The lock of a search's folder, which leaves no folder behind if nothing was put into it."""

import subprocess
import sys
import threading

import filelock
import pytest

from search.store.lock import SearchLock

HOLD = """
import pathlib, sys
from search.store.lock import SearchLock
lock = SearchLock(pathlib.Path(sys.argv[1]))
lock.acquire(5)
print("held", flush=True)
sys.stdin.readline()
lock.release()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "mine"


def test_a_folder_that_nothing_came_into_goes_with_the_lock(folder):
    lock = SearchLock(folder)
    lock.acquire(0)
    assert folder.is_dir()
    lock.release()
    assert not folder.exists()
    assert folder.parent.is_dir()
    assert not lock.is_held()
    assert not folder.exists()


def test_what_came_into_it_stays(folder):
    lock = SearchLock(folder)
    lock.acquire(0)
    (folder / "search.json").write_text("{}")
    lock.release()
    assert (folder / "search.json").exists()
    assert not lock.is_held()
    assert (folder / "search.json").exists()


def test_a_folder_that_was_taken_away_is_no_error(folder):
    lock = SearchLock(folder)
    lock.acquire(0)
    (folder / ".lock").unlink()
    folder.rmdir()
    lock.release()
    assert not folder.exists()


def test_another_process_that_holds_it_is_seen_and_waited_for(folder):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        lock = SearchLock(folder)
        assert lock.is_held()
        with pytest.raises(filelock.Timeout):
            lock.acquire(0.1)
        assert folder.exists()
        threading.Timer(0.2, lambda: (other.stdin.write("\n"), other.stdin.flush())).start()
        lock.acquire(10)  # the other removes file and folder when it releases the lock
        assert folder.is_dir()
        assert SearchLock(folder).is_held()
        lock.release()
    assert other.returncode == 0
    assert not folder.exists()


def test_never_two_hold_it_however_often_it_comes_and_goes(folder):
    """Each holder finds the folder empty and removes it, while others wait for it."""
    inside, seen, failures = 0, [], []
    count = threading.Lock()

    def compete():
        nonlocal inside
        try:
            for _ in range(40):
                lock = SearchLock(folder)
                lock.acquire(30)
                with count:
                    inside += 1
                    seen.append(inside)
                with count:
                    inside -= 1
                lock.release()
        except Exception as error:  # reported below, outside the thread
            failures.append(error)

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(seen) == 160
    assert max(seen) == 1
    assert not folder.exists()
