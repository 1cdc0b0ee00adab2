import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from trainables.config.trial import ModelSettings
from trainables.errors import ConfigError, ModelError
from trainables.models import check_model, create_model
from trainables.models.registry import model_names
from trainables.models.small import GlobalAveragePool

GREY, COLOUR, DIGITS = (1, 28, 28), (3, 32, 32), (1, 8, 8)


def create(name: str, shape: tuple[int, int, int] = GREY, classes: int = 10, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return create_model(ModelSettings(name=name, options=options), image_shape=shape, classes=classes)


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "options", "expected"),
    [
        ("mlp", DIGITS, {}, 2410),
        ("mlp", DIGITS, {"hidden": []}, 650),
        ("mlp", DIGITS, {"hidden": [32, 16]}, 64 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10),
        ("cnn", GREY, {"widths": [16, 32, 64]}, 24_058),
        ("cnn", DIGITS, {"head": "flatten"}, 24_058 + 3 * 64 * 10),
        ("small-resnet", GREY, {"stem_stride": 2}, 308_074),
        # The papers' figures: 0.27M, 0.46M, 0.85M, 1.7M; 2.2M, 0.18M.
        ("resnet20", COLOUR, {}, 269_722),
        ("resnet20", COLOUR, {"shortcut": "projection"}, 272_474),
        ("resnet32", COLOUR, {}, 464_154),
        ("resnet56", COLOUR, {}, 853_018),
        ("resnet110", COLOUR, {}, 1_727_962),
        ("wrn-40-2", COLOUR, {}, 2_243_546),
        ("wrn-16-1", COLOUR, {}, 175_066),
    ],
)
def test_models_have_the_known_numbers_of_parameters(
    name: str, shape: tuple[int, int, int], options: dict[str, object], expected: int
) -> None:
    assert count_parameters(create(name, shape, **options)) == expected


@pytest.mark.parametrize("shape", [DIGITS, GREY, COLOUR, (3, 5, 9)])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mlp", {}),
        ("cnn", {}),
        ("cnn", {"head": "flatten"}),
        ("small-resnet", {"widths": [8, 16, 16], "blocks": 2, "stem_stride": 2}),
        ("resnet20", {}),
        ("resnet20", {"shortcut": "projection"}),
        ("wrn-10-1", {"dropout": 0.3}),
    ],
)
def test_every_parameter_learns_from_pictures_of_any_shape(
    name: str, options: dict[str, object], shape: tuple[int, int, int]
) -> None:
    model = create(name, shape, 7, **options)
    assert model.training
    logits = model(torch.rand(4, *shape))
    assert logits.shape == (4, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again = create("resnet20", COLOUR).state_dict(), create("resnet20", COLOUR).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 32, 32), (4, 32, 32)])
@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/mobilenet_v3_small"])
def test_torchvision_models_take_the_datas_channels_and_classes(name: str, shape: tuple[int, int, int]) -> None:
    assert create(name, shape, 5).eval()(torch.rand(2, *shape)).shape == (2, 5)


def test_a_grey_first_convolution_differs_only_in_its_channels() -> None:
    colour, grey = create("torchvision/resnet18", COLOUR).conv1, create("torchvision/resnet18", (1, 32, 32)).conv1
    assert isinstance(colour, nn.Conv2d)
    assert isinstance(grey, nn.Conv2d)
    assert (grey.in_channels, grey.stride, grey.padding, grey.bias) == (1, colour.stride, colour.padding, None)


def test_a_torchvision_transformer_takes_the_datas_size() -> None:
    assert create("torchvision/vit_b_32", (3, 64, 64), 5).eval()(torch.rand(1, 3, 64, 64)).shape == (1, 5)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("torchvision/alexnet", (3, 32, 32), r"'torchvision/alexnet' does not fit pictures of 3×32×32 .* larger"),
        ("torchvision/vit_b_16", (3, 28, 28), r"does not fit|cannot be built for pictures of 28×28"),
        ("torchvision/maxvit_t", (3, 32, 32), r"'maxvit_t' cannot be built for pictures of 32×32"),
    ],
)
def test_a_model_too_deep_for_the_pictures_is_told(name: str, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        create(name, shape)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cn", r"there is no model 'cn'; known: mlp, cnn, .*Did you mean 'cnn'\?"),
        ("resnet18", r"Did you mean 'torchvision/resnet18'\?"),
        ("resnet-20", r"Did you mean 'resnet20'\?"),
        ("wrn-41-2", r"depth D of 6n\+4 .* but got D = 41 and W = 2"),
        ("wrn-40-0", r"width W of at least 1, but got D = 40 and W = 0"),
        ("torchvision/resnet19", r"no classification model 'resnet19'.*Did you mean 'resnet1"),
        ("torchvision/fcn_resnet50", r"no classification model 'fcn_resnet50'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_model(ModelSettings(name=name))
    with pytest.raises(ModelError, match=message):
        create(name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cnn", {"width": [1]}, r"`options\.width` is not a known setting.*Did you mean 'widths'\?"),
        ("cnn", {"widths": []}, r"`options\.widths` .* at least 1 item"),
        ("mlp", {"hidden": ["many"]}, r"`options\.hidden\.0`"),
        ("small-resnet", {"stem_stride": 3}, r"`options\.stem_stride` should be 1 or 2, but got 3"),
        ("wrn-16-1", {"dropout": 1.0}, r"`options\.dropout` .* less than 1"),
        ("torchvision/resnet18", {"pretrained": True}, r"`options` must be empty, since model .*/resnet18' has none"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_model(ModelSettings(name=name, options=options))


def test_what_is_wrong_with_a_model_is_told_of_the_setting_that_asks_for_it() -> None:
    for name, options, message in (
        ("resnext5", {}, r"^`student\.name`: there is no model 'resnext5'"),
        ("cnn", {"widths": []}, r"^`student\.options\.widths` .* at least 1 item"),
        ("resnet20", {"depth": 2}, r"^`student\.options\.depth` is not a known setting"),
        ("torchvision/resnet18", {"pretrained": True}, r"^`student\.options` must be empty"),
    ):
        with pytest.raises((ModelError, ConfigError), match=message):
            check_model(ModelSettings(name=name, options=options), "student")
    with pytest.raises(ModelError, match=r"^`teacher\.model`: model 'torchvision/alexnet' does not fit pictures"):
        create_model(
            ModelSettings(name="torchvision/alexnet"), image_shape=(3, 32, 32), classes=5, section="teacher.model"
        )


def test_checking_fills_in_the_defaults() -> None:
    options = check_model(ModelSettings(name="cnn", options={"widths": [8]}))
    assert options.model_dump() == {"widths": (8,), "head": "mean"}


def test_checking_a_model_loads_no_torch() -> None:
    code = (
        "import sys; from trainables.config import ModelSettings; from trainables.models import check_model;"
        "[check_model(ModelSettings(name=n)) for n in ('cnn', 'resnet20', 'wrn-16-1')];"
        "print([m for m in ('torch', 'torchvision') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_listed_names_are_known() -> None:
    *built_in, timm, own = model_names()
    assert (timm, own) == ("timm/NAME", "FILE.py:NAME")  # tested in files of their own
    for name in built_in:
        check_model(ModelSettings(name=name.replace("D-W", "16-1").replace("NAME", "resnet18")))


def test_the_cnn_pools_before_relu_and_is_the_same_function_with_the_same_gradients() -> None:
    """ReLU and the maximum commute. If all four positions are negative, both orders give 0 and no gradient."""
    settings = ModelSettings(name="cnn", options={"widths": [4, 6, 8]})
    model = create_model(settings, image_shape=(1, 9, 9), classes=3)
    usual: list[nn.Module] = []
    for layer in model.children():
        if isinstance(layer, nn.MaxPool2d):
            usual += [nn.ReLU(), layer]
        elif not isinstance(layer, nn.ReLU) or not isinstance(usual[-1], nn.MaxPool2d):
            usual.append(layer)
    assert [type(layer) for layer in usual[2:4]] == [nn.ReLU, nn.MaxPool2d]
    images = torch.randn(5, 1, 9, 9)
    answers, gradients = [], []
    for network in (model, nn.Sequential(*usual)):
        logits = network(images)
        answers.append(logits)
        gradients.append(torch.autograd.grad(logits.square().sum(), list(model.parameters())))
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    "pool", [GlobalAveragePool(), lambda features: features.mean(dim=(2, 3))], ids=["ours", "plain"]
)
def test_the_mean_over_positions_has_a_gradient_with_the_channels_last(pool) -> None:
    features = torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    positive = features.relu()
    pooled = pool(positive)
    torch.testing.assert_close(pooled, positive.mean(dim=(2, 3)))
    (gradient,) = torch.autograd.grad(pooled.square().sum(), [positive])
    assert gradient.is_contiguous(memory_format=torch.channels_last) == isinstance(pool, GlobalAveragePool)
