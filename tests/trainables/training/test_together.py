"""Replicates that train as one stacked model equal the replicates trained alone."""

import math

import pytest
import torch

from policies import FAMILIES
from trainables.config.trial import (
    AugmentationSettings,
    CorruptionSettings,
    DeviceSettings,
    ModelSettings,
    PolicySettings,
    TrainingSettings,
)
from trainables.errors import ConfigError
from trainables.training.loop import Distillation
from trainables.training.replicate import Replicate
from trainables.training.stacking import trains_stacked

EPOCHS = 2


def changed(settings, *, family="fixed", replicates="together", seeds=(3, 5, 7), **more):
    training = settings.training.model_copy(update={"epochs": more.pop("epochs", EPOCHS), **more.pop("training", {})})
    return settings.model_copy(
        update={
            "policy": PolicySettings(family=family, parameters=more.pop("parameters", {})),
            "device": DeviceSettings(device="cpu", replicates=replicates),
            "seeds": seeds,
            "training": training,
            **more,
        }
    )


def trained(settings, data):
    trial = Distillation(settings, data)
    for _ in trial.records():
        pass
    return trial


def states(trial):
    """Return everything that is kept of every seed."""
    return {replicate.seed: replicate.state_dict() for replicate in trial.replicates}


def flat(value, path=()):
    """Return (path, number or word or tensor) of all that is nested in a value."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flat(item, (*path, str(key)))]
    if isinstance(value, list | tuple):
        return [pair for index, item in enumerate(value) for pair in flat(item, (*path, index))]
    return [(path, value)]


def assert_close(ours, theirs, tolerance=2e-4):
    one, other = flat(ours), flat(theirs)
    assert [path for path, _ in one] == [path for path, _ in other]
    for (path, value), (_, expected) in zip(one, other, strict=True):
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(
                value, expected, rtol=tolerance, atol=tolerance, msg=lambda m, p=path: f"{p}: {m}"
            )
        elif isinstance(expected, float):
            assert value == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True), path
        else:
            assert value == expected, path


def assert_same_trial(ours, theirs):
    assert_close(states(ours), states(theirs))
    left_out = {"epochs": {"__all__": {"seconds"}}, "training_seconds": True}
    one, other = (trial.history().model_dump(exclude=left_out) for trial in (ours, theirs))
    assert_close(one, other)
    words = [[(e.seed, e.step, e.branch, e.intervention, e.repeats) for e in t.decisions] for t in (ours, theirs)]
    assert words[0] == words[1]


def assert_identical(ours, theirs):
    for (path, value), (other, expected) in zip(flat(ours), flat(theirs), strict=True):
        assert path == other
        same = torch.equal(value, expected) if isinstance(value, torch.Tensor) else repr(value) == repr(expected)
        assert same, path


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_trains_together_as_apart(family, settings, data):
    parameters = {"measure_every": 2} if "measure_every" in FAMILIES[family].parameters() else {}
    both = [
        trained(changed(settings, family=family, replicates=how, parameters=parameters), data)
        for how in ("together", "apart")
    ]
    assert [trial.stacked for trial in both] == [True, False]
    assert_same_trial(*both)


@pytest.mark.parametrize(
    "more",
    [
        {"training": {"optimizer": "sgd", "schedule": "one_cycle", "weight_decay": 1e-3}},
        {"training": {"optimizer": "sgd", "momentum": 0.0}},
        {"training": {"optimizer": "adamw", "schedule": "cosine", "weight_decay": 1e-2, "label_smoothing": 0.1}},
        {"augmentation": AugmentationSettings(flip=True, crop_padding=1, views=1)},
        {"corruption": CorruptionSettings(unit="batch", teacher_share=0.5, label_share=0.5)},
        {"corruption": CorruptionSettings(unit="sample", teacher_share=0.3, label_share=0.3)},
        {"student": ModelSettings(name="mlp", options={"hidden": []})},
        {"student": ModelSettings(name="mlp", options={"hidden": [9, 7]})},
    ],
    ids=lambda more: "-".join(map(str, more)),
)
def test_together_as_apart_whatever_the_training(more, settings, data):
    both = [
        trained(changed(settings, family="norm_balance", replicates=how, parameters={"measure_every": 1}, **more), data)
        for how in ("together", "apart")
    ]
    assert_same_trial(*both)


@pytest.mark.parametrize("family", ["fixed", "norm_balance", "cosine_threshold", "sample_tree"])
@pytest.mark.parametrize("batch_size", [50, 33, 7])
def test_a_student_does_not_depend_on_its_company(family, batch_size, settings, data):
    def students(*seeds):
        training = {"batch_size": batch_size}
        return states(trained(changed(settings, family=family, seeds=seeds, training=training), data))

    five = students(3, 5, 7, 2, 9)
    for company in ((9,), (3, 9), (9, 7, 3)):
        fewer = students(*company)
        for seed in company:
            assert_identical(fewer[seed], five[seed])


@pytest.mark.parametrize("how", ["together", "apart"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_what_is_stored_can_be_gone_on_with_in_either_way(how, optimizer, settings, data, tmp_path):
    """The state always has the form of replicates trained apart."""
    chosen = changed(settings, family="norm_balance", epochs=3, training={"optimizer": optimizer})
    begun = Distillation(chosen, data)
    next(begun.records())
    torch.save(begun.state_dict(), tmp_path / "state.pt")
    resumed = Distillation(
        chosen.model_copy(update={"device": chosen.device.model_copy(update={"replicates": how})}), data
    )
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for _ in resumed.records():
        pass
    whole = trained(chosen, data)
    assert_same_trial(resumed, whole)
    if how == "together":
        assert_identical(states(resumed), states(whole))


@pytest.fixture
def breakable(data, monkeypatch):
    """Add one picture that breaks things; return a function that puts it into a step of one seed."""
    count = len(data)
    white = torch.full_like(data.images[:1], 255)
    data.images = torch.cat([data.images, white])
    data.targets = torch.cat([data.targets, torch.full_like(data.targets[:, :1], math.nan)], 1)
    prepare, sources = data.prepare, Replicate.sources

    def prepare_broken(images):
        broken = (images == 255).flatten(1).all(1)
        return torch.where(broken[:, None, None, None], math.nan, prepare(images))

    def put(which):
        def sources_broken(self, order, epoch):
            found = sources(self, order, epoch).clone()
            if self.seed == 5 and epoch == 1:
                found[which, 1, 3] = count
            return found

        monkeypatch.setattr(data, "prepare", prepare_broken)
        monkeypatch.setattr(Replicate, "sources", sources_broken)

    return put


IMAGES, TARGETS = 0, 2


@pytest.mark.parametrize("which", [IMAGES, TARGETS])
@pytest.mark.parametrize("family", ["fixed", "norm_balance", "sample_norm_balance"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_one_that_breaks_does_no_harm_to_the_others(which, family, optimizer, settings, data, breakable):
    """A broken picture costs seed 5 a step; a broken output of the teacher costs the teacher's part of a step."""
    more = {"family": family, "epochs": 3, "training": {"batch_size": 16, "optimizer": optimizer, "weight_decay": 0.01}}
    sound = trained(changed(settings, **more), data)
    breakable(which)
    together, apart = (trained(changed(settings, replicates=how, **more), data) for how in ("together", "apart"))
    assert_same_trial(together, apart)
    assert together.history().skipped_steps == (which == IMAGES)
    assert sum(together.history().interventions.values()) == 1
    assert {entry.seed for entry in together.decisions if entry.intervention} == {5}
    for seed in (3, 7):
        assert_identical(states(together)[seed], states(sound)[seed])
    if which == IMAGES and optimizer == "adamw":
        counts = {seed: float(state["optimizer"]["state"][0]["step"]) for seed, state in states(together).items()}
        assert counts == {3: 21.0, 5: 20.0, 7: 21.0}


def test_steps_counted_apart_are_gone_on_with(settings, data, breakable):
    """A training is stored after one member was held back, and resumed."""
    breakable(IMAGES)
    chosen = changed(settings, family="norm_balance", epochs=4)
    begun = Distillation(chosen, data)
    records = begun.records()
    for _ in range(2):
        next(records)
    resumed = Distillation(chosen, data)
    resumed.load_state_dict(begun.state_dict())
    for _ in resumed.records():
        pass
    assert_identical(states(resumed), states(trained(chosen, data)))


def test_one_that_never_moves(settings, data):
    """A student that was lost before it began stays as it is, whatever the others do."""
    trials = []
    for how in ("together", "apart"):
        trial = Distillation(changed(settings, replicates=how), data)
        with torch.no_grad():
            trial.replicates[1].student[1].bias.fill_(math.nan)
        before = {name: value.clone() for name, value in trial.replicates[1].student.state_dict().items()}
        for _ in trial.records():
            pass
        assert_identical(
            {k: v.nan_to_num(9.0) for k, v in trial.replicates[1].student.state_dict().items()},
            {k: v.nan_to_num(9.0) for k, v in before.items()},
        )
        assert trial.history().skipped_steps == trial.replicates[1].total_steps
        trials.append(trial)
    for one, other in zip(trials[0].replicates[::2], trials[1].replicates[::2], strict=True):
        assert_close(one.state_dict(), other.state_dict())


def test_students_have_memory_of_their_own_once_trained(settings, data, tmp_path):
    trial = trained(changed(settings), data)
    for replicate in trial.replicates:
        for parameter in replicate.student.parameters():
            assert parameter.untyped_storage().nbytes() == parameter.nbytes
    before = trial.replicates[1].student[1].weight.clone()
    with torch.no_grad():
        trial.replicates[0].student[1].weight.zero_()
    assert torch.equal(before, trial.replicates[1].student[1].weight)


def test_a_student_can_be_read_while_it_trains(settings, data):
    trial = Distillation(changed(settings), data)
    before = trial.replicates[0].student[1].weight.clone()
    next(trial.records())
    assert not torch.equal(before, trial.replicates[0].student[1].weight)


def test_what_can_be_stacked_is_unless_told_otherwise():
    def stacked(student, replicates, **training):
        device = DeviceSettings(replicates=replicates)
        return trains_stacked(ModelSettings(name=student), device, TrainingSettings(**training))

    assert stacked("mlp", "auto")
    assert stacked("mlp", "together")
    assert not stacked("mlp", "apart")
    assert not stacked("cnn", "auto")
    with pytest.raises(
        ConfigError, match=r"`device.replicates` must be 'auto' or 'apart' for students 'cnn'.*'together'"
    ):
        stacked("cnn", "together")
    assert not stacked("mlp", "auto", bias_weight_decay=0.0)
    with pytest.raises(ConfigError, match=r"'auto' or 'apart' where `training\.norm_weight_decay` or"):
        stacked("mlp", "together", bias_weight_decay=0.0)


def test_one_seed_trains_stacked_too(settings, data):
    """Otherwise a student would depend on the others."""
    assert trained(changed(settings, replicates="auto", seeds=(3,)), data).stacked
