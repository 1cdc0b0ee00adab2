import pytest

from policies import PolicyError
from policies.monitoring.ranges import ConfirmedRanges, read_constant, read_ranges
from policies.monitoring.windows import WINDOWS
from tests.policies.monitoring.small_monitor import wide


def test_ranges_are_read_as_they_were_written():
    ranges = ConfirmedRanges(12, 0.01, {"weight": wide(0.1, None), "norm_ratio": wide(0.5, 8.0)})
    assert read_ranges({"monitoring": ranges.document()}) == ranges


def test_a_file_of_an_earlier_release_has_neither_ranges_nor_a_constant():
    assert read_ranges({}) is None
    assert read_constant({}) is None


def _with(**changed):
    stored = ConfirmedRanges(12, 0.01, {"weight": wide(0.1, 0.9)}).document()
    return {"monitoring": {**stored, **changed}}


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"monitoring": []}, "must hold `trainings`"),
        (_with(trainings=None), "must hold `trainings`"),
        (_with(readings={"weight": {"observations": 3, "low": [0.0], "high": [1.0]}}), f"{WINDOWS} numbers or null"),
        (_with(readings={"weight": {"low": [0.0] * WINDOWS, "high": [1.0] * WINDOWS}}), "observations"),
        (_with(readings={"angle": _with()["monitoring"]["readings"]["weight"]}), "unknown reading 'angle'"),
    ],
)
def test_damaged_ranges_are_named(contents, message):
    with pytest.raises(PolicyError, match=message):
        read_ranges(contents)


@pytest.mark.parametrize(
    "stored", [{"weight": 0.5}, 0.5, {"weight": 1.5, "temperature": 4}, {"weight": 0.5, "temperature": 0}]
)
def test_a_damaged_constant_is_named(stored):
    with pytest.raises(PolicyError, match="`constant` of the policy file must"):
        read_constant({"constant": stored})
