import json

import pytest

from policies import Monitor, PolicyError
from policies.monitoring import read_log
from tests.policies.monitoring.small_monitor import STEPS, balancer_of, batches, document, train


def test_steps_that_a_resumed_training_took_again_are_in_the_log_once(tmp_path):
    path = tmp_path / "log.jsonl"
    balancer, student = balancer_of(tmp_path, document())
    monitor = Monitor(balancer, to=path, every=5)
    train(balancer, student, batches()[:20])
    state = balancer.state_dict()
    train(balancer, student, batches()[20:33])  # killed here, after its last checkpoint
    monitor.close()
    resumed, student = balancer_of(tmp_path, document())
    with Monitor(resumed, to=path, every=5):
        resumed.load_state_dict(state)
        train(resumed, student, batches()[20:])
    log = read_log(path)
    assert [record["step"] for record in log.of("readings")] == list(range(4, STEPS, 5))
    assert (log.start["step"], log.steps) == (0, STEPS)
    assert len(log.of("end")) == 1


def test_a_line_that_was_cut_off_is_dropped(tmp_path):
    path = tmp_path / "log.jsonl"
    balancer, student = balancer_of(tmp_path, document())
    with Monitor(balancer, to=path, every=5):
        train(balancer, student, batches())
    whole = read_log(path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], lines[-1][:20]]), encoding="utf-8")
    assert read_log(path).records == whole.records[:-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no line of it has the kind `start`"),
        ('{"kind": "readings", "step": 3}\n', "no line of it has the kind `start`"),
        ("[1]\n[2]\n", "line 1 is none of its records"),
        ('{"a": 1}\n', "line 1 is none of its records"),
        (json.dumps({"kind": "start", "format": "kd-policy-log", "version": 9, "step": 0}), "version 9"),
    ],
)
def test_a_file_that_is_no_log_is_named(text, message, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=message):
        read_log(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(PolicyError, match="cannot read the log"):
        read_log(tmp_path / "log.jsonl")
