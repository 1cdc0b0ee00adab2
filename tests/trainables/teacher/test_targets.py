import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.config import AugmentationSettings, DataSettings, ModelSettings
from trainables.datasets import load_dataset
from trainables.errors import ModelError
from trainables.models import create_model
from trainables.pictures.normalization import as_tensor, normalise
from trainables.pictures.sets import Dataset
from trainables.teacher.prepare import Teacher
from trainables.teacher.targets import accuracy, compute_assets, compute_logits
from trainables.training.augmentation import Augmentation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DataSettings(train_size=300), default_root=Path("unused"))


@pytest.fixture
def teacher(digits: Dataset) -> Teacher:
    torch.manual_seed(0)
    model = create_model(
        ModelSettings(name="small-resnet", options={"widths": [4, 8]}), image_shape=(1, 8, 8), classes=10
    )
    return Teacher(module=model.eval(), parameters=0, key="")


def live_answer(teacher: Teacher, dataset: Dataset, images: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        answer = teacher.module(normalise(images, torch.tensor(dataset.mean), torch.tensor(dataset.std)))
    return np.asarray(answer)


def test_targets_of_every_view_are_the_live_teachers(digits: Dataset, teacher: Teacher) -> None:
    settings = AugmentationSettings(flip=True, crop_padding=1, views=3, seed=2)
    assets = compute_assets(digits, teacher, settings, CPU)
    assert assets.train_targets.shape == (3, 300, 10)
    assert assets.train_targets.dtype == np.float32
    views = Augmentation(settings, 300, mean=digits.mean)
    some = torch.tensor([299, 0, 255, 256, 17])
    for view in range(3):
        images = views.apply(as_tensor(digits.train.images)[some], some, view)
        expected = live_answer(teacher, digits, images)
        np.testing.assert_allclose(assets.train_targets[view, some.numpy()], expected, atol=1e-5)
    assert not np.allclose(assets.train_targets[0], assets.train_targets[1], atol=1e-3)


def test_without_augmentation_there_is_one_view(digits: Dataset, teacher: Teacher) -> None:
    assets = compute_assets(digits, teacher, AugmentationSettings(views=8), CPU)
    assert assets.train_targets.shape == (1, 300, 10)
    expected = live_answer(teacher, digits, torch.from_numpy(digits.train.images))
    np.testing.assert_allclose(assets.train_targets[0], expected, atol=1e-5)


def test_validation_pictures_are_never_augmented(digits: Dataset, teacher: Teacher) -> None:
    assets = compute_assets(digits, teacher, AugmentationSettings(flip=True, crop_padding=2), CPU)
    expected = live_answer(teacher, digits, torch.from_numpy(digits.validation.images))
    np.testing.assert_allclose(assets.validation_targets, expected, atol=1e-5)
    share = (expected.argmax(axis=1) == digits.validation.labels).mean()
    assert assets.teacher_accuracy == pytest.approx(share)


def test_assets_hold_the_data_but_no_test_set(digits: Dataset, teacher: Teacher) -> None:
    assets = compute_assets(digits, teacher, AugmentationSettings(), CPU)
    assert assets.train is digits.train
    assert assets.validation is digits.validation
    assert (assets.classes, assets.image_shape) == (digits.classes, (1, 8, 8))
    held = {image.tobytes() for split in (assets.train, assets.validation) for image in split.images}
    assert held.isdisjoint(image.tobytes() for image in digits.test.images)


def test_read_only_pictures_are_taken(digits: Dataset, teacher: Teacher) -> None:
    images = digits.validation.images.copy()
    images.flags.writeable = False
    logits = compute_logits(teacher.module, images, digits, CPU)
    np.testing.assert_array_equal(logits, compute_logits(teacher.module, digits.validation.images, digits, CPU))


def test_a_teacher_that_answers_nan_is_told(digits: Dataset, teacher: Teacher) -> None:
    with torch.no_grad():
        next(iter(teacher.module.parameters())).fill_(float("nan"))
    with pytest.raises(ModelError, match="outputs must be finite"):
        compute_assets(digits, teacher, AugmentationSettings(), CPU)


def test_accuracy_is_the_share_of_hits() -> None:
    logits = np.array([[1, 2], [2, 1], [0, 3], [0, 1]], dtype=np.float32)
    assert accuracy(logits, np.array([1, 1, 1, 1])) == 0.75


def test_targets_depend_on_the_stored_mean(digits: Dataset, teacher: Teacher) -> None:
    other = dataclasses.replace(digits, mean=digits.mean + 10)
    first, second = (compute_assets(d, teacher, AugmentationSettings(), CPU) for d in (digits, other))
    assert not np.allclose(first.validation_targets, second.validation_targets, atol=1e-3)
