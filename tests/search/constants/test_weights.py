import pytest

from search.constants.weights import same_weight, unwarp, warp


@pytest.mark.parametrize("weight", [0.0, 0.003, 0.5, 0.97, 1.0])
def test_the_axis_of_weights_can_be_read_both_ways(weight):
    assert unwarp(warp(weight)) == pytest.approx(weight, abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.504), (0.9, 0.902), (0.02, 0.0205), (0.0, 1e-8)])
def test_weights_that_come_to_the_same_training_are_one(one, other):
    assert same_weight(one, other)


@pytest.mark.parametrize(("one", "other"), [(0.5, 0.51), (0.005, 0.0), (0.999, 1.0), (0.005, 0.01)])
def test_a_loss_left_out_and_small_weights_are_told_apart(one, other):
    assert not same_weight(one, other)
