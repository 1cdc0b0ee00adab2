"""Every family keeps the public contract, and built-in families what they promise beyond it."""

import pytest

from policies import FAMILIES, Geometry, PolicyError, create_policy
from policies.policy import MEASURED
from policies.testing import clauses_of
from policies.testing.zoo import GEOMETRIES, degenerate_streams, wandering_stream

BATCH_FAMILIES = [family for family, policy in FAMILIES.items() if policy.scope == "batch"]


@pytest.mark.parametrize(
    ("family", "clause"),
    [
        pytest.param(family, clause, id=f"{family}-{clause.__name__}")
        for family, policy in FAMILIES.items()
        for clause in clauses_of(policy)
    ],
)
def test_every_family_keeps_the_public_contract(family, clause):
    clause(FAMILIES[family])


@pytest.mark.parametrize("family", BATCH_FAMILIES)
def test_scaling_both_gradients_alike_changes_no_decision(family):
    values = {"measure_every": 1, "scale": "published"}
    values = {name: value for name, value in values.items() if name in FAMILIES[family].parameters()}
    plain, scaled = create_policy(family, values), create_policy(family, values)
    for observation in wandering_stream():
        a, b, c = observation.geometry
        expected = plain.decide(observation)
        decision = scaled.decide(observation._replace(geometry=Geometry(100 * a, 100 * b, 100 * c)))
        assert decision.weight == pytest.approx(expected.weight, abs=1e-12)
        assert decision.scale == pytest.approx(expected.scale, rel=1e-12)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_an_error_tells_what_kind_of_value_is_wanted(family):
    for name, parameter in FAMILIES[family].parameters().items():
        with pytest.raises(PolicyError, match=rf"{family}\.{name}.*{parameter.kind}.*got None"):
            create_policy(family, {name: None})


def test_the_zoo_is_degenerate_enough():
    """The contract is only as strict as the observations that it is tested on."""
    assert {Geometry(0.0, 0.0, 0.0), Geometry(1.0, 0.0, 0.0), Geometry(1e-12, 1e12, -1.0)} <= set(GEOMETRIES)
    seen = [observation for stream in degenerate_streams() for observation in stream]
    assert any(observation.task_loss <= 0.0 for observation in seen)
    assert {field for fields in MEASURED.values() for field in fields} < set(seen[0]._fields)


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(PolicyError, match="Did you mean 'cosine_threshold'"):
        create_policy("cosine_treshold")
    with pytest.raises(PolicyError, match="Did you mean 'threshold'"):
        create_policy("cosine_threshold", {"treshold": 0.1})


def test_stateless_policies_refuse_foreign_state():
    with pytest.raises(PolicyError, match="keeps no state"):
        create_policy("fixed").load_state_dict({"mean_total": 1.0})
