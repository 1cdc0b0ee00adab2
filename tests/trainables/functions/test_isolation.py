import os
import threading

from trainables.functions.isolation import isolated


def test_the_environment_is_reset_and_what_changed_is_named(monkeypatch):
    monkeypatch.setenv("KD_KEPT", "before")
    changed = []
    with isolated(changed):
        os.environ["KD_KEPT"] = "after"
        os.environ["KD_NEW"] = "1"
    assert os.environ["KD_KEPT"] == "before"
    assert "KD_NEW" not in os.environ
    assert changed == ["os.environ (KD_KEPT, KD_NEW)"]


def test_what_ray_writes_in_another_thread_stays(monkeypatch):
    """No process could ask another for anything without Ray's token."""
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    changed = []
    with isolated(changed):
        starting = threading.Thread(target=os.environ.setdefault, args=("RAY_AUTH_TOKEN", "secret"))
        starting.start()
        starting.join()
    assert os.environ.pop("RAY_AUTH_TOKEN") == "secret"
    assert changed == []
