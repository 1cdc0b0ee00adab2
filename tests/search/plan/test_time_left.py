"""The time left is a function of what has ended; here schedules of known length are played."""

import pytest

from search.plan.time_left import Costs, Ended, Work, expected_constants, makespan, seconds_left

A, B = Work("a", 1), Work("b", 1)


def left(elapsed, ended, running=(), waiting=None, workers=1, **named):
    return seconds_left(elapsed, ended, running, waiting or {}, workers=workers, **named)


def test_nothing_is_said_before_a_training_has_ended_in_this_run():
    assert left(10.0, [], waiting={A: 3}) is None
    assert left(10.0, [Ended(A, 5.0, now=False)], waiting={A: 3}) is None


@pytest.mark.parametrize(
    ("workers", "waiting", "expected"), [(1, 6, 60), (2, 6, 30), (2, 5, 30), (4, 1, 10), (4, 0, 0)]
)
def test_trainings_share_the_workers(workers, waiting, expected):
    ended = [Ended(A, 10.0)] * workers
    assert left(10.0, ended, waiting={A: waiting}, workers=workers) == pytest.approx(expected)


def test_kinds_that_cost_less_count_for_less():
    ended = [Ended(A, 10.0), Ended(B, 2.0)] * 10
    assert left(120.0, ended, waiting={B: 10}) == pytest.approx(20, rel=0.25)
    assert left(120.0, ended, waiting={A: 10}) == pytest.approx(100, rel=0.1)


def test_what_runs_has_run_for_a_while():
    assert left(17.0, [Ended(A, 10.0)], running=[(A, 7.0)]) == pytest.approx(3.0)
    assert 0 < left(40.0, [Ended(A, 10.0)], running=[(A, 30.0)]) < 10  # late, but not for ever


def test_more_seeds_take_longer_until_they_are_known_to_take_no_longer():
    ended = [Ended(A, 10.0)]
    assert left(10.0, ended, waiting={Work("a", 3): 1}) == pytest.approx(30.0)
    known = [*ended, Ended(Work("a", 3), 12.0)]
    assert left(22.0, known, waiting={Work("a", 3): 1}) == pytest.approx(12.0)


def test_a_machine_that_has_become_slower_is_believed():
    slower = [Ended(A, 10.0)] * 10 + [Ended(A, 20.0)] * 10
    assert 15 < Costs(slower).of(A) < 20


def test_a_failure_says_nothing_of_the_cost():
    assert Costs([Ended(A, 10.0), Ended(A, 0.1, sound=False)]).of(A) == pytest.approx(10.0)


def test_gaps_between_trainings_go_on():
    assert left(13.0, [Ended(A, 5.0), Ended(A, 5.0)], waiting={A: 2}) == pytest.approx(13.0)


def test_so_many_of_a_kind_at_a_time_hold_up_the_end():
    assert makespan([(A, 1.0)] * 6, workers=6) == 1.0
    assert makespan([(A, 1.0)] * 6, workers=6, most_of_a_kind=2) == 3.0
    assert makespan([*[(A, 1.0)] * 4, *[(B, 1.0)] * 4], workers=4, most_of_a_kind=2) == 2.0


@pytest.mark.parametrize("settings", [0, 1, 2, 5])
def test_constants_to_come_are_within_what_may_come(settings):
    for most in (1, 12, 40, 100):
        expected = [expected_constants(begun, most, settings=settings) for begun in range(most + 1)]
        assert all(begun <= number <= most for begun, number in enumerate(expected))
        assert expected == sorted(expected)
        assert expected[-1] == most
