"""What every family must keep, whatever its rule."""

import json
import math

import pytest

from policies import FAMILIES, Geometry, Observation, PolicyError, create_policy

MEASURED_EVERY_STEP = {"measure_every": 1}


def observations(geometries, total=None):
    total = total or len(geometries)
    return [
        Observation(step=i, progress=i / total, geometry=g, task_loss=1.0, distill_loss=2.0)
        for i, g in enumerate(geometries)
    ]


def sequence(length=60):
    """Geometries whose cosine and norm ratio wander across the default thresholds."""
    result = []
    for i in range(length):
        ratio, cosine = 4.0 * math.exp(math.sin(i / 5)), math.sin(i / 7)
        result.append(Geometry(ratio**2, 1.0, cosine * ratio))
    return result


BATCH_FAMILIES = [family for family, policy in FAMILIES.items() if policy.scope == "batch"]


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(params=BATCH_FAMILIES)
def batch_family(request):
    return request.param


def fresh(family):
    own = FAMILIES[family].parameters()
    return create_policy(family, {k: v for k, v in MEASURED_EVERY_STEP.items() if k in own})


def test_decisions_are_finite_and_in_range_on_every_geometry(batch_family, geometry):
    policy = fresh(batch_family)
    for observation in observations([geometry] * 3):
        decision = policy.decide(observation)
        assert 0.0 <= decision.weight <= 1.0
        assert math.isfinite(decision.scale)
        assert decision.scale > 0
        assert decision.reason


def test_measurements_that_are_not_finite_change_nothing(batch_family):
    touched, untouched = fresh(batch_family), fresh(batch_family)
    for policy in (touched, untouched):
        for observation in observations(sequence(10), total=20):
            policy.decide(observation)
    broken = Observation(step=10, progress=0.5, geometry=Geometry(math.nan, 1.0, math.inf))
    missing = broken._replace(geometry=None)
    assert touched.decide(broken).weight == untouched.decide(missing).weight


def test_state_goes_through_json_and_continues_exactly(batch_family):
    whole, first_half = fresh(batch_family), fresh(batch_family)
    stream = observations(sequence())
    expected = [whole.decide(o).weight for o in stream]
    for observation in stream[:31]:
        first_half.decide(observation)
    second_half = fresh(batch_family)
    second_half.load_state_dict(json.loads(json.dumps(first_half.state_dict())))
    assert [second_half.decide(o).weight for o in stream[31:]] == expected[31:]
    # Also at steps without a measurement.
    unmeasured = stream[-1]._replace(geometry=None)
    assert second_half.decide(unmeasured).weight == whole.decide(unmeasured).weight


def test_scaling_both_losses_alike_changes_no_decision(batch_family):
    plain, scaled = fresh(batch_family), fresh(batch_family)
    for observation in observations(sequence()):
        a, b, c = observation.geometry
        bigger = observation._replace(geometry=Geometry(100 * a, 100 * b, 100 * c))
        assert scaled.decide(bigger).weight == pytest.approx(plain.decide(observation).weight, abs=1e-12)


def test_rule_is_a_sentence_about_lambda_and_complexity_counts(family):
    policy = fresh(family)
    assert policy.rule().startswith("λ")
    assert policy.rule().endswith(".")
    assert 1 <= policy.complexity <= len(policy.parameters())


def test_every_parameter_is_declared_with_a_meaning_and_checked(family):
    for name, parameter in FAMILIES[family].parameters().items():
        assert parameter.meaning
        bad_values = ["0.5", True, None, math.nan]
        if parameter.kind != "choice":
            assert parameter.low <= parameter.default <= parameter.high
            bad_values += [parameter.high + 1, parameter.low - 1]
        for bad in bad_values:
            with pytest.raises(PolicyError, match=rf"{family}\.{name}.*{parameter.kind}.*got"):
                create_policy(family, {name: bad})


def test_defaults_and_search_bounds_make_valid_policies(family):
    parameters = FAMILIES[family].parameters()
    for end in (0, -1):
        ends = {name: (p.options if p.kind == "choice" else p.search)[end] for name, p in parameters.items()}
        assert create_policy(family, ends).values() == ends


def test_family_documents_itself(family):
    policy = FAMILIES[family]
    assert policy.source
    assert policy.__doc__


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(PolicyError, match="Did you mean 'cosine_threshold'"):
        create_policy("cosine_treshold")
    with pytest.raises(PolicyError, match="Did you mean 'threshold'"):
        create_policy("cosine_threshold", {"treshold": 0.1})


def test_stateless_policies_refuse_foreign_state():
    with pytest.raises(PolicyError, match="keeps no state"):
        create_policy("fixed").load_state_dict({"mean_total": 1.0})
