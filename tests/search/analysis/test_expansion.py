"""The maps: closed forms against trying every λ, the rules of the same mathematics, and limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import create_policy
from policies.geometry import Geometry
from policies.policy import Observation
from search.analysis.expansion import best_weight, fall

GOALS, STEPS = ("task", "distill", "mean", "mixed"), ("plain", "curved", "fixed_length")
LAM = np.linspace(0, 1, 2001)
COSINES = st.floats(-0.999, 0.999)
RATIOS = st.floats(0.05, 20.0)


@pytest.mark.parametrize(("goal", "how"), [*itertools.product(GOALS, STEPS)])
@given(cosine=COSINES, ratio=RATIOS, step=st.floats(0.05, 20.0), signal=st.floats(0.05, 1.0))
def test_no_other_weight_falls_further(goal, how, cosine, ratio, step, signal):
    options = {"step": step, "signal": signal}
    best = best_weight(cosine, ratio, goal, how, **options)
    assert 0.0 <= best <= 1.0
    falls = fall(LAM, cosine, ratio, goal, how, **options)
    reached = float(fall(best, cosine, ratio, goal, how, **options))
    tolerance = 1e-4 if (goal, how) == ("mixed", "fixed_length") else 1e-9  # found on a grid
    tie = best == 0.5  # all λ are equally good, or two are
    assert tie or reached >= falls.max() - tolerance * (1.0 + np.abs(falls).max())


def test_falls_are_those_of_gradients_drawn_at_random():
    draws = np.random.default_rng(0)
    for _ in range(20):
        task, distill = draws.normal(size=(2, 5))
        task /= np.linalg.norm(task)
        ratio = float(np.linalg.norm(distill))
        cosine = float(task @ distill) / ratio
        for lam in (0.0, 0.3, 1.0):
            mixed = lam * distill + (1 - lam) * task
            for goal, gradient in (
                ("task", task),
                ("distill", distill),
                ("mean", (task + distill) / 2),
                ("mixed", mixed),
            ):
                found = [float(fall(lam, cosine, ratio, goal, how, step=0.7)) for how in STEPS]
                linear, square = gradient @ mixed, mixed @ mixed
                assert found == pytest.approx([linear, linear - 0.35 * square, linear / np.sqrt(square)])


@given(cosine=COSINES, ratio=RATIOS, step=st.floats(0.05, 20.0))
def test_the_curved_map_of_the_task_is_the_family_taylor_curvature(cosine, ratio, step):
    policy = create_policy("taylor_curvature", {"step": step, "smoothing": 0.0})
    seen = Observation(step=0, progress=0.0, geometry=Geometry.of(ratio, cosine))
    assert best_weight(cosine, ratio, "task", "curved", step=step) == pytest.approx(
        policy.decide(seen).weight, abs=1e-6
    )


def test_limits():
    cosines, ratios = np.meshgrid(np.linspace(-0.9, 0.9, 7), np.geomspace(0.1, 10, 6))
    short = best_weight(cosines, ratios, "task", "curved", step=1e-9)
    assert short == pytest.approx(best_weight(cosines, ratios, "task", "plain"))
    assert short == pytest.approx((cosines * ratios > 1.0).astype(float))
    for how, options in (("curved", {"step": 1.0}), ("fixed_length", {"signal": 1.0})):
        # A loss's own gradient is its best direction, if the curvature or the length is given.
        for goal, own in (("task", 0.0), ("distill", 1.0), ("mean", 0.5)):
            found = best_weight(cosines, ratios, goal, how, **options)
            assert found == pytest.approx(np.full_like(found, own), abs=1e-9)
    long = [Geometry.of(float(r), float(c)).least_norm_weight for c, r in zip(cosines.flat, ratios.flat, strict=True)]
    for goal in ("task", "distill", "mean", "mixed"):
        found = best_weight(cosines, ratios, goal, "curved", step=1e9)
        assert found.ravel() == pytest.approx(long, abs=1e-6)


def test_a_noisy_task_gradient_takes_the_teacher_as_a_second_opinion():
    signal, ratio = 0.36, 2.0
    cosines = np.array([-0.5, 0.0, 0.2, 0.4, 0.6, 0.9])
    found = best_weight(cosines, ratio, "task", "fixed_length", signal=signal)
    # λ = ρ(1-q)/(ρ(1-q) + r(q-ρ²)), from 0 at a right angle to 1 where ρ² = q
    inside = cosines * (1 - signal) / (cosines * (1 - signal) + ratio * (signal - cosines**2))
    assert found == pytest.approx([0.0, 0.0, inside[2], inside[3], 1.0, 1.0])
    assert (np.diff(found) >= 0).all()


def test_a_tie_is_one_half():
    for how in STEPS:
        assert best_weight(1.0, 1.0, "task", how) == 0.5  # the same gradient twice
    assert best_weight(0.3, 1.0, "mean", "plain") == 0.5
    assert best_weight(0.3, 1.0, "mixed", "plain") == pytest.approx(0.5)
