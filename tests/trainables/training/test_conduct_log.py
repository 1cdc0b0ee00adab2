"""The record of every step: here the readings window by window."""

import json
import math

import pytest

from policies.balancer import Step
from policies.geometry import Geometry
from policies.monitoring.windows import WINDOWS
from policies.policy import Decision, Observation
from trainables.records import Conduct
from trainables.training.conduct_log import ConductLog

STEPS = 100


def step(number, **seen):
    weight = number / STEPS
    return Step(Observation(number, weight, **seen), Decision(weight), None, None, None)


def logged(steps, log=None):
    log = ConductLog(STEPS) if log is None else log
    for one in steps:
        log.note(one)
    return log


def test_a_window_holds_the_mean_of_what_was_read_in_it():
    steps = [
        step(n, task_loss=float(n), geometry=Geometry.of(4.0 ** (n % 2), 0.5) if n % 5 < 2 else None)
        for n in range(STEPS)
    ]
    found = logged(steps).conduct().readings
    assert set(found) == {"weight", "cosine", "norm_ratio", "task_loss"}
    assert found["task_loss"].counts == (5,) * WINDOWS
    assert found["task_loss"].means == pytest.approx([5.0 * w + 2.0 for w in range(WINDOWS)])
    assert found["norm_ratio"].counts == (2,) * WINDOWS
    assert found["norm_ratio"].means == pytest.approx([2.0] * WINDOWS)  # the geometric mean of 1 and 4


def test_readings_that_are_not_finite_are_left_out():
    steps = [step(n, task_loss=math.nan, geometry=Geometry(1.0, 0.0, 0.0)) for n in range(STEPS)]
    found = logged(steps).conduct().readings
    assert set(found) == {"weight", "cosine"}


def test_a_resumed_log_equals_an_uninterrupted_one():
    steps = [step(n, task_loss=1.0 / (n + 1)) for n in range(STEPS)]
    first = logged(steps[:33])
    resumed = ConductLog(STEPS)
    resumed.load_state_dict(first.state_dict())
    assert logged(steps[33:], resumed).conduct() == logged(steps).conduct()


def test_a_state_of_an_earlier_release_gives_a_conduct_without_readings():
    steps = [step(n) for n in range(STEPS)]
    state = logged(steps[:33]).state_dict()
    del state["windows"]
    resumed = ConductLog(STEPS)
    resumed.load_state_dict(state)
    found = logged(steps[33:], resumed).conduct()
    assert (found.steps, found.readings) == (STEPS, {})


def test_a_stored_conduct_of_an_earlier_release_is_read():
    stored = json.loads(logged([step(n) for n in range(STEPS)]).conduct().model_dump_json())
    assert Conduct.parse(stored).readings["weight"].counts == (5,) * WINDOWS
    del stored["readings"]
    assert Conduct.parse(stored).readings == {}
