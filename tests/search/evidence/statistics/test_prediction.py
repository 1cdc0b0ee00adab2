import random

import pytest

from policies.monitoring.windows import READINGS, WINDOWS
from search.evidence.statistics.prediction import FALSE_ALARM_RATE, prediction_ranges
from trainables.records import Conduct, ReadingWindows

ONE = Conduct(
    steps=10, weight_mean=0.5, weight_range=(0.5, 0.5), settled_mean=0.5, settled_range=(0.5, 0.5),
    scale_range=(1.0, 1.0), branches=((0, 10),), settled_branches=(0,), switches=0,
)  # fmt: skip


def conduct(**means):
    """Return a training with these means in each window; a number stands for all windows."""
    windows = {
        name: tuple(value) if isinstance(value, list | tuple) else (value,) * WINDOWS for name, value in means.items()
    }
    return ONE.model_copy(
        update={
            "readings": {
                name: ReadingWindows(counts=tuple(0 if v is None else 4 for v in values), means=values)
                for name, values in windows.items()
            }
        }
    )


def drawn(noise):
    """Return a training whose readings are normal between seeds, with a part that all windows share."""
    shared = noise.gauss(0.0, 0.05)
    return conduct(
        cosine=[0.2 + shared + noise.gauss(0.0, 0.05) for _ in range(WINDOWS)],
        task_loss=[2.0 + shared + noise.gauss(0.0, 0.1) for _ in range(WINDOWS)],
    )


def outside(ranges, one):
    return any(
        not ranges.readings[name].low[window] <= one.readings[name].means[window] <= ranges.readings[name].high[window]
        for name in ranges.readings
        for window in range(WINDOWS)
    )


@pytest.mark.parametrize("trainings", [5, 10, 20])
def test_at_most_one_in_a_hundred_undisturbed_trainings_leaves_its_ranges(trainings):
    noise = random.Random(trainings)
    rung = 0
    for _ in range(300):
        ranges = prediction_ranges([drawn(noise) for _ in range(trainings)])
        rung += sum(outside(ranges, drawn(noise)) for _ in range(4))
    assert 0 < rung <= 1.5 * FALSE_ALARM_RATE * 1200  # the bound, and three standard errors


def test_more_trainings_give_narrower_ranges():
    widths = []
    for trainings in (5, 10, 40):
        found = prediction_ranges([drawn(random.Random(seed)) for seed in range(trainings)]).readings["cosine"]
        widths.append(sum(high - low for low, high in zip(found.low, found.high, strict=True)))
    assert widths[0] > widths[1] > widths[2]


def test_a_reading_without_noise_has_room_for_rounding():
    found = prediction_ranges([conduct(weight=0.5, task_loss=200.0)] * 5).readings
    assert (found["weight"].low[0], found["weight"].high[0]) == (0.48, 0.52)
    assert (found["task_loss"].low[0], found["task_loss"].high[0]) == (196.0, 204.0)


def test_norm_ratios_are_compared_by_their_logarithms_and_no_range_is_beyond_what_can_be():
    found = prediction_ranges([conduct(norm_ratio=2.0**n, weight=0.2 * n, cosine=0.4 * n - 0.8) for n in range(5)])
    ratio = found.readings["norm_ratio"]
    assert ratio.low[0] * ratio.high[0] == pytest.approx(4.0**2, rel=1e-4)
    assert ratio.low[0] > 0.0
    assert (found.readings["weight"].low[0], found.readings["weight"].high[0]) == (0.0, 1.0)
    assert (found.readings["cosine"].low[0], found.readings["cosine"].high[0]) == (-1.0, 1.0)


def test_windows_that_some_training_did_not_read_have_no_range():
    partly = [None] * 3 + [0.5] * (WINDOWS - 3)
    found = prediction_ranges([conduct(cosine=0.5)] * 4 + [conduct(cosine=partly)]).readings["cosine"]
    assert found.low[:3] == found.high[:3] == (None,) * 3
    assert None not in found.low[3:]
    assert found.observations == 4


def test_readings_that_some_training_lacks_have_none():
    found = prediction_ranges([conduct(weight=0.5, cosine=0.1)] * 4 + [conduct(weight=0.5)])
    assert list(found.readings) == ["weight"]


@pytest.mark.parametrize("conducts", [[], [conduct(weight=0.5)] * 4, [ONE] * 10, [None] * 10])
def test_few_trainings_or_those_of_an_earlier_release_give_no_range(conducts):
    assert prediction_ranges(conducts) is None


def test_every_reading_may_have_a_range():
    found = prediction_ranges([conduct(**dict.fromkeys(READINGS, 0.5))] * 5)
    assert tuple(found.readings) == READINGS
