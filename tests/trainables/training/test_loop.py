import itertools
import math
import statistics

import pytest
import torch

from policies import FAMILIES
from trainables.config.trial import AugmentationSettings, ModelSettings, PolicySettings
from trainables.records.trial import TrialHistory
from trainables.training.course import spread_evenly
from trainables.training.loop import Distillation


def run(settings, data):
    trial = Distillation(settings, data)
    records = [record for record in trial.records() if record is not None]
    return trial, records


def weights_of(trial):
    return [v for r in trial.replicates for v in r.student.state_dict().values()]


def assert_resumes_exactly(settings, data):
    whole, _ = run(settings, data)
    interrupted = Distillation(settings, data)
    next(interrupted.records())
    resumed = Distillation(settings, data)
    resumed.load_state_dict(interrupted.state_dict())
    list(resumed.records())
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole), weights_of(resumed), strict=True))


def comparable(history: TrialHistory):
    """Return a history without what only the clock decides."""
    return history.model_copy(
        update={"epochs": tuple(e.model_copy(update={"seconds": 0.0}) for e in history.epochs), "training_seconds": 0.0}
    )


def test_records_come_at_even_distances_and_at_the_end(settings, data):
    trial, records = run(settings, data)
    assert [r.epoch for r in records] == [2, 4, 6, 8]
    assert trial.done


def test_training_learns(settings, data):
    training = settings.training.model_copy(update={"epochs": 40})
    _, records = run(settings.model_copy(update={"training": training}), data)
    assert records[-1].validation_accuracy > 0.7
    assert records[-1].train_task_loss < records[0].train_task_loss


def test_score_is_the_mean_over_the_seeds_and_the_spread_their_deviation(settings, data):
    trial, records = run(settings, data)
    history = trial.history()
    scores = [r.validation_accuracy for r in history.replicates]
    assert [r.seed for r in history.replicates] == [3, 5]
    assert history.score == pytest.approx(statistics.fmean(scores)) == pytest.approx(records[-1].validation_accuracy)
    assert history.score_std == pytest.approx(statistics.stdev(scores))


def test_a_trial_is_told_by_its_settings_alone(settings, data):
    first, _ = run(settings, data)
    torch.manual_seed(99)  # whatever the global generator does
    second, _ = run(settings, data)
    assert comparable(first.history()) == comparable(second.history())
    assert all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(second), strict=True))


def test_training_leaves_the_global_generator_alone(settings, data):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    run(settings, data)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_trial_equals_an_uninterrupted_one(family, stop_after, settings, data, tmp_path):
    settings = settings.model_copy(update={"policy": PolicySettings(family=family)})
    whole, _ = run(settings, data)

    interrupted = Distillation(settings, data)
    records = interrupted.records()
    for _ in range(stop_after):
        next(records)
    torch.save(interrupted.state_dict(), tmp_path / "state.pt")
    resumed = Distillation(settings, data)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in resumed.records():
        pass

    assert comparable(resumed.history()) == comparable(whole.history())
    assert resumed.decisions == whole.decisions
    for a, b in zip(whole.replicates, resumed.replicates, strict=True):
        assert _plain(a.state_dict()) == _plain(b.state_dict())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "multi_step", "constant"])
def test_every_optimiser_and_schedule_resumes_exactly(optimizer, schedule, settings, data):
    training = settings.training.model_copy(update={"optimizer": optimizer, "schedule": schedule})
    settings = settings.model_copy(update={"training": training, "seeds": (1,)})
    assert_resumes_exactly(settings, data)


def test_batch_norm_and_augmentation_resume_exactly(settings, data):
    settings = settings.model_copy(
        update={
            "student": ModelSettings(name="cnn", options={"widths": [4, 8]}),
            "augmentation": AugmentationSettings(flip=True, crop_padding=1, views=1),
            "seeds": (1,),
        }
    )
    assert_resumes_exactly(settings, data)


def test_trials_that_share_a_seed_start_alike_whatever_their_policy(settings, data):
    first = Distillation(settings, data)
    other = Distillation(
        settings.model_copy(update={"policy": PolicySettings(family="fixed"), "temperature": 2.0}), data
    )
    assert all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(other), strict=True))


def test_seeds_differ(settings, data):
    trial = Distillation(settings, data)
    first, second = trial.replicates
    assert not torch.equal(next(first.student.parameters()), next(second.student.parameters()))


def test_trials_that_share_a_seed_see_the_same_batches(settings, data, monkeypatch):
    def batches(policy):
        seen = []
        trial = Distillation(settings.model_copy(update={"policy": PolicySettings(family=policy), "seeds": (4,)}), data)
        prepare = data.prepare

        def spy(images):
            if trial.replicates[0].student.training:
                seen.append(images.clone())
            return prepare(images)

        monkeypatch.setattr(data, "prepare", spy)
        list(trial.records())
        monkeypatch.setattr(data, "prepare", prepare)
        return seen

    one, two = batches("fixed"), batches("norm_balance")
    assert len(one) == len(two) == 8 * (120 // 50)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_trace_spans_the_training_and_is_bounded(settings, data):
    trial, _ = run(settings, data)
    trace = trial.history().trace
    assert len(trace) == 7
    assert trace[0].step == 0
    assert trace[-1].step == 8 * 2 - 1
    assert all(-1 <= p.cosine <= 1 and p.norm_ratio > 0 and math.isfinite(p.task_loss) for p in trace)


def test_trace_tells_how_far_the_seeds_lie_apart(settings, data):
    settings = settings.model_copy(update={"policy": PolicySettings(family="norm_balance")})
    both = run(settings, data)[0].history().trace
    single = [run(settings.model_copy(update={"seeds": (seed,)}), data)[0].history().trace for seed in settings.seeds]
    for point, *alone in zip(both, *single, strict=True):
        for read, ends in ((lambda p: p.weight, point.weight_range), (lambda p: p.cosine, point.cosine_range)):
            values = [read(p) for p in alone]
            assert ends == (min(values), max(values))
            assert read(point) == pytest.approx(statistics.fmean(values))
    assert any(point.cosine_range[0] < point.cosine_range[1] for point in both)


def test_decisions_of_every_seed_are_logged_when_they_change(settings, data):
    policy = PolicySettings(
        family="norm_ratio_threshold", parameters={"threshold": 1.2, "measure_every": 1, "smoothing": 0.0}
    )
    trial, _ = run(settings.model_copy(update={"policy": policy}), data)
    assert trial.history().decisions == len(trial.decisions)
    for seed in settings.seeds:
        entries = [entry for entry in trial.decisions if entry.seed == seed]
        assert entries[0].step == 0
        assert len(entries) > 1
        assert all(b.branch != a.branch and b.step > a.step for a, b in itertools.pairwise(entries))
        assert all("norm ratio" in entry.reason and entry.cosine is not None for entry in entries)


def test_a_step_of_which_both_losses_are_broken_is_skipped_and_logged(settings, data, monkeypatch):
    trial = Distillation(settings, data)
    monkeypatch.setitem(data.__dict__, "targets", torch.full_like(data.targets, torch.nan))
    monkeypatch.setitem(data.__dict__, "mean", data.mean * torch.nan)
    before = [value.clone() for value in weights_of(trial)]
    list(trial.records())
    history = trial.history()
    assert history.skipped_steps == 2 * 16
    assert history.interventions == {"both losses are not finite": 32}
    assert [(entry.seed, entry.step, entry.repeats) for entry in trial.decisions] == [(3, 0, 15), (5, 0, 15)]
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(trial), strict=True))


def test_history_survives_json_exactly(settings, data):
    history = run(settings, data)[0].history()
    assert TrialHistory.from_json(history.to_json()) == history


def test_policy_document_names_what_was_trained(settings, data):
    document = run(settings, data)[0].history().policy
    assert document["family"] == "norm_ratio_threshold"
    assert document["parameters"]["threshold"] == 1.5
    assert document["temperature"] == 4.0


def test_a_diverged_training_goes_to_its_end_and_has_no_score(settings, data):
    training = settings.training.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd", "schedule": "constant"})
    trial, _ = run(settings.model_copy(update={"training": training}), data)
    assert trial.history().score is None
    assert all(result.validation_accuracy <= 0.3 for result in trial.results)
    assert trial.history().skipped_steps > 0
    TrialHistory.from_json(trial.history().to_json())


def test_a_batch_larger_than_the_set_is_the_whole_set(settings, data):
    training = settings.training.model_copy(update={"batch_size": 10_000})
    trial, records = run(settings.model_copy(update={"training": training}), data)
    assert trial.replicates[0].total_steps == 8
    assert records[-1].epoch == 8


def test_spread_evenly_keeps_both_ends():
    assert spread_evenly(10, 4) == [0, 3, 6, 9]
    assert spread_evenly(3, 50) == [0, 1, 2]
    assert spread_evenly(1, 5) == [0]


def _plain(value):
    """Turn tensors into bytes, so that equal means equal to the last bit."""
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return repr(value)
