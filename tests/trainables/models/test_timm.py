"""timm's models as students and teachers; without timm only the message is tested."""

import sys

import pytest
import torch

from trainables.config import ModelSettings
from trainables.errors import ConfigError, ModelError
from trainables.models import check_model, create_model


def test_timm_missing_is_told_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"need the package timm, which is not installed: pip install 'timm>=1\.0'"):
        check_model(ModelSettings(name="timm/resnet18"), "student")


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("timm/resnet18", {}, (1, 32, 32)),
        ("timm/mobilenetv3_small_050", {"drop_rate": 0.1}, (3, 48, 48)),
        ("timm/vit_tiny_patch16_224", {"patch_size": 4}, (3, 24, 24)),
    ],
)
def test_models_fit_the_data(name, options, shape):
    pytest.importorskip("timm")
    settings = ModelSettings(name=name, options=options)
    check_model(settings, "student")
    model = create_model(settings, image_shape=shape, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)


def test_mistakes_are_named():
    pytest.importorskip("timm")
    with pytest.raises(ModelError, match=r"`student.name`: timm has no model 'resnet81'.*Did you mean"):
        check_model(ModelSettings(name="timm/resnet81"), "student")
    with pytest.raises(ConfigError, match=r"`student.options.num_classes` is set by the data's classes; remove it"):
        check_model(ModelSettings(name="timm/resnet18", options={"num_classes": 3}), "student")
    with pytest.raises(ModelError, match=r"cannot be built .*unexpected keyword argument 'droprate'"):
        create_model(ModelSettings(name="timm/resnet18", options={"droprate": 1}), image_shape=(3, 8, 8), classes=3)
