"""Rule trees: the λ that they choose, their live parts, their wording; simplifying changes no decision."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import Geometry, Observation, create_policy, load_policy, policy_document
from policies.bases.tree_features import FEATURES
from policies.policy import Measurement
from policies.sample import SampleObservation
from tests.policies.small_training import drawn

AT_ONCE = {"smoothing": 0, "measure_every": 1}
RATIO_OF_2 = math.log(2 / 0.1) / math.log(20 / 0.1)


def tree(**parameters):
    return create_policy("tree", {**AT_ONCE, **parameters})


def seen(step=0, progress=0.0, ratio=None, cosine=0.0, **more):
    geometry = None if ratio is None else Geometry.of(ratio, cosine)
    return Observation(step=step, progress=progress, geometry=geometry, **more)


@pytest.mark.parametrize(
    ("feature", "lowest", "middle", "highest"),
    [
        ("cosine", -1, 0, 1),
        ("norm_ratio", 0.1, math.sqrt(2), 20),
        ("progress", 0, 0.5, 1),
        ("loss_ratio", 0.01, 1, 100),
        ("confidence", 0, 0.5, 1),
        ("agreement", 0, 0.5, 1),
    ],
)
def test_a_cut_moves_along_the_features_range(feature, lowest, middle, highest):
    assert [FEATURES[feature].threshold(cut) for cut in (0, 0.5, 1)] == pytest.approx([lowest, middle, highest])


def test_two_questions_in_a_row_choose_among_four_weights():
    policy = tree(
        root="norm_ratio",
        root_cut=RATIO_OF_2,
        low="cosine",
        low_cut=0.6,
        low_low=0.1,
        low_high=0.2,
        high="progress",
        high_cut=0.5,
        high_low=0.3,
        high_high=0.4,
    )
    cases = [(1.9, 0.1, 0.9), (1.9, 0.3, 0.1), (2.1, 0.3, 0.5), (2.1, 0.1, 0.51)]
    decisions = [policy.decide(seen(i, p, ratio=r, cosine=c)) for i, (r, c, p) in enumerate(cases)]
    assert [d.weight for d in decisions] == [0.1, 0.2, 0.3, 0.4]
    assert [d.branch for d in decisions] == [0, 1, 2, 3]
    assert decisions[1].reason == "norm ratio 1.9 not above 2, cosine 0.3 above 0.2"
    assert decisions[3].reason == "norm ratio 2.1 above 2, progress 0.51 above 0.5"


@pytest.mark.parametrize(
    ("feature", "low", "high"),
    [
        ("cosine", seen(ratio=1.0, cosine=-0.1), seen(ratio=1.0, cosine=0.1)),
        ("norm_ratio", seen(ratio=1.4), seen(ratio=1.5)),
        ("progress", seen(progress=0.5), seen(progress=0.6)),
        ("loss_ratio", seen(task_loss=1.9, distill_loss=2.0), seen(task_loss=2.1, distill_loss=2.0)),
        ("confidence", seen(confidence=0.4), seen(confidence=0.6)),
        ("agreement", seen(agreement=0.4), seen(agreement=0.6)),
    ],
)
def test_every_feature_is_read_and_nothing_else_is_needed(feature, low, high):
    parameters = {"root": feature, "root_cut": 0.5, "low_low": 0.25, "high_low": 0.75}
    assert tree(**parameters).decide(low).weight == 0.25
    assert tree(**parameters).decide(high).weight == 0.75
    assert tree(**parameters).needs == {FEATURES[feature].need}


def test_only_what_the_live_questions_ask_is_needed_and_measured():
    on_the_clock = tree(root="progress")
    assert not any(on_the_clock.measures_at(s) for s in range(20))
    assert "measured" not in on_the_clock.rule()
    both = create_policy("tree", {"root": "progress", "high": "agreement", "measure_every": 3})
    assert both.needs == {"progress", "teacher"}
    assert [s for s in range(7) if both.measures_at(s)] == [0, 3, 6]


def test_the_gradients_are_located_only_if_they_are_asked_about():
    where = {"tier": "last_block", "pair": "halves"}
    assert tree(root="cosine", **where).measurement == Measurement("last_block", "halves")
    assert "in the last block, on two halves of the batch" in tree(root="cosine", **where).rule()
    assert tree(root="progress", **where).measurement == Measurement()
    on_losses = tree(root="loss_ratio", **where)
    assert on_losses.measurement == Measurement()
    assert "measured every step" in on_losses.rule()
    assert "last block" not in on_losses.rule()
    assert "halves" not in on_losses.rule()


def test_progress_is_heard_between_measurements():
    policy = create_policy(
        "tree",
        {"root": "norm_ratio", "low": "progress", "low_low": 0.9, "low_high": 0.2, "measure_every": 10},
    )
    assert policy.decide(seen(0, 0.0, ratio=1.0)).weight == 0.9
    assert policy.decide(seen(5, 0.5)).weight == 0.9
    assert policy.decide(seen(6, 0.6)).weight == 0.2


def test_each_feature_is_smoothed_by_itself():
    policy = create_policy(
        "tree",
        {"root": "cosine", "high": "agreement", "low_low": 0.1, "high_low": 0.2, "high_high": 0.3, "measure_every": 1},
    )
    policy.decide(seen(0, ratio=1.0, cosine=0.5, agreement=0.9))
    policy.decide(seen(1, ratio=1.0, cosine=0.5))
    decision = policy.decide(seen(2, agreement=0.8))
    assert decision.weight == 0.3
    # The readings are 0.9 and 0.8, the later with weight 1/1.9; the missing one does not count.
    assert decision.reason == "cosine 0.5 above 0.4, agreement 0.847 above 0.5"


def test_an_unanswered_question_gives_one_half_until_it_is_answered():
    policy = tree(root="progress", low_low=0.9, high="cosine", high_low=0.1)
    assert policy.decide(seen(0, 0.1)).weight == 0.9
    unanswered = policy.decide(seen(1, 0.9))
    assert (unanswered.weight, unanswered.reason) == (0.5, "nothing measured yet")
    assert policy.decide(seen(2, 0.9, ratio=1.0, cosine=-1.0)).weight == 0.1


@pytest.mark.parametrize(
    ("parameters", "complexity", "rule"),
    [
        (
            {},
            3,
            "λ = 0.9 while the teacher pulls at most 2 times as hard as the labels, else 0.1 (measured every step).",
        ),
        ({"high_low": 0.9}, 1, "λ = 0.9 throughout."),
        # Ratios above 2 are never below 0.45: the second question has one answer.
        (
            {"high": "norm_ratio", "high_cut": 0.3, "high_low": 0.4, "high_high": 0.1},
            3,
            "λ = 0.9 while the teacher pulls at most 2 times as hard as the labels, else 0.1 (measured every step).",
        ),
        ({"high": "norm_ratio", "high_cut": RATIO_OF_2, "high_low": 0.4, "high_high": 0.9}, 1, "λ = 0.9 throughout."),
        ({"root": "progress", "root_cut": 1.0}, 1, "λ = 0.9 throughout."),
        (
            {"root": "progress", "root_cut": 0.25},
            3,
            "λ = 0.9 while at most 25% of the training is done, else 0.1.",
        ),
        # Both sides ask and answer the same, so the first question makes no difference.
        (
            {"low": "cosine", "high": "cosine", "low_low": 0.9, "low_high": 0.2, "high_low": 0.9, "high_high": 0.2},
            3,
            "λ = 0.9 while the pulls of the teacher and the labels have a cosine of at most 0, else 0.2"
            " (measured every step).",
        ),
        (
            {"high": "agreement", "high_high": 0.9},
            4,
            "λ = 0.9 while the teacher pulls at most 2 times as hard as the labels; otherwise 0.1 if the teacher gives"
            " the labels a probability of at most 50% and 0.9 if not (measured every step).",
        ),
        (
            {"low": "loss_ratio", "smoothing": 0.9},
            6,
            "λ = 0.1 while the teacher pulls more than 2 times as hard as the labels; otherwise 0.9 if the task loss is"
            " at most 1 times the distillation loss and 0.5 if not"
            " (measured every step, averaged over about 10 measurements).",
        ),
        (
            {"low": "confidence", "high": "progress", "high_high": 0.7},
            7,
            "λ, while the teacher pulls at most 2 times as hard as the labels, is 0.9 if the teacher is at most 50%"
            " sure of its answer and 0.5 if not; otherwise it is 0.1 if at most 50% of the training is done and 0.7 if"
            " not (measured every step).",
        ),
    ],
)
def test_rules_read_as_they_decide_and_count_what_is_alive(parameters, complexity, rule):
    policy = tree(**{"root_cut": RATIO_OF_2, **parameters})
    assert policy.rule() == rule
    assert policy.complexity == complexity


def test_a_rule_about_samples_speaks_of_one_sample():
    policy = create_policy("sample_tree", {"root_cut": RATIO_OF_2, "high_low": 0.0})
    assert policy.rule() == "λ of a sample = 0.9 if the teacher pulls at most 2 times as hard as the label, else 0."
    assert policy.complexity == 3


def few(parameter):
    """Draw few different cuts and λ, so that some questions are dead."""
    return st.sampled_from([parameter.low, 0.3, 0.5, 0.7, 0.99])


@st.composite
def trainings(draw):
    """Draw observations along a training, gaps and broken measurements included."""
    maybe = st.one_of(st.none(), st.floats(0.0, 1.0))
    losses = st.sampled_from([0.0, 1e-3, 0.5, 1.0, 30.0, math.inf, math.nan, None])
    geometries = st.one_of(
        st.none(),
        st.just(Geometry(math.nan, 1.0, math.inf)),
        st.builds(Geometry.of, st.floats(0.05, 50.0), st.floats(-1.0, 1.0)),
    )
    length = draw(st.integers(1, 12))
    return [
        Observation(i, i / length, draw(geometries), draw(losses), draw(losses), draw(maybe), draw(maybe))
        for i in range(length)
    ]


def decisions(policy, training):
    fresh = create_policy(policy.family, policy.values())
    return [fresh.decide(o).weight for o in training]


@settings(max_examples=300, deadline=None)
@given(parameters=drawn("tree", few), training=trainings())
def test_a_simplified_tree_decides_the_same_on_what_was_logged(parameters, training):
    policy = create_policy("tree", parameters)
    simple = policy.simplify(training)
    assert decisions(simple, training) == decisions(policy, training)
    assert simple.complexity <= policy.complexity
    assert simple.needs <= policy.needs
    assert simple.simplify(training).values() == simple.values()


@settings(max_examples=100, deadline=None)
@given(parameters=drawn("tree", few), training=trainings(), cut=st.integers(0, 12))
def test_any_tree_gives_valid_decisions_and_resumes_exactly(parameters, training, cut):
    whole, first, second = (create_policy("tree", parameters) for _ in range(3))
    expected = [whole.decide(o) for o in training]
    assert all(0.0 <= d.weight <= 1.0 and d.scale == 1.0 and d.reason for d in expected)
    for o in training[:cut]:
        first.decide(o)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    assert [second.decide(o) for o in training[cut:]] == expected[cut:]


def test_simplifying_prunes_what_never_fired():
    policy = tree(root="progress", root_cut=0.2, low_low=0.3, high="norm_ratio", high_cut=RATIO_OF_2, high_high=0.0)
    early = [seen(i, i / 10, ratio=5.0) for i in range(2)]
    late = [seen(i, i / 10, ratio=1.0 + (i % 2) * 5.0) for i in range(3, 10)]
    assert policy.simplify(early).rule() == "λ = 0.3 throughout."
    assert policy.simplify(late).rule() == (
        "λ = 0.1 while the teacher pulls at most 2 times as hard as the labels, else 0 (measured every step)."
    )
    assert policy.simplify(early + late).values() == policy.values()
    assert policy.simplify([]).values() == policy.values()


def test_a_simplified_tree_is_a_policy_file_like_any_other(tmp_path):
    policy = tree(root="progress", root_cut=0.2, high="norm_ratio", tier="last_block")
    simple = policy.simplify([seen(i, 0.9, ratio=1.0) for i in range(3)])
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_document(simple, temperature=4.0)))
    assert load_policy(path).values() == simple.values()
    assert simple.values()["tier"] == "last_block"


@st.composite
def batches(draw):
    """Draw a few batches of samples, some of them empty."""
    unit = st.floats(0.0, 1.0)
    result = []
    for step in range(draw(st.integers(1, 3))):
        count = draw(st.integers(0, 5))

        def column(values, count=count):
            return torch.tensor(draw(st.lists(values, min_size=count, max_size=count)), dtype=torch.float64)

        ratio = st.floats(0.05, 50.0)
        columns = [column(st.floats(-1.0, 1.0)), column(ratio), column(ratio), column(unit), column(unit)]
        columns += 2 * [torch.zeros(count, dtype=torch.int64)]
        result.append(SampleObservation(step, draw(unit), *columns))
    return result


@settings(max_examples=200, deadline=None)
@given(parameters=drawn("sample_tree", few), training=batches())
def test_a_simplified_tree_of_samples_decides_the_same_on_what_was_logged(parameters, training):
    policy = create_policy("sample_tree", parameters)
    simple = policy.simplify(training)
    for samples in training:
        assert torch.equal(simple.weights(samples), policy.weights(samples))
    assert simple.complexity <= policy.complexity
    assert simple.needs <= policy.needs
    assert simple.simplify(training).values() == simple.values()


def test_simplifying_asks_only_the_samples_that_a_question_reached():
    policy = create_policy("sample_tree", {"root_cut": RATIO_OF_2, "low": "agreement", "high_low": 0.0})
    unit = torch.tensor([0.5, 0.5])
    ratio, agreement = torch.tensor([1.0, 5.0]), torch.tensor([0.9, 0.1])
    classes = 2 * [torch.tensor([0, 1])]
    simple = policy.simplify([SampleObservation(0, 0.0, unit, ratio, unit, unit, agreement, *classes)])
    assert simple.rule() == "λ of a sample = 0.5 if the teacher pulls at most 2 times as hard as the label, else 0."


@settings(max_examples=100, deadline=None)
@given(parameters=drawn("sample_tree", few), training=batches())
def test_a_sample_is_judged_as_a_step_with_its_readings_would_be(parameters, training):
    policy = create_policy("sample_tree", parameters)
    for samples in training:
        for index, weight in enumerate(policy.weights(samples).tolist()):
            cosine, ratio, loss_ratio, confidence, agreement = (float(column[index]) for column in samples[2:7])
            step = Observation(0, samples.progress, Geometry.of(ratio, cosine), loss_ratio, 1.0, confidence, agreement)
            assert tree(**parameters).decide(step).weight == weight
