import copy

import pytest
import torch
from torch import nn

from trainables.config.trial import ModelSettings
from trainables.models import create_model
from trainables.models.folding import folded

SHAPE = (3, 16, 16)


def trained(model: nn.Module) -> nn.Module:
    """Set statistics and affine maps that differ from a new model's; return it in evaluation mode."""
    torch.manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
                module.weight.normal_()
                module.bias.normal_()
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


@pytest.mark.parametrize(
    ("name", "left"),
    [("cnn", 0), ("small-resnet", 0), ("resnet20", 0), ("wrn-10-1", None), ("torchvision/resnet18", None)],
)
def test_a_folded_network_says_the_same(name, left):
    torch.manual_seed(0)
    model = trained(create_model(ModelSettings(name=name), image_shape=SHAPE, classes=7))
    before = copy.deepcopy(model.state_dict())
    images = torch.randn(5, *SHAPE)
    with torch.no_grad():
        expected, found = model(images), folded(model)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    if left is not None:
        assert norms(model) > norms(folded(model)) == left


def test_what_is_in_training_mode_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    assert folded(model) is model


def test_layers_that_somebody_watches_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    seen: list[torch.Size] = []
    model[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape))
    folded(model)(torch.randn(1, *SHAPE))
    assert seen == [torch.Size([1, 4, 14, 14])]


def test_a_container_with_an_order_of_its_own_stays():
    class Backwards(nn.Sequential):
        def forward(self, images):
            return self[0](self[1](images))

    model = Backwards(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)).eval()
    assert folded(model) is model


def test_a_convolution_in_two_places_is_folded_in_each():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    model = trained(nn.Sequential(shared, nn.BatchNorm2d(3), nn.ReLU(), shared, nn.BatchNorm2d(3)))
    images = torch.randn(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(folded(model)(images), model(images), rtol=1e-4, atol=1e-4)
    assert norms(folded(model)) == 0
