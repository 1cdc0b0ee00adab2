"""Views by a function of the user's own: seeded for each picture, computed once, the same for teacher and student."""

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from policies.errors import KDPolicySearchError
from trainables.config import AugmentationSettings, DataSettings, TeacherSettings, TrialSettings
from trainables.datasets import load_dataset
from trainables.device import Compute
from trainables.errors import ConfigError, DataError
from trainables.teacher import compute_assets, compute_logits, prepare_teacher
from trainables.training import Distillation, check_own_views, compute_views, data_on_device, own_views

CPU = Compute(torch.device("cpu"), bfloat16=False)
VIEWS = """
import random
import numpy as np
import torch

SEEN = []


def shift(picture, generator):
    down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
    return torch.roll(picture, (down, right), (1, 2))


def from_globals(picture, generator):
    moved = torch.roll(picture, int(torch.randint(3, ())), 1)
    moved = torch.roll(moved, int(np.random.randint(3)), 2)
    return moved if random.random() < 0.5 else moved.flip(2)


def in_place(picture, generator):
    picture[:, 0] = 0
    return picture


def counting(picture, generator):
    SEEN.append(1)
    return torch.roll(picture, len(SEEN), 1)


def unseeded(picture, generator):
    return torch.roll(picture, int(np.random.default_rng().integers(8)), 1)


def real(picture, generator):
    return picture / 255


def cropped(picture, generator):
    return picture[:, 1:]


def failing(picture, generator):
    return picture[9]


def batched(pictures):
    return pictures
"""


def own(name: str, **values: object) -> AugmentationSettings:
    return AugmentationSettings.parse({"function": f"my_views.py:{name}", "source": VIEWS, **values})


@pytest.fixture(scope="module")
def digits():
    return load_dataset(DataSettings(train_size=60), default_root=Path("unused"))


@pytest.mark.parametrize("name", ["shift", "from_globals"])
def test_a_view_depends_on_seed_view_and_picture_only(digits, name):
    images = digits.train.images
    views = compute_views(own(name, views=3), images)
    assert views.shape == (3, *images.shape)
    assert views.dtype == np.uint8
    np.testing.assert_array_equal(compute_views(own(name, views=2), images[:7]), views[:2, :7])
    assert (views[0] != views[1]).any()
    assert (compute_views(own(name, views=3, seed=1), images) != views).any()


def test_generators_outside_are_untouched_and_pictures_too(digits):
    before = digits.train.images.copy()
    torch.manual_seed(1)
    random.seed(1)
    expected = torch.rand(1), random.random()
    torch.manual_seed(1)
    random.seed(1)
    compute_views(own("from_globals", views=1), digits.train.images)
    compute_views(own("in_place", views=1), digits.train.images)
    assert (torch.rand(1), random.random()) == expected
    np.testing.assert_array_equal(digits.train.images, before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("counting", "must give the same view of a picture each time.*keep nothing between two calls"),
        ("unseeded", "must give the same view of a picture each time.*from the generator that it gets"),
        ("real", r"must return a tensor torch\.uint8 \(1, 8, 8\).*but returned torch\.float32 \(1, 8, 8\)"),
        ("cropped", r"but returned torch\.uint8 \(1, 7, 8\)"),
        ("failing", r"failed, line \d+ \(`return picture\[9\]`\)"),
        ("batched", r"called as batched\(picture, generator\), which does not fit"),
        ("none", "has no function or class 'none'"),
    ],
)
def test_a_wrong_function_is_refused_with_the_reason(digits, name, message):
    with pytest.raises(KDPolicySearchError, match=message):
        compute_views(own(name), digits.train.images)


def test_a_missing_argument_shows_before_data_are_loaded():
    with pytest.raises(ConfigError, match="batched"):
        check_own_views(own("batched"))


def test_more_views_than_memory_are_refused(digits, monkeypatch):
    monkeypatch.setattr(own_views, "MOST_BYTES", 60 * 64 * 8 - 1)
    with pytest.raises(DataError, match=r"`augmentation.views` = 8 views of 60 pictures take .*lower `views`"):
        compute_views(own("shift"), digits.train.images)


@pytest.mark.parametrize("extra", [{"flip": True}, {"crop_padding": 1}])
def test_a_function_is_the_only_augmentation(extra):
    with pytest.raises(ConfigError, match="do not apply beside `function`"):
        own("shift", **extra)
    with pytest.raises(ConfigError, match=r"`function` must be FILE\.py:FUNCTION"):
        AugmentationSettings.parse({"function": "shift"})


def prepared(digits, tmp_path, **values):
    settings = TeacherSettings.parse({"model": {"name": "mlp"}, "training": {"epochs": 3}, **values})
    return prepare_teacher(settings, digits, cache=tmp_path, compute=CPU)


def test_the_teacher_answers_about_the_views_that_students_see(digits, tmp_path):
    augmentation = own("shift", views=3)
    teacher = prepared(digits, tmp_path)
    assets = compute_assets(digits, teacher, augmentation, CPU.device, tmp_path)
    np.testing.assert_array_equal(assets.train_views, compute_views(augmentation, digits.train.images))
    data = data_on_device(assets, CPU)
    places = torch.arange(10, 30)
    for epoch in range(4):
        batch = data.batch(places, (places, places, places), data.augmentation(augmentation), epoch)
        expected = compute_logits(teacher.module, assets.train_views[epoch % 3, 10:30], digits, CPU.device)
        np.testing.assert_allclose(batch.targets.numpy(), expected, rtol=1e-5, atol=1e-5)
        shown = batch.inputs * data.std[:, None, None] + data.mean[:, None, None]
        np.testing.assert_allclose(shown.numpy(), assets.train_views[epoch % 3, 10:30], atol=1e-3)
    again = compute_assets(digits, teacher, augmentation, CPU.device, tmp_path)
    np.testing.assert_array_equal(again.train_targets, assets.train_targets)


def test_the_outputs_kept_are_those_of_the_functions_text(digits, tmp_path):
    teacher = prepared(digits, tmp_path)
    first = compute_assets(digits, teacher, own("shift", views=2), CPU.device, tmp_path / "outputs")
    changed = own("shift", views=2).model_copy(update={"source": VIEWS.replace("-1, 2", "-2, 3")})
    other = compute_assets(digits, teacher, changed, CPU.device, tmp_path / "outputs")
    assert (first.train_targets != other.train_targets).any()


def test_a_teacher_is_trained_on_views_of_a_function(digits, tmp_path):
    plain, moved = prepared(digits, tmp_path), prepared(digits, tmp_path, augmentation=own("shift").model_dump())
    assert plain.key != moved.key
    assert plain.weights != moved.weights


def test_a_training_on_own_views_is_repeatable_and_needs_no_function(digits, tmp_path, settings):
    augmentation = own("shift", views=2)
    assets = compute_assets(digits, prepared(digits, tmp_path), augmentation, CPU.device)
    trial = TrialSettings.parse({**settings.model_dump(), "augmentation": augmentation.model_dump()})
    broken = trial.model_copy(update={"augmentation": augmentation.model_copy(update={"source": "1 / 0"})})
    states = []
    for chosen, given in ((trial, assets), (broken, dataclasses.replace(assets))):
        distillation = Distillation(chosen, data_on_device(given, CPU))
        for _ in distillation.records():
            pass
        states.append(distillation.replicates[0].student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
