import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.config.trial import (
    AugmentationSettings,
    CorruptionSettings,
    DeviceSettings,
    PolicySettings,
    TrialSettings,
)
from trainables.errors import ConfigError
from trainables.training.corruption import Corruption
from trainables.training.data import DeviceAssets
from trainables.training.loop import Distillation
from trainables.training.replicate import Replicate

BATCH = CorruptionSettings(unit="batch", teacher_share=0.3, label_share=0.3)
SAMPLE = CorruptionSettings(unit="sample", teacher_share=0.3, label_share=0.3)
BOTH = pytest.mark.parametrize("settings_of_corruption", [BATCH, SAMPLE], ids=["batch", "sample"])


def sources_of(settings, *, pictures=200, batch_size=20, seed=0, epoch=0, order=None):
    if order is None:
        order = np.random.default_rng([seed, epoch]).permutation(pictures)
    corruption = Corruption(settings, pictures=pictures, batch_size=batch_size, seed=seed)
    return order, *corruption.sources(order, epoch)


shares = st.floats(0, 1).flatmap(lambda a: st.tuples(st.just(a), st.floats(0, 1 - a)))


@given(shares=shares, seed=st.integers(0, 99), epoch=st.integers(0, 99))
def test_broken_batches_are_exchanged_within_themselves_and_nothing_broken_stays_at_home(shares, seed, epoch):
    settings = CorruptionSettings(unit="batch", teacher_share=shares[0], label_share=shares[1])
    order, labels, targets = (a.reshape(10, 20) for a in sources_of(settings, seed=seed, epoch=epoch))
    for sources in (labels, targets):
        assert (np.sort(sources, axis=1) == np.sort(order, axis=1)).all()
    away = [(sources != order).mean(axis=1) for sources in (targets, labels)]
    for share, broken in zip(shares, away, strict=True):
        assert set(broken) <= {0.0, 1.0}
        assert abs(broken.sum() - 10 * share) < 1 + 1e-9
    assert not (away[0] * away[1]).any()


@given(shares=shares, pictures=st.integers(40, 300), seed=st.integers(0, 99))
def test_broken_samples_are_exchanged_among_themselves_and_nothing_broken_stays_at_home(shares, pictures, seed):
    settings = CorruptionSettings(unit="sample", teacher_share=shares[0], label_share=shares[1], seed=seed)
    order = np.arange(pictures)
    try:
        _, labels, targets = sources_of(settings, pictures=pictures, order=order)
    except ConfigError:
        counts = round(shares[0] * pictures), round(sum(shares) * pictures)
        assert 1 in (counts[0], counts[1] - counts[0])
        return
    broken_label, broken_target = labels != order, targets != order
    for sources, broken in ((labels, broken_label), (targets, broken_target)):
        assert (np.sort(sources[broken]) == order[broken]).all()
    assert broken_target.sum() == round(shares[0] * pictures)
    assert broken_target.sum() + broken_label.sum() == round(sum(shares) * pictures)
    assert not (broken_label & broken_target).any()


def test_a_batch_breaks_with_the_chance_of_its_share_wherever_it_stands_in_the_epoch():
    counts = np.zeros((2, 7))
    for epoch in range(2000):
        order, labels, targets = (a.reshape(7, 2) for a in sources_of(BATCH, pictures=14, batch_size=2, epoch=epoch))
        counts += [(labels != order).any(axis=1), (targets != order).any(axis=1)]
    assert np.abs(counts / 2000 - 0.3).max() < 0.05


def test_broken_batches_differ_by_epoch_training_seed_and_corruption_seed():
    order = np.arange(200)
    first = sources_of(BATCH, order=order)
    for other in (
        sources_of(BATCH, order=order, epoch=1),
        sources_of(BATCH, order=order, seed=1),
        sources_of(BATCH.model_copy(update={"seed": 1}), order=order),
    ):
        assert not np.array_equal(first[1], other[1])
        assert not np.array_equal(first[2], other[2])


def test_broken_samples_are_the_same_in_every_epoch_and_training_but_not_under_another_corruption_seed():
    order = np.arange(200)
    first = sources_of(SAMPLE, order=order)
    later = sources_of(SAMPLE, order=order, epoch=3, seed=5, batch_size=7)
    other = sources_of(SAMPLE.model_copy(update={"seed": 1}), order=order)
    for index in (1, 2):
        assert np.array_equal(first[index], later[index])
        assert not np.array_equal(first[index], other[index])


@BOTH
def test_a_seed_always_breaks_the_same(settings_of_corruption):
    for one, two in zip(sources_of(settings_of_corruption), sources_of(settings_of_corruption), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"unit": "batch", "teacher_share": 0.7, "label_share": 0.6}, "must add up to 1 at most.*0.7.*0.6"),
        ({"unit": "batch", "teacher_share": -0.1}, r"`corruption\.teacher_share` should be greater than.*got -0\.1"),
        ({"unit": "picture"}, r"`corruption\.unit` should be 'batch' or 'sample', but got 'picture'"),
        ({"teacher_share": 0.1}, r"`corruption\.unit` is missing"),
        ({"unit": "batch", "labels_share": 0.1}, r"`corruption\.labels_share` is not a known.*'label_share'"),
    ],
)
def test_mistakes_in_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        TrialSettings.parse({"student": {"name": "mlp"}, "corruption": values})


def test_what_cannot_be_exchanged_is_told():
    with pytest.raises(ConfigError, match=r"`training\.batch_size` must be at least 2 .*but got 1; raise it"):
        Corruption(BATCH, pictures=100, batch_size=1, seed=0)
    with pytest.raises(
        ConfigError, match=r"`corruption\.label_share` must select no picture or at least two.*0\.01 of 100"
    ):
        Corruption(SAMPLE.model_copy(update={"label_share": 0.01}), pictures=100, batch_size=1, seed=0)


@pytest.fixture
def broken(settings, settings_of_corruption):
    return settings.model_copy(
        update={
            "corruption": settings_of_corruption,
            "augmentation": AugmentationSettings(crop_padding=1, views=3),
            "training": settings.training.model_copy(update={"batch_size": 12}),
        }
    )


@pytest.fixture
def viewed(assets, data):
    """Return the shared data with other targets for each of three views."""
    import dataclasses

    views = np.concatenate([assets.train_targets + 100 * view for view in range(3)])
    return DeviceAssets(dataclasses.replace(assets, train_targets=views), data.compute)


@BOTH
def test_a_batch_holds_whole_pictures_and_other_pictures_labels_and_outputs_on_the_same_view(broken, viewed):
    whole = broken.model_copy(update={"corruption": None})
    for epoch in range(4):
        taken, clean = (epoch_of(s, viewed, epoch) for s in (broken, whole))
        for batch, same in zip(taken, clean, strict=True):
            assert torch.equal(batch.inputs, same.inputs)
            assert torch.equal(batch.labels, viewed.labels[batch.label_sources])
            assert torch.equal(batch.targets, viewed.targets[epoch % 3][batch.target_sources])
            assert torch.equal(same.labels, viewed.labels[batch.samples])
            assert torch.equal(same.targets, viewed.targets[epoch % 3][batch.samples])
        for sources in ("label_sources", "target_sources"):
            exchanged = torch.cat([getattr(b, sources) != b.samples for b in taken])
            assert exchanged.float().mean().item() == pytest.approx(0.3, abs=0.001)


def epoch_of(settings, data, epoch):
    replicate = Replicate(settings, 3, data, data.augmentation(settings.augmentation))
    replicate.epoch = epoch
    torch.manual_seed(epoch)
    return list(replicate.batches())


@BOTH
@pytest.mark.parametrize("replicates", ["together", "apart"])
def test_policies_are_compared_on_the_same_broken_data(broken, replicates, data, monkeypatch):
    batches_of = Replicate.batches_of

    def seen(policy):
        device = DeviceSettings(device="cpu", replicates=replicates)
        trial = Distillation(
            broken.model_copy(update={"policy": PolicySettings(family=policy), "device": device}), data
        )
        sources = []
        monkeypatch.setattr(
            Replicate, "batches_of", lambda *given: (sources.append(b[2:]) or b for b in batches_of(*given))
        )
        list(trial.records())
        return sources

    one, two = seen("fixed"), seen("norm_balance")
    assert len(one) == len(two) == 8 * 10 * (1 if replicates == "together" else 2)
    assert all(torch.equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True))


@BOTH
def test_a_resumed_trial_on_broken_data_equals_an_uninterrupted_one(broken, data, tmp_path):
    whole = Distillation(broken, data)
    list(whole.records())
    interrupted = Distillation(broken, data)
    records = interrupted.records()
    for _ in range(3):
        next(records)
    torch.save(interrupted.state_dict(), tmp_path / "state.pt")
    resumed = Distillation(broken, data)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    list(resumed.records())
    assert weights_of(resumed) == weights_of(whole)
    assert weights_of(whole) != weights_of(interrupted)


@pytest.mark.parametrize("unit", ["batch", "sample"])
def test_with_no_share_broken_a_training_is_the_clean_one(unit, settings, data):
    trials = [
        Distillation(settings.model_copy(update={"corruption": corruption}), data)
        for corruption in (None, CorruptionSettings(unit=unit), CorruptionSettings(unit=unit, label_share=0.3))
    ]
    for trial in trials:
        list(trial.records())
    clean, unbroken, broken = map(weights_of, trials)
    assert clean == unbroken
    assert clean != broken


@BOTH
def test_validation_is_whole(broken, data):
    replicates = [
        Replicate(s, 3, data, data.augmentation(s.augmentation))
        for s in (broken, broken.model_copy(update={"corruption": None}))
    ]
    assert replicates[0].evaluate() == replicates[1].evaluate()


def weights_of(trial):
    return [v.numpy().tobytes() for r in trial.replicates for v in r.student.state_dict().values()]
