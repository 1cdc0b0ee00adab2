"""The rule by which a diagnosis answers."""

import numpy as np
import pytest

from search.diagnosis.decision import decide
from search.diagnosis.posterior import Posterior
from search.diagnosis.record import Estimate, LocalSteps

KINDS = ("constant", "constant", "constant", "samples", "samples", "gradients")


def posterior(levels, spread=0.001, draws=4000):
    rng = np.random.default_rng(0)
    return Posterior(levels=np.array(levels) + rng.normal(0.0, spread, (draws, len(levels))), noise=spread)


def local(low):
    shown = Estimate(mean=low + 0.1, low=low, high=low + 0.2)
    return LocalSteps(weights=(0.0, 1.0), places=2, batches=1, held_out=10, by_place=shown, by_batch=shown, best=(0, 1))


@pytest.mark.parametrize(
    ("levels", "answer", "size"),
    [
        ([0.80, 0.83, 0.82, 0.82, 0.81, 0.82], "tune_a_constant", 0.03),
        ([0.80, 0.83, 0.82, 0.81, 0.86, 0.82], "try_per_sample_rules", 0.03),
        ([0.80, 0.83, 0.82, 0.82, 0.81, 0.85], "try_gradient_rules", 0.02),
        ([0.80, 0.79, 0.78, 0.79, 0.79, 0.78], "distillation_will_not_help", -0.01),
        ([0.80, 0.79, 0.78, 0.83, 0.79, 0.78], "try_per_sample_rules", 0.03),
    ],
)
def test_clear_levels_give_the_answer_and_its_size(levels, answer, size):
    found = decide(KINDS, posterior(levels), 0.005, None)
    assert (found.answer, found.leaning) == (answer, answer)
    assert found.size.mean == pytest.approx(size, abs=0.001)
    assert sum(found.chances.values()) == pytest.approx(1.0)


def test_a_rule_that_gains_less_than_what_counts_leaves_the_constant():
    found = decide(KINDS, posterior([0.80, 0.83, 0.82, 0.832, 0.81, 0.82]), 0.005, None)
    assert found.answer == "tune_a_constant"
    assert found.sample_gain.mean == pytest.approx(0.002, abs=0.001)


def test_no_answer_is_given_where_none_is_twice_as_likely_as_the_rest():
    found = decide(KINDS, posterior([0.80, 0.83, 0.82, 0.835, 0.81, 0.82], spread=0.003), 0.005, None)
    assert found.answer == "cannot_tell"
    assert found.leaning in {"tune_a_constant", "try_per_sample_rules"}
    assert max(found.chances.values()) < 2 / 3


@pytest.mark.parametrize(("low", "answer"), [(0.05, "try_gradient_rules"), (-0.05, "cannot_tell")])
def test_rules_on_gradients_need_a_best_step_that_varies(low, answer):
    found = decide(KINDS, posterior([0.80, 0.83, 0.82, 0.82, 0.81, 0.86]), 0.005, local(low))
    assert found.answer == answer
    assert found.leaning == "try_gradient_rules"


def test_without_a_smallest_gain_any_gain_counts():
    found = decide(KINDS, posterior([0.80, 0.83, 0.82, 0.833, 0.81, 0.82], spread=1e-4), None, None)
    assert found.answer == "try_per_sample_rules"


def test_kinds_without_a_rule_have_no_chance():
    found = decide(("constant", "constant"), posterior([0.8, 0.83]), 0.005, None)
    assert found.answer == "tune_a_constant"
    assert (found.sample_gain, found.gradient_gain) == (None, None)
    assert found.chances["try_per_sample_rules"] == found.chances["try_gradient_rules"] == 0.0
