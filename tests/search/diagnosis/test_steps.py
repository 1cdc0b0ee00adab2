"""The best λ of single steps varies, or it is noise."""

import numpy as np

from search.diagnosis.steps import WEIGHTS, judge_steps

PLACES, BATCHES = 8, 4


def losses(best, noise, seed=0):
    """Return held-out losses, [P, B, W, 2], with parabolas around `best`, [P, B]."""
    rng = np.random.default_rng(seed)
    curves = (np.array(WEIGHTS) - best[:, :, None]) ** 2
    return curves[..., None] + rng.normal(0.0, noise, (*curves.shape, 2))


def test_noise_alone_gains_nothing():
    found = [judge_steps(losses(np.full((PLACES, BATCHES), 0.5), 0.3, seed), 100) for seed in range(20)]
    assert sum(one.by_batch.low > 0.0 for one in found) <= 3
    assert np.mean([one.by_batch.mean for one in found]) < 0.02


def test_a_best_step_that_moves_along_the_training_is_seen_by_place():
    best = np.repeat(np.linspace(0.0, 1.0, PLACES)[:, None], BATCHES, 1)
    found = judge_steps(losses(best, 0.02), 100)
    assert found.by_place.low > 0.0
    assert found.best[0] < found.best[-1]


def test_a_best_step_that_differs_between_batches_is_seen_by_batch_only():
    best = np.tile([0.0, 1.0], (PLACES, BATCHES // 2))
    found = judge_steps(losses(best, 0.02), 100)
    assert found.by_batch.low > 0.2
    assert found.by_place.low <= 0.05


def test_places_whose_losses_are_not_finite_are_left_out():
    bad = losses(np.full((PLACES, BATCHES), 0.5), 0.01)
    bad[0, 0, 0, 0] = np.nan
    assert judge_steps(bad, 100).places == PLACES - 1
    bad[1:] = np.nan
    assert judge_steps(bad, 100) is None
