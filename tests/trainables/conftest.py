"""A small trial for tests: real digits, a tiny student, targets from a fixed random linear teacher."""

import numpy as np
import pytest
import torch

from trainables.config.trial import DeviceSettings, ModelSettings, PolicySettings, TrainingSettings, TrialSettings
from trainables.device import select_compute
from trainables.pictures.sets import Split, TrialAssets
from trainables.training.data import DeviceAssets


@pytest.fixture(scope="session")
def assets():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:, None] * 15).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    features = images.reshape(len(images), -1) / 255.0
    onehot = np.eye(10)[labels]
    weights, *_ = np.linalg.lstsq(features[400:], onehot[400:], rcond=None)
    logits = (10 * features @ weights).astype(np.float32)
    pixels = images[:120].astype(np.float32)
    return TrialAssets(
        train=Split(images=images[:120], labels=labels[:120]),
        validation=Split(images=images[200:400], labels=labels[200:400]),
        train_targets=logits[None, :120],
        validation_targets=logits[200:400],
        mean=pixels.mean(axis=(0, 2, 3)),
        std=pixels.std(axis=(0, 2, 3)),
        classes=tuple(str(i) for i in range(10)),
        teacher_accuracy=float((logits[200:400].argmax(1) == labels[200:400]).mean()),
    )


@pytest.fixture
def data(assets):
    torch.set_num_threads(1)
    return DeviceAssets(assets, select_compute(DeviceSettings(device="cpu")))


@pytest.fixture
def settings():
    return TrialSettings(
        student=ModelSettings(name="mlp", options={"hidden": [16]}),
        training=TrainingSettings(epochs=8, batch_size=50, optimizer="adam", learning_rate=1e-2, weight_decay=0.0),
        policy=PolicySettings(family="norm_ratio_threshold", parameters={"threshold": 1.5, "measure_every": 1}),
        seeds=(3, 5),
        evaluations=4,
        trace_points=7,
    )
