import copy
import logging
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policies.update.logits import LogitPair
from trainables.config import AugmentationSettings, DataSettings, ModelSettings
from trainables.datasets import load_dataset
from trainables.models import create_model
from trainables.teacher import target_cache
from trainables.teacher.prepare import Teacher
from trainables.teacher.target_cache import halved
from trainables.teacher.targets import compute_assets, compute_logits

CPU = torch.device("cpu")
AUGMENTATION = AugmentationSettings(flip=True, crop_padding=1, views=3, seed=2)


class CountingTeacher(torch.nn.Module):
    """Counts the pictures that it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        options = {"widths": [4, 8]}
        self.network = create_model(
            ModelSettings(name="small-resnet", options=options), image_shape=(1, 8, 8), classes=10
        )
        self.asked = 0

    def forward(self, images):
        self.asked += len(images)
        return self.network(images)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset(DataSettings(train_size=300), default_root=tmp_path_factory.mktemp("data"))


@pytest.fixture
def teacher():
    return Teacher(module=CountingTeacher().eval(), parameters=0, key="a")


def with_other_weights(teacher):
    """Return a teacher of the same key whose last bias differs in one number; its count begins at 0."""
    module = copy.deepcopy(teacher.module)
    with torch.no_grad():
        list(module.parameters())[-1][0] += 1.0
    module.asked = 0
    return Teacher(module=module, parameters=0, key=teacher.key)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_kept_is_what_the_teacher_says(digits, teacher, tmp_path):
    first = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    assert teacher.module.asked == 3 * 300 + len(digits.validation)
    again = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    assert teacher.module.asked == 3 * 300 + len(digits.validation)
    live = compute_assets(digits, teacher, AUGMENTATION, CPU)
    for found in (first, again):
        np.testing.assert_array_equal(found.train_targets, live.train_targets)
        np.testing.assert_array_equal(found.validation_targets, live.validation_targets)
        assert found.train_targets.dtype == np.float32
    assert len(files(tmp_path)) == 2
    assert all(name.endswith(".npy") for name in files(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda digits, teacher: (digits, teacher, AUGMENTATION.model_copy(update={"seed": 3})),
        lambda digits, teacher: (digits, teacher, AugmentationSettings()),
        lambda digits, teacher: (
            digits,
            Teacher(module=teacher.module, parameters=0, key="b"),
            AUGMENTATION,
        ),
        lambda digits, teacher: (digits, with_other_weights(teacher), AUGMENTATION),
        lambda digits, teacher: (
            digits.__class__(**{**digits.__dict__, "mean": digits.mean + 1}),
            teacher,
            AUGMENTATION,
        ),
        lambda digits, teacher: (
            digits.__class__(**{**digits.__dict__, "train": digits.train.subset(np.arange(300)[::-1])}),
            teacher,
            AUGMENTATION,
        ),
    ],
    ids=["seed", "none", "teacher", "weights", "normalisation", "order"],
)
def test_other_views_teachers_or_pictures_have_files_of_their_own(digits, teacher, tmp_path, change):
    compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    other = change(digits, teacher)
    found = compute_assets(*other, CPU, tmp_path)
    np.testing.assert_array_equal(found.train_targets, compute_assets(*other, CPU).train_targets)
    assert len(files(tmp_path)) > 2


@pytest.mark.parametrize("content", [b"", b"no array", "short"])
def test_a_damaged_file_is_written_anew(digits, teacher, tmp_path, content):
    whole = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100] if content == "short" else content)
    found = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    np.testing.assert_array_equal(found.train_targets, whole.train_targets)
    asked = teacher.module.asked
    compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    assert teacher.module.asked == asked


def test_what_cannot_be_kept_is_told_and_done_without(digits, teacher, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        found = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path / "file" / "cache")
    assert "cannot be stored" in caplog.text
    np.testing.assert_array_equal(found.train_targets, compute_assets(digits, teacher, AUGMENTATION, CPU).train_targets)


def test_an_interruption_leaves_nothing_behind(digits, teacher, tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    monkeypatch.setattr(CountingTeacher, "forward", stop)
    with pytest.raises(Stop):
        compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize("cached", [True, False])
def test_many_outputs_are_kept_in_half_precision(digits, teacher, tmp_path, monkeypatch, cached):
    monkeypatch.setattr(target_cache, "_HALF_ABOVE", 4 * 3 * 300 * 10 - 1)
    views = compute_assets(digits, teacher, AUGMENTATION, CPU, tmp_path if cached else None).train_targets
    assert views.dtype == np.float16
    assert compute_assets(digits, teacher, AugmentationSettings(), CPU).train_targets.dtype == np.float32
    monkeypatch.undo()
    live = compute_assets(digits, teacher, AUGMENTATION, CPU).train_targets
    for kept, said in zip(views, live, strict=True):
        assert distance(kept, said, 1.0) < 2**-11 * math.log(10)
    student = torch.randn(300, 10, requires_grad=True)
    labels = torch.zeros(300, dtype=torch.long)
    pairs = [LogitPair(student, torch.tensor(t), labels, temperature=2.0) for t in (views[0], live[0])]
    torch.testing.assert_close(pairs[0].distill_losses, pairs[1].distill_losses, rtol=1e-2, atol=1e-3)


def distance(halves, logits, temperature: float) -> float:
    """Return the largest total variation between the pictures' distributions."""
    one, other = (torch.tensor(np.asarray(x, np.float64) / temperature).softmax(1) for x in (halves, logits))
    return float((one - other).abs().sum(1).max() / 2)


@given(
    classes=st.sampled_from([2, 10, 100, 1000]),
    spread=st.floats(0.01, 300.0),
    temperature=st.floats(0.25, 20.0),
    seed=st.integers(0, 2**16),
)
def test_halves_keep_the_probabilities_within_their_bound(classes, spread, temperature, seed):
    logits = (spread * np.random.default_rng(seed).standard_normal((20, classes)) + 1e3).astype(np.float32)
    assert distance(halved(logits), logits, temperature) <= 1.02 * 2**-11 * math.log(classes) + 1e-9


def test_without_the_subtraction_the_bound_would_not_hold():
    logits = (np.random.default_rng(0).standard_normal((20, 10)) + 1e3).astype(np.float32)
    assert distance(logits.astype(np.float16), logits, 1.0) > 2**-11 * math.log(10)


def test_the_answers_to_one_view_are_those_of_a_batch_of_any_size(digits, teacher):
    whole = compute_logits(teacher.module, digits.validation.images, digits, CPU)
    part = compute_logits(teacher.module, digits.validation.images[:7], digits, CPU)
    np.testing.assert_allclose(part, whole[:7], atol=1e-5)
