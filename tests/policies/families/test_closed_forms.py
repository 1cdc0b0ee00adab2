"""Closed forms against the definitions that they solve, on explicit vectors in the plane.

Two gradients span a plane, so g_t = (1, 0) and g_d = r(ρ, √(1-ρ²)) stand for all of them.
"""

import itertools
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies import FAMILIES, Geometry, Observation, PolicyError, create_policy, policy_document

CLOSED_FORMS = [
    ("cosine_gate", {}),
    ("cosine_gate", {"scale": "published"}),
    ("cosine_ramp", {"slope": 1.0}),
    ("cosine_ramp", {"slope": -1.0}),
    ("taylor", {"goal": "task", "sharpness": 1e6}),
    ("taylor", {"goal": "distill"}),
    ("taylor", {"goal": "mean"}),
    ("taylor_curvature", {"step": 1e-6}),
    ("taylor_curvature", {"step": 1e6}),
    ("safe_interval", {}),
    ("mgda", {}),
    ("mgda", {"normalization": "l2"}),
    ("mgda", {"normalization": "loss"}),
    ("upgrad", {"preference": 0.0, "scale": "published"}),
    ("upgrad", {"preference": 1.0, "scale": "published"}),
    ("upgrad", {}),
    ("cagrad", {}),
    ("cagrad", {"scale": "published"}),
    ("cagrad", {"radius": 0.0}),
    ("gradvac", {"decay": 1.0}),
    ("gradvac", {"decay": 1.0, "scale": "published"}),
    ("gradnorm", {}),
    ("norm_balance", {}),
]
NOT_FINITE = (math.nan, math.inf)

lengths = st.one_of(st.just(0.0), st.floats(-12.0, 12.0).map(lambda power: 10.0**power))
cosines = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1.0, 1.0))
ratios = st.floats(-3.0, 3.0).map(lambda power: 10.0**power)
angles = st.floats(-0.999, 0.999)


@st.composite
def geometries(draw):
    distill, task, cosine = draw(lengths), draw(lengths), draw(cosines)
    return Geometry(distill**2, task**2, cosine * distill * task)


def vectors(ratio, cosine):
    return (ratio * cosine, ratio * math.sqrt(1.0 - cosine**2)), (1.0, 0.0)


def dot(u, v):
    return u[0] * v[0] + u[1] * v[1]


def mix(u, v, of_u, of_v):
    return of_u * u[0] + of_v * v[0], of_u * u[1] + of_v * v[1]


def length(u):
    return math.hypot(*u)


def same_direction(u, v):
    # The bound is relative to the lengths; else a tiny vector would have the direction of any other.
    return abs(u[0] * v[1] - u[1] * v[0]) <= 1e-9 * length(u) * length(v) and dot(u, v) >= 0.0


def geometry_of(distill, task):
    return Geometry(dot(distill, distill), dot(task, task), dot(distill, task))


def at_once(family, **parameters):
    """Return a policy that depends on the last measurement alone."""
    return create_policy(family, {"smoothing": 0.0, "measure_every": 1, **parameters})


def seen(geometry, task_loss=1.0, distill_loss=1.0, step=0):
    return Observation(step=step, progress=0.0, geometry=geometry, task_loss=task_loss, distill_loss=distill_loss)


def weight_of(family, ratio, cosine, **parameters):
    return at_once(family, **parameters).decide(seen(geometry_of(*vectors(ratio, cosine)))).weight


@pytest.mark.parametrize(("family", "parameters"), CLOSED_FORMS, ids=str)
@settings(deadline=None, max_examples=60)
@given(first=geometries(), second=geometries())
@example(first=Geometry(1.0, 1.0, -1.0), second=Geometry(0.0, 0.0, 0.0))
@example(first=Geometry(4.0, 4.0, 4.0), second=Geometry(1e24, 1e-24, -1.0))
def test_decisions_are_finite_and_in_range_for_any_two_gradients(family, parameters, first, second):
    policy = at_once(family, **parameters)
    for step, geometry in enumerate((first, second)):
        decision = policy.decide(seen(geometry, distill_loss=2.0, step=step))
        assert 0.0 <= decision.weight <= 1.0
        assert 0.0 < decision.scale < math.inf
        assert "nothing" not in decision.reason
        if parameters.get("scale") != "published":
            assert decision.scale == 1.0


@pytest.mark.parametrize("family", ["gradnorm", "mgda"])
def test_losses_however_unequal_give_a_weight(family):
    losses = (0.0, 1e-300, 1.0, 1e300)
    for first, second in itertools.product(itertools.product(losses, losses), repeat=2):
        policy = at_once(family, **({"normalization": "loss"} if family == "mgda" else {"asymmetry": 10.0}))
        for step, (task_loss, distill_loss) in enumerate((first, second)):
            decision = policy.decide(seen(Geometry(1e24, 1.0, 1e10), task_loss, distill_loss, step))
            assert 0.0 <= decision.weight <= 1.0
            assert "norm ratio" in decision.reason


@pytest.mark.parametrize(("family", "parameters"), CLOSED_FORMS, ids=str)
def test_losses_that_are_no_ratio_and_gradients_that_are_not_finite_change_nothing(family, parameters):
    policy = at_once(family, **parameters)
    before = policy.decide(seen(Geometry(4.0, 1.0, -1.0)))
    state = policy.state_dict()
    for bad in NOT_FINITE:
        for place in range(3):
            numbers = [9.0, 1.0, 1.0]
            numbers[place] = bad
            assert policy.decide(seen(Geometry(*numbers), step=1)) == before
    if "losses" in policy.needs:
        for bad in (*NOT_FINITE, -1.0, None):
            assert policy.decide(seen(Geometry(9.0, 1.0, 1.0), task_loss=bad, step=1)) == before
            assert policy.decide(seen(Geometry(9.0, 1.0, 1.0), distill_loss=bad, step=1)) == before
    assert policy.state_dict() == state


def test_one_broken_batch_among_many_moves_a_smoothed_rule_by_a_bounded_amount():
    policy = create_policy("mgda", {"smoothing": 0.9, "measure_every": 1})
    for step in range(50):
        usual = policy.decide(seen(Geometry(1.0, 1.0, 0.0), step=step)).weight
    after = policy.decide(seen(Geometry(1e8, 1.0, 0.0), step=50)).weight
    assert usual == pytest.approx(0.5)
    # One tenth of the logarithm remains: a ratio r of 10^0.4, and λ = 1/(1 + r²).
    assert after == pytest.approx(1 / (1 + 10**0.8), rel=0.02)


def test_warm_up_rises_to_its_weight_and_stays():
    policy = create_policy("warm_up", {"weight": 0.8, "share": 0.2})
    weights = [policy.decide(Observation(step=0, progress=p)).weight for p in (0.0, 0.1, 0.2, 0.9)]
    assert weights == pytest.approx([0.0, 0.4, 0.8, 0.8])
    assert create_policy("warm_up", {"share": 0.0}).decide(Observation(step=0, progress=0.0)).weight == 0.9


@given(ratio=ratios, cosine=angles)
@settings(deadline=None)
def test_cosine_gate_weighs_the_teacher_by_its_agreement(ratio, cosine):
    geometry = geometry_of(*vectors(ratio, cosine))
    decision = at_once("cosine_gate", scale="published").decide(seen(geometry))
    assert decision.scale * decision.weight == pytest.approx(max(0.0, cosine))
    assert decision.scale * (1 - decision.weight) == pytest.approx(1.0)
    assert decision.branch == (cosine > 0.0)


def test_cosine_ramp_is_a_line_between_its_bounds():
    weights = [weight_of("cosine_ramp", 3.0, c, weight=0.5, slope=0.8) for c in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    assert weights == pytest.approx([0.0, 0.1, 0.5, 0.9, 1.0])


@pytest.mark.parametrize("goal", ["task", "distill", "mean"])
@given(ratio=ratios, cosine=angles, sharpness=st.floats(0.0, 20.0))
@settings(deadline=None)
def test_taylor_is_the_sigmoid_of_the_advantage_of_the_teacher_s_direction(goal, ratio, cosine, sharpness):
    distill, task = vectors(ratio, cosine)
    wanted = {"task": task, "distill": distill, "mean": mix(distill, task, 0.5, 0.5)}[goal]
    change = mix(distill, task, 1.0, -1.0)
    expected = 1 / (1 + math.exp(-sharpness * dot(wanted, change) / (length(wanted) * length(change))))
    assert weight_of("taylor", ratio, cosine, goal=goal, sharpness=sharpness) == pytest.approx(expected, abs=1e-6)


@given(ratio=ratios, cosine=angles)
@settings(deadline=None)
def test_a_sharp_taylor_rule_takes_the_gradient_that_lowers_the_task_loss_more(ratio, cosine):
    distill, task = vectors(ratio, cosine)
    lead = dot(task, distill) - dot(task, task)
    if abs(lead) > 1e-3:
        assert weight_of("taylor", ratio, cosine, sharpness=1e6) == pytest.approx(float(lead > 0))


@given(ratio=ratios, cosine=angles, step=st.floats(-1.0, 1.0).map(lambda power: 10.0**power))
@settings(deadline=None)
def test_taylor_with_curvature_minimises_the_second_order_model(ratio, cosine, step):
    distill, task = vectors(ratio, cosine)

    def change(weight):
        mixed = mix(distill, task, weight, 1 - weight)
        return -dot(task, mixed) + 0.5 * step * dot(mixed, mixed)

    chosen = change(weight_of("taylor_curvature", ratio, cosine, step=step))
    assert chosen <= min(change(i / 200) for i in range(201)) + 1e-9 * max(1.0, ratio**2)


@given(ratio=ratios, cosine=angles)
@settings(deadline=None)
def test_taylor_with_curvature_is_greedy_for_short_and_mgda_for_long_steps(ratio, cosine):
    lead = ratio * cosine - 1.0
    if abs(lead) > 1e-2:
        assert weight_of("taylor_curvature", ratio, cosine, step=1e-6) == float(lead > 0)
    assert weight_of("taylor_curvature", ratio, cosine, step=1e6) == pytest.approx(
        weight_of("mgda", ratio, cosine), abs=2e-6
    )
    assert weight_of("taylor_curvature", ratio, cosine, step=1.0) == 0.0


@given(ratio=ratios, cosine=angles, weight=st.floats(0.0, 1.0))
@settings(deadline=None)
def test_safe_interval_raises_neither_loss_and_moves_no_further_than_it_must(ratio, cosine, weight):
    distill, task = vectors(ratio, cosine)
    decision = at_once("safe_interval", weight=weight).decide(seen(geometry_of(distill, task)))
    mixed = mix(distill, task, decision.weight, 1 - decision.weight)
    falls = dot(distill, mixed) / length(distill), dot(task, mixed)
    noise = 1e-9 * max(1.0, ratio)
    assert min(falls) >= -noise
    low, high = (cosine / (cosine - ratio), 1 / (1 - ratio * cosine)) if cosine < 0 else (0.0, 1.0)
    assert decision.weight == pytest.approx(min(max(weight, low), high), rel=1e-9, abs=1e-12)
    if decision.branch == 0:
        assert decision.weight == weight
    else:
        assert min(falls) <= noise  # on the edge one loss does not change
        given_mix = mix(distill, task, weight, 1 - weight)
        assert min(dot(distill, given_mix) / length(distill), dot(task, given_mix)) < noise


@given(ratio=ratios, cosine=angles, distill_loss=st.floats(0.1, 10.0), task_loss=st.floats(0.1, 10.0))
@settings(deadline=None)
def test_mgda_by_losses_points_along_the_shortest_mix_of_the_divided_gradients(ratio, cosine, distill_loss, task_loss):
    distill, task = vectors(ratio, cosine)
    policy = at_once("mgda", normalization="loss")
    weight = policy.decide(seen(geometry_of(distill, task), task_loss, distill_loss)).weight
    divided = mix(distill, (0.0, 0.0), 1 / distill_loss, 0.0), mix(task, (0.0, 0.0), 1 / task_loss, 0.0)
    least = geometry_of(*divided).least_norm_weight
    assert same_direction(mix(distill, task, weight, 1 - weight), mix(*divided, least, 1 - least))


@given(ratio=ratios, cosine=angles)
@settings(deadline=None)
def test_mgda_by_lengths_is_norm_balance(ratio, cosine):
    assert weight_of("mgda", ratio, cosine, normalization="l2") == pytest.approx(
        weight_of("norm_balance", ratio, cosine)
    )


@given(ratio=ratios, cosine=angles, radius=st.floats(0.05, 3.0))
@settings(deadline=None)
def test_cagrad_lowers_the_worse_off_loss_more_than_any_direction_in_its_ball(ratio, cosine, radius):
    distill, task = vectors(ratio, cosine)
    decision = at_once("cagrad", radius=radius, scale="published").decide(seen(geometry_of(distill, task)))
    update = mix(distill, task, decision.scale * decision.weight, decision.scale * (1 - decision.weight))
    mean = mix(distill, task, 0.5, 0.5)
    bound = radius * length(mean)
    assert length(mix(update, mean, 1.0, -1.0)) <= bound * (1 + 1e-6)

    def worst(direction):
        return min(dot(distill, direction), dot(task, direction))

    around = (
        (mean[0] + bound * math.cos(t), mean[1] + bound * math.sin(t))
        for t in (2 * math.pi * i / 360 for i in range(360))
    )
    assert worst(update) >= max(map(worst, around)) - 1e-7 * max(1.0, ratio**2)


def test_cagrad_is_the_mean_at_radius_0_and_goes_to_mgda():
    for ratio, cosine in ((2.0, -0.6), (0.3, 0.1), (5.0, 0.9)):
        assert weight_of("cagrad", ratio, cosine, radius=0.0) == 0.5
        assert weight_of("cagrad", ratio, cosine, radius=100.0) == pytest.approx(
            weight_of("mgda", ratio, cosine), abs=0.02
        )


def test_gradvac_starts_at_target_0_and_follows_the_cosine_at_its_pace():
    policy = at_once("gradvac", decay=0.25)
    for step, cosine in enumerate((0.8, 0.4)):
        policy.decide(seen(geometry_of(*vectors(2.0, cosine)), step=step))
    assert policy.state_dict()["target"] == pytest.approx(0.75 * 0.25 * 0.8 + 0.25 * 0.4)


@given(ratio=ratios, asymmetry=st.floats(0.0, 3.0), distill_kept=st.floats(0.1, 2.0), task_kept=st.floats(0.1, 2.0))
@settings(deadline=None)
def test_gradnorm_balances_lengths_by_inverse_training_rates(ratio, asymmetry, distill_kept, task_kept):
    policy = at_once("gradnorm", asymmetry=asymmetry)
    first = policy.decide(seen(Geometry(ratio**2, 1.0, 0.0), task_loss=2.0, distill_loss=3.0))
    assert first.weight == pytest.approx(1 / (1 + ratio))
    weight = policy.decide(
        seen(Geometry(ratio**2, 1.0, 0.0), task_loss=2.0 * task_kept, distill_loss=3.0 * distill_kept, step=1)
    ).weight
    mean = 0.5 * (distill_kept + task_kept)
    expected = (distill_kept / mean) ** asymmetry / (task_kept / mean) ** asymmetry
    assert weight * ratio / (1 - weight) == pytest.approx(expected, rel=1e-6)


@given(ratio=ratios, cosine=angles)
@settings(deadline=None)
def test_one_direction_has_equal_projections_equal_cosines_and_nash_s_balance(ratio, cosine):
    distill, task = vectors(ratio, cosine)
    for alias in ("imtl_g", "nash_mtl", "config"):
        weight = weight_of(alias, ratio, cosine)
        assert weight == weight_of("norm_balance", ratio, cosine, balance=1.0)
    update = mix(distill, task, weight, 1 - weight)
    # IMTL-G's and ConFIG's definition: the update has the same projection on both unit gradients.
    assert dot(update, distill) / length(distill) == pytest.approx(dot(update, task) / length(task), abs=1e-9)
    # Nash-MTL's definition: (Gα)_i α_i is the same for both losses.
    assert weight * dot(distill, update) == pytest.approx((1 - weight) * dot(task, update), abs=1e-9)


def test_an_alias_gives_the_family_it_stands_for_and_is_stored_as_that():
    policy = create_policy("imtl_g", {"smoothing": 0.5})
    assert type(policy) is FAMILIES["norm_balance"]
    document = policy_document(policy, temperature=4.0)
    assert document["family"] == "norm_balance"
    assert document["parameters"]["balance"] == 1.0
    assert document["parameters"]["smoothing"] == 0.5


def test_an_alias_keeps_what_it_fixes_and_says_what_it_stands_for():
    create_policy("pcgrad", {"preference": 0.5})
    with pytest.raises(PolicyError, match=r"`pcgrad` is an alias of `upgrad` with preference=0.5.*got preference=0.7"):
        create_policy("pcgrad", {"preference": 0.7})
    with pytest.raises(PolicyError, match="Did you mean 'imtl_g'"):
        create_policy("imtl-g")


@pytest.mark.parametrize(("family", "parameters"), CLOSED_FORMS, ids=str)
def test_reasons_name_what_was_read(family, parameters):
    reason = at_once(family, **parameters).decide(seen(Geometry(4.0, 1.0, -1.0))).reason
    assert "norm ratio 2" in reason


def test_rules_with_losses_ask_for_them():
    assert create_policy("gradnorm").needs == {"geometry", "losses"}
    assert create_policy("mgda", {"normalization": "loss"}).needs == {"geometry", "losses"}
    assert create_policy("mgda").needs == {"geometry"}
