import itertools

import pytest
import torch

from policies import FAMILIES
from trainables.config.trial import ModelSettings, PolicySettings
from trainables.records.conduct import join_conducts
from trainables.records.heats import join_heats
from trainables.records.objective import Objective
from trainables.records.trial import TrialHistory
from trainables.training.loop import Distillation

# Students with convolutions train one after the other; chains of linear layers train as one stacked model.
STUDENTS = {
    "stacked": ModelSettings(name="mlp", options={"hidden": [16]}),
    "one by one": ModelSettings(name="cnn", options={"widths": [4]}),
}


def watched(settings, data):
    """Return a finished trial, and all steps of each seed as the loop saw them."""
    trial = Distillation(settings, data)
    steps = {log: [] for log in trial._conducts}
    for log in trial._conducts:
        log.note = lambda step, log=log, note=log.note: (steps[log].append(step), note(step))
    list(trial.records())
    return trial, list(steps.values())


def with_rule(settings, family, **parameters):
    return settings.model_copy(update={"policy": PolicySettings(family=family, parameters=parameters)})


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("family", ["cosine_threshold", "norm_balance", "safe_interval", "linear_schedule", "fixed"])
def test_conduct_tells_what_all_steps_say(settings, data, student, family):
    settings = with_rule(settings, family).model_copy(update={"student": STUDENTS[student]})
    trial, steps = watched(settings, data)
    for result, own in zip(trial.history().replicates, steps, strict=True):
        weights, branches = [s.decision.weight for s in own], [s.decision.branch for s in own]
        assert result.conduct.steps == len(own) == trial.replicates[0].total_steps
        assert result.conduct.weight_range == (min(weights), max(weights))
        assert result.conduct.weight_mean == pytest.approx(sum(weights) / len(weights))
        assert dict(result.conduct.branches) == {b: branches.count(b) for b in set(branches)}
        assert result.conduct.switches == sum(a != b for a, b in itertools.pairwise(branches))
        assert result.conduct.samples is None
    whole = trial.history().conduct
    everything = [s.decision.weight for own in steps for s in own]
    assert whole.steps == len(everything)
    assert whole.weight_range == (min(everything), max(everything))
    assert whole.weight_mean == pytest.approx(sum(everything) / len(everything))


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("family", ["sample_cosine_threshold", "sample_cosine_ramp"])
def test_conduct_of_samples_tells_what_all_batches_say(settings, data, student, family):
    settings = with_rule(settings, family).model_copy(update={"student": STUDENTS[student]})
    trial, steps = watched(settings, data)
    for result, own in zip(trial.history().replicates, steps, strict=True):
        weights, samples = torch.stack([s.weights for s in own]), result.conduct.samples
        assert samples.weight_range == (float(weights.min()), float(weights.max()))
        assert samples.spread == pytest.approx(float(weights.std(dim=1, correction=0).mean()), rel=1e-5)
        assert samples.spread > 0.0
        found = weights.unique()
        if len(found) > 8:
            assert samples.levels is None
        else:
            assert samples.levels == tuple(
                (float(w), pytest.approx(float((weights == w).double().mean()))) for w in found
            )
    assert (trial.history().conduct.samples.levels is None) == (family == "sample_cosine_ramp")


def test_settled_figures_leave_out_the_first_steps(settings, data):
    training = settings.training.model_copy(update={"epochs": 50, "batch_size": 60})  # 100 steps, of which 2 are first
    # The warm-up ends within the second step, so λ is 0, then 0.9 × 1/1.5, then 0.9.
    rule = with_rule(settings, "warm_up", weight=0.9, share=0.015).model_copy(update={"training": training})
    trial, _ = watched(rule, data)
    conduct = trial.history().conduct
    assert conduct.weight_range == (0.0, 0.9)
    assert conduct.settled_range == (0.9, 0.9)
    assert conduct.settled_mean == pytest.approx(0.9)
    assert [branch for branch, _ in conduct.branches] == [0, 1]
    assert conduct.settled_branches == (1,)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_resumed_training_has_the_conduct_of_an_undisturbed_one(settings, data, family):
    settings = with_rule(settings, family)
    whole = Distillation(settings, data)
    list(whole.records())
    begun, resumed = Distillation(settings, data), Distillation(settings, data)
    records = begun.records()
    next(records), next(records), next(records)
    resumed.load_state_dict(begun.state_dict())
    list(resumed.records())
    assert resumed.history().conduct is not None
    assert resumed.history().conduct == whole.history().conduct


def test_a_training_that_an_older_release_began_has_no_conduct(settings, data):
    begun, resumed = Distillation(settings, data), Distillation(settings, data)
    next(begun.records())
    state = begun.state_dict()
    del state["conducts"]
    resumed.load_state_dict(state)
    list(resumed.records())
    assert resumed.history().conduct is None
    assert all(result.conduct is None for result in resumed.results)
    assert resumed.history().score is not None


def test_heats_have_the_conduct_of_all_their_seeds(settings, data):
    settings = with_rule(settings, "sample_cosine_threshold")

    def history(*seeds):
        trial = Distillation(settings.model_copy(update={"seeds": seeds}), data)
        list(trial.records())
        return trial.history()

    parts, whole = [history(3), history(5, 7)], history(3, 5, 7)
    joined = join_heats(parts, Objective()).conduct
    assert joined.steps == whole.conduct.steps
    assert joined.weight_range == pytest.approx(whole.conduct.weight_range, abs=1e-6)
    assert joined.weight_mean == pytest.approx(whole.conduct.weight_mean, abs=1e-6)
    assert [level for level, _ in joined.samples.levels] == [level for level, _ in whole.conduct.samples.levels]
    assert sum(share for _, share in joined.samples.levels) == pytest.approx(1.0)
    older = parts[0].model_copy(update={"conduct": None})
    assert join_heats([older, parts[1]], Objective()).conduct is None
    assert join_conducts([]) is None


def test_histories_keep_their_conduct_and_older_ones_are_read(settings, data):
    trial = Distillation(with_rule(settings, "sample_tree"), data)
    list(trial.records())
    history = trial.history()
    assert TrialHistory.from_json(history.to_json()) == history
    older = history.model_dump(mode="json")
    del older["conduct"]
    for replicate in older["replicates"]:
        del replicate["conduct"]
    assert TrialHistory.parse(older).conduct is None
