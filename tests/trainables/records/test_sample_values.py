import numpy as np
import pytest

from trainables.records.sample_values import SampleValues

RNG = np.random.default_rng(0)


def test_truth_values_survive_and_are_small():
    right = RNG.random(10_001) < 0.85
    kept = SampleValues.of(right)
    assert (kept.kind, kept.count) == ("bits", 10_001)
    assert np.array_equal(kept.values() == 1.0, right)
    assert len(kept.packed) < 1_800


def test_numbers_survive_as_float32_with_what_is_not_finite():
    losses = np.array([0.1, -2.5, np.nan, np.inf], np.float32)
    kept = SampleValues.of(losses)
    assert kept.kind == "float32"
    assert np.array_equal(kept.values(), losses, equal_nan=True)


def test_values_survive_json():
    kept = SampleValues.of(RNG.random(50) < 0.5)
    again = SampleValues.model_validate_json(kept.model_dump_json())
    assert again == kept
    assert np.array_equal(again.values(), kept.values())


@pytest.mark.parametrize("packed", ["no base64!", "eJwDAAAAAAE="])
def test_damage_is_an_error(packed):
    with pytest.raises(ValueError, match="damaged|must hold as many"):
        SampleValues(kind="float32", count=3, packed=packed).values()
