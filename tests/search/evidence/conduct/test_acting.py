import random

import pytest
import torch

from policies import FAMILIES, create_policy
from policies.bases.tree_features import FEATURES
from policies.policy import Observation
from policies.testing.zoo import sample_batch, wandering_stream
from search.evidence.conduct.acting import effective_trial
from search.records.search import TrialRecord
from trainables.records.conduct import Conduct, SampleConduct
from trainables.records.trial import TrialHistory
from trainables.training.conduct_log import ConductLog


def conduct(low=0.91, high=None, *, branches=((0, 100),), first=None, scale=(1.0, 1.0), samples=None):
    """Return a conduct with λ between two ends; `first` is the λ of the first steps, if another."""
    high = low if high is None else high
    return Conduct(
        steps=sum(count for _, count in branches),
        weight_mean=(low + high) / 2,
        weight_range=(min(low, first or low), max(high, first or high)),
        settled_mean=(low + high) / 2,
        settled_range=(low, high),
        scale_range=scale,
        branches=branches,
        settled_branches=tuple(branch for branch, _ in branches),
        switches=len(branches) - 1,
        samples=samples,
    )


def in_effect(family, done, **parameters):
    policy = create_policy(family, parameters)
    return of_trial(family, policy.values(), policy.rule(), policy.complexity, done)


def of_trial(family, parameters, rule, complexity, done):
    values = {"family": family, "parameters": parameters, "rule": rule, "complexity": complexity, "shared": {}}
    history = TrialHistory(conduct=done)
    return effective_trial(TrialRecord(trial_id="1", number=1, status="finished", history=history, **values))


def test_a_threshold_that_was_never_crossed_makes_a_constant():
    found = in_effect("cosine_threshold", conduct(0.91), threshold=-0.27, above=0.91, below=0.2)
    assert (found.kind, found.family, found.parameters, found.complexity) == ("constant", "fixed", {"weight": 0.91}, 1)
    assert found.text == "λ = 0.91 throughout; the threshold −0.27 was never crossed."


def test_a_threshold_that_was_crossed_is_taken_as_written():
    found = in_effect("cosine_threshold", conduct(0.2, 0.91, branches=((0, 50), (1, 50))), above=0.91, below=0.2)
    assert (found.kind, found.note, found.complexity) == ("as_written", "", 5)
    assert found.family == "cosine_threshold"


def test_a_threshold_that_was_rarely_crossed_is_told():
    done = conduct(0.2, 0.91, branches=((0, 4), (1, 996)))
    found = in_effect("cosine_threshold", done, threshold=-0.27, above=0.91, below=0.2)
    assert found.acts
    assert found.note == "the threshold −0.27 was crossed in 0.4 % of the steps only"


def test_two_sides_with_the_same_weight_make_a_constant():
    done = conduct(0.9, 0.902, branches=((0, 50), (1, 50)))
    found = in_effect("cosine_threshold", done, above=0.9, below=0.902)
    assert found.kind == "constant"
    assert found.parameters["weight"] == pytest.approx(0.901)
    assert found.note == "λ is the same on both sides of its threshold"


@pytest.mark.parametrize("family", ["norm_balance", "mgda", "linear_schedule", "safe_interval"])
def test_any_family_whose_weight_never_moved_is_a_constant(family):
    found = in_effect(family, conduct(0.41, 0.414))
    assert (found.family, found.complexity) == ("fixed", 1)
    assert found.note == "λ stayed within 0.004"
    assert in_effect(family, conduct(0.41, 0.42)).kind == "as_written"


def test_a_moving_scale_is_an_act():
    assert in_effect("cagrad", conduct(0.5, scale=(0.8, 1.4))).kind == "as_written"
    assert in_effect("cagrad", conduct(0.5)).kind == "constant"


def test_first_steps_do_not_make_a_rule_but_are_told():
    found = in_effect("norm_balance", conduct(0.91, first=0.5))
    assert found.text == "λ = 0.91 throughout; λ never moved after the first 2 % of the steps."


@pytest.mark.parametrize(
    ("weight", "unused", "words"), [(1.0, "labels", "labels were"), (0.0, "teacher", "teacher was")]
)
def test_a_loss_without_weight_is_told(weight, unused, words):
    for found in (in_effect("fixed", None, weight=weight), in_effect("norm_balance", conduct(weight))):
        assert found.unused == unused
        assert found.text.endswith(f"the {words} not used.")
    assert in_effect("norm_balance", conduct(0.0, 1.0)).unused is None


def test_a_constant_stays_what_it_is():
    found = in_effect("fixed", conduct(0.3), weight=0.3)
    assert (found.kind, found.parameters, found.text) == ("as_written", {"weight": 0.3}, "λ = 0.3 throughout.")


def test_what_an_older_release_recorded_is_taken_as_written():
    found = in_effect("cosine_threshold", None)
    assert (found.kind, found.acts, found.family, found.complexity) == ("unknown", True, "cosine_threshold", 5)


def test_a_family_that_is_not_loaded_is_taken_as_written_unless_it_is_a_constant():
    def own(done):
        return of_trial("somebodys", {"knob": 0.4}, "Own.", 3, done)

    assert own(conduct(0.1, 0.9)).kind == "as_written"
    assert own(conduct(0.4)).parameters == {"weight": 0.4}


def of_samples(low, high, levels, spread=0.1):
    return conduct((low + high) / 2, samples=SampleConduct(weight_range=(low, high), spread=spread, levels=levels))


def test_samples_on_one_side_of_a_threshold_make_a_constant():
    weight = float(torch.tensor(0.913))  # as for samples
    done = of_samples(weight, weight, ((weight, 1.0),), spread=0.0)
    found = in_effect("sample_cosine_threshold", done, threshold=0.5, above=0.913, below=0.1)
    assert found.parameters == {"weight": 0.913}
    assert found.note == "the threshold 0.5 was never crossed"


def test_a_mean_that_never_moves_is_no_constant_where_samples_differ():
    found = in_effect("sample_cosine_threshold", of_samples(0.1, 0.9, ((0.1, 0.5), (0.9, 0.5))))
    assert (found.kind, found.note) == ("as_written", "")
    rare = in_effect("sample_cosine_threshold", of_samples(0.1, 0.9, ((0.1, 0.002), (0.9, 0.998))), threshold=0.5)
    assert rare.note == "the threshold 0.5 was crossed in 0.2 % of the samples only"


def random_tree(seed):
    draw = random.Random(seed)
    questions = ["none", *FEATURES]
    return {
        "root": draw.choice(list(FEATURES)), "root_cut": draw.random(), "low": draw.choice(questions),
        "low_cut": draw.random(), "high": draw.choice(questions), "high_cut": draw.random(),
        **{name: round(draw.random(), 2) for name in ("low_low", "low_high", "high_low", "high_high")},
    }  # fmt: skip


class _Step:
    """The parts of a step that a `ConductLog` reads."""

    def __init__(self, step, decision, weights=None):
        self.step, self.decision, self.weights = step, decision, weights
        self.observation = Observation(step, 0.0)


def test_the_part_of_a_tree_that_acted_decides_as_the_whole_tree_did():
    kinds = set()
    for seed in range(200):
        policy = create_policy("tree", {**random_tree(seed), "measure_every": 1})
        stream = wandering_stream()
        log = ConductLog(len(stream))
        decisions = [policy.decide(observation) for observation in stream]
        for observation, decision in zip(stream, decisions, strict=True):
            log.note(_Step(observation.step, decision))
        found = in_effect("tree", log.conduct(), **policy.values())
        kinds.add(found.kind)
        assert found.complexity <= policy.complexity
        acted = create_policy(found.family, found.parameters)
        again = [acted.decide(observation).weight for observation in wandering_stream()]
        first = int(0.02 * len(stream)) if found.kind == "constant" else 0
        assert again[first:] == pytest.approx([d.weight for d in decisions][first:], abs=0.005)
    assert kinds == {"as_written", "part", "constant"}


def test_the_part_of_a_sample_tree_that_acted_weighs_as_the_whole_tree_did():
    kinds = set()
    for seed in range(200):
        policy = create_policy("sample_tree", random_tree(seed))
        batches = [sample_batch(progress, step) for step, progress in enumerate((0.1, 0.2, 0.3))]
        log = ConductLog(len(batches))
        for batch in batches:
            weights = policy.weights(batch)
            log.note(_Step(batch.step, create_policy("fixed", {"weight": float(weights.mean())}).decide(None), weights))
        log.end_epoch()
        found = in_effect("sample_tree", log.conduct(), **policy.values())
        kinds.add(found.kind)
        acted = create_policy(found.family, found.parameters)
        if found.kind == "constant":
            assert all(torch.allclose(policy.weights(b), torch.tensor(acted.weight), atol=0.005) for b in batches)
        else:
            assert all(torch.equal(policy.weights(b), acted.weights(b)) for b in batches)
            assert acted.complexity <= policy.complexity
    assert kinds == {"as_written", "part", "constant"}


def test_a_tree_that_asked_in_vain_is_told():
    found = in_effect("tree", conduct(0.9, branches=((1, 100),)), root="cosine", low_low=0.1, high_low=0.9)
    assert found.text == "λ = 0.9 throughout; its questions always had the same answer."


@pytest.mark.parametrize("family", list(FAMILIES))
def test_no_family_gets_more_complex_by_what_it_did(family):
    policy = create_policy(family)
    for done in (conduct(0.5), conduct(0.1, 0.9, branches=((0, 50), (1, 50)))):
        assert in_effect(family, done).complexity <= policy.complexity


def test_near_an_end_where_accuracy_changes_fastest_a_small_move_is_a_move():
    done = conduct(0.004, 0.0075, branches=((0, 50), (1, 50)))
    assert in_effect("cosine_threshold", done, above=0.004, below=0.0075).kind == "as_written"


def test_a_teacher_that_counts_a_little_was_used():
    assert in_effect("fixed", conduct(0.002, 0.002), weight=0.002).unused is None
    assert in_effect("fixed", conduct(0.0, 0.0), weight=0.0).unused == "teacher"
