"""A teacher may read pictures normalised by its own constants."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trainables.config import DataSettings, Normalization, TeacherSettings
from trainables.datasets import load_dataset
from trainables.device import Compute
from trainables.errors import ConfigError
from trainables.models import create_model
from trainables.pictures import Dataset, as_tensor
from trainables.teacher import accuracy, better_constants, compute_logits, prepare_teacher
from trainables.teacher.normalization import CONSTANTS, constants_of

CPU = Compute(torch.device("cpu"), bfloat16=False)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DataSettings(), default_root=Path("unused"))


def settings(**values: object) -> TeacherSettings:
    return TeacherSettings.parse({"model": {"name": "mlp"}, **values})


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory) -> Path:
    """Train a teacher on pixels in [0, 1] less 0.8 over 0.1, far from the data's own constants."""
    torch.manual_seed(0)
    network = create_model(settings(checkpoint="x").model, image_shape=(1, 8, 8), classes=10)
    inputs = (as_tensor(digits.pool.images).float() / 255 - 0.8) / 0.1
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), as_tensor(digits.pool.labels)).backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    torch.save(network.state_dict(), path)
    return path


def prepared(chosen, digits, folder):
    return prepare_teacher(chosen, digits, cache=folder, compute=CPU)


def test_the_teachers_own_constants_give_the_outputs_that_it_was_trained_to_give(digits, trained, tmp_path):
    own = {"mean": [0.8], "std": [0.1]}
    right = prepared(settings(checkpoint=str(trained), normalization=own), digits, tmp_path)
    wrong = prepared(settings(checkpoint=str(trained)), digits, tmp_path)
    assert right.key != wrong.key
    network = create_model(settings(checkpoint="x").model, image_shape=(1, 8, 8), classes=10).eval()
    network.load_state_dict(torch.load(trained))
    with torch.no_grad():
        expected = network((as_tensor(digits.validation.images).float() / 255 - 0.8) / 0.1).numpy()
    found = compute_logits(right.module, digits.validation.images, digits, CPU.device)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    judged = [
        accuracy(compute_logits(teacher.module, digits.validation.images, digits, CPU.device), digits.validation.labels)
        for teacher in (right, wrong)
    ]
    assert judged[0] > judged[1] + 0.1


def test_a_teacher_may_be_trained_with_constants_of_its_own_and_is_kept(digits, tmp_path):
    chosen = settings(training={"epochs": 1}, normalization="mnist")
    first, again = prepared(chosen, digits, tmp_path), prepared(chosen, digits, tmp_path)
    assert first.weights == again.weights
    assert prepared(settings(training={"epochs": 1}), digits, tmp_path).key != first.key


def test_constants_are_those_of_the_channels(digits):
    assert constants_of("imagenet", 3).mean == (0.485, 0.456, 0.406)
    assert constants_of("none", 2) == Normalization(mean=(0, 0), std=(1, 1))
    assert constants_of("inception", 1) == Normalization(mean=(0.5,), std=(0.5,))
    assert constants_of("mnist", 3).mean == CONSTANTS["mnist"].mean * 3
    with pytest.raises(ConfigError, match=r"constants for 1 channels, as the pictures have, but 'imagenet' has 3"):
        constants_of("imagenet", 1)
    with pytest.raises(ConfigError, match="in .0, 1., but got .123.7.*divide"):
        settings(checkpoint="x", normalization={"mean": [123.7], "std": [58.4]})
    with pytest.raises(ConfigError, match="should be 'imagenet'"):
        settings(checkpoint="x", normalization="imagenette")


def test_a_constant_channel_is_no_hindrance(digits, tmp_path):
    flat = dataclasses.replace(digits, std=np.ones(1, dtype=np.float32))
    teacher = prepared(settings(training={"epochs": 1}, normalization="none"), flat, tmp_path)
    assert np.isfinite(compute_logits(teacher.module, flat.validation.images, flat, CPU.device)).all()


def test_a_teacher_of_better_constants_is_told(digits, tmp_path):
    torch.manual_seed(0)
    network = create_model(settings(checkpoint="x").model, image_shape=(1, 8, 8), classes=10)
    inputs = as_tensor(digits.pool.images).float() / 255
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), as_tensor(digits.pool.labels)).backward()
        optimizer.step()
    torch.save(network.state_dict(), tmp_path / "teacher.pt")
    chosen = settings(checkpoint=str(tmp_path / "teacher.pt"))
    said = better_constants(prepared(chosen, digits, tmp_path).module, digits, CPU.device)
    assert re.match(r"warning: the teacher reads .* of 200 validation pictures; with `teacher.normalization = ", said)
    usual, better = (float(value) for value in re.findall(r"([\d.]+)%", said))
    assert better > usual + 3


def test_a_teacher_of_the_datas_constants_is_not_suspected(digits, tmp_path):
    teacher = prepared(settings(training={"epochs": 10}), digits, tmp_path)
    assert better_constants(teacher.module, digits, CPU.device) == ""
