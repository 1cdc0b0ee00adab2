"""Every family keeps the public contract, and built-in families what they promise beyond it."""

import pytest

from policies import FAMILIES, Geometry, PolicyError, create_policy
from policies.testing import clauses_of
from policies.zoo import GEOMETRIES, MEASURED, degenerate_streams, wandering_stream

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
    measured = {"measure_every": 1} if "measure_every" in FAMILIES[family].parameters() else {}
    plain, scaled = create_policy(family, measured), create_policy(family, measured)
    for observation in wandering_stream():
        a, b, c = observation.geometry
        bigger = observation._replace(geometry=Geometry(100 * a, 100 * b, 100 * c))
        assert scaled.decide(bigger).weight == pytest.approx(plain.decide(observation).weight, abs=1e-12)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_an_error_tells_what_kind_of_value_is_wanted(family):
    for name, parameter in FAMILIES[family].parameters().items():
        with pytest.raises(PolicyError, match=rf"{family}\.{name}.*{parameter.kind}.*got None"):
            create_policy(family, {name: None})


def test_the_zoo_is_degenerate_enough(geometry):
    """The contract is only as strict as the observations that it is tested on."""
    assert geometry in GEOMETRIES
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
