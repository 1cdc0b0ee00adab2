"""A network that normalises over the batch is refused a batch of one before any work."""

import dataclasses

import pytest
import torch
from torch import nn

from search.prepare.students import check_students
from tests.search.tiny import tiny_config
from trainables.config import DataSettings, DeviceSettings, ModelSettings, TeacherSettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.errors import ConfigError
from trainables.models import check_batch_of_one, create_model
from trainables.pictures import Split
from trainables.teacher import prepare_teacher

NORMALISED = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return load_dataset(DataSettings(train_size=100), default_root=tmp_path_factory.mktemp("unused"))


def shrunk(split: Split) -> Split:
    """2×2 pixels, of which three stages leave one."""
    return dataclasses.replace(split, images=split.images[:, :, :2, :2])


def test_a_network_with_one_value_a_channel_is_refused_and_stays_as_it_is():
    before = {name: value.clone() for name, value in NORMALISED.state_dict().items()}
    with pytest.raises(
        ConfigError, match=r"`training.batch_size` must be large enough .* in `student` needs more than"
    ):
        check_batch_of_one(NORMALISED, (1, 2, 2), section="student", training="training")
    assert all(torch.equal(value, before[name]) for name, value in NORMALISED.state_dict().items())


@pytest.mark.parametrize(("name", "size"), [("mlp", 2), ("cnn", 16)])
def test_networks_that_can_train_on_one_sample_may(name, size):
    model = create_model(ModelSettings(name=name), image_shape=(1, size, size), classes=3)
    check_batch_of_one(model, (1, size, size), section="student", training="training")


@pytest.mark.parametrize("cause", ["batch size", "one picture"])
def test_a_student_is_refused_before_any_training(digits, cause):
    sets = {name: shrunk(getattr(digits, name)) for name in ("pool", "train", "validation", "test")}
    if cause == "one picture":
        sets["train"] = sets["train"].subset(torch.arange(1).numpy())
    small = dataclasses.replace(digits, **sets)
    size = 1 if cause == "batch size" else 64
    config = tiny_config("student.name=cnn", "student.options={}", f"training.batch_size={size}")
    with pytest.raises(ConfigError, match=r"`training.batch_size` must be large enough that no batch has 1 sample"):
        check_students(config, small)
    check_students(tiny_config("student.name=cnn", "student.options={}", "training.batch_size=2"), digits)


def test_a_teacher_is_refused_before_its_first_step(digits, tmp_path):
    small = dataclasses.replace(
        digits, pool=shrunk(digits.pool).subset(torch.arange(11).numpy()), validation=shrunk(digits.validation)
    )
    settings = TeacherSettings.parse({"model": {"name": "cnn"}, "training": {"epochs": 1, "batch_size": 1}})
    with pytest.raises(ConfigError, match=r"`teacher.training.batch_size` .* in `teacher.model`"):
        prepare_teacher(settings, small, cache=tmp_path, compute=select_compute(DeviceSettings()))
    assert list(tmp_path.iterdir()) == []
