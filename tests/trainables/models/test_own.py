"""A class or function of the user's own as a model: what is taken, and what is refused before a training."""

import pytest
import torch

from policies.errors import KDPolicySearchError
from trainables.config import ModelSettings, TrialSettings
from trainables.models import check_model, create_model, measure_figures, own_constructor, try_out_own_model
from trainables.training import Distillation, trains_stacked

SHAPE = (1, 8, 8)
NET = """
import os
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, image_shape, classes, width=4, deep=False):
        super().__init__()
        self.convolution = nn.Conv2d(image_shape[0], width, 3, padding=1)
        self.head = nn.Linear(width * image_shape[1] * image_shape[2], classes)

    def forward(self, x):
        return self.head(self.convolution(x).relu().flatten(1))


class Viewing(Net):
    def forward(self, x):
        return self.head(self.convolution(x).relu().view(len(x), -1))


class Pair(Net):
    def forward(self, x):
        return super().forward(x), x


class Fixed(Net):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


class Broken(Net):
    def forward(self, x):
        return self.heads(x)


class Unseeded(Net):
    def __init__(self, image_shape, classes):
        super().__init__(image_shape, classes)
        nn.init.constant_(self.head.bias, int.from_bytes(os.urandom(4), "big"))


class Infinite(Net):
    def forward(self, x):
        return super().forward(x) / 0.0


class Lazy(nn.Sequential):
    def __init__(self, image_shape, classes):
        layers = nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.Dropout(0.5), nn.Flatten()
        super().__init__(*layers, nn.LazyLinear(classes))


def small(image_shape, classes, **options):
    return Net(image_shape, classes, width=2, **options)


def frozen(image_shape, classes):
    return Net(image_shape, classes).requires_grad_(False)


def fewer(image_shape, classes):
    return Net(image_shape, classes - 1)


def text(image_shape, classes):
    return "a network"


def failing(image_shape, classes):
    return Net(image_shape, classes, width=1 // 0)


def needs(image_shape, classes, depth):
    return Net(image_shape, classes)


def shape_only(image_shape):
    return Net(image_shape, 10)
"""


def own(name: str, **options: object) -> ModelSettings:
    return ModelSettings(name=f"my_model.py:{name}", source=NET, options=options)


def try_out(settings: ModelSettings) -> None:
    check_model(settings, "student")
    try_out_own_model(settings, SHAPE, 10, "student")


@pytest.mark.parametrize(
    "settings", [own("Net"), own("Net", width=6), own("Lazy"), own("small"), own("small", deep=True)]
)
def test_a_class_or_function_is_a_model(settings):
    try_out(settings)
    model = create_model(settings, image_shape=SHAPE, classes=10)
    assert model.training
    assert model(torch.zeros(3, *SHAPE)).shape == (3, 10)
    assert measure_figures(model, SHAPE, cuda=False, seconds=0.01).flops > 0


@pytest.mark.parametrize(("name", "weight"), [("Net", "head.weight"), ("Lazy", "4.weight")])
def test_the_weights_come_from_the_seed(name, weight):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(create_model(own(name), image_shape=SHAPE, classes=10).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0][weight], states[2][weight])


def test_trying_a_model_out_draws_no_random_number():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    try_out(own("Net"))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (own("Nett"), r"my_model\.py has no function or class 'Nett'; found in it: Net, .*Did you mean 'Net'\?"),
        (own("Net", widht=3), r"takes no option 'widht'; its options: width, deep\. Did you mean 'width'\?"),
        (own("needs"), r"called as needs\(image_shape, classes\), .*missing a required argument: 'depth'.*`options`"),
        (own("shape_only"), r"called as shape_only\(image_shape, classes\), which does not fit"),
        (own("text"), "must return a torch.nn.Module, but returned str"),
        (own("failing"), r"failed, line \d+ \(`return Net.*1 // 0\)`\): ZeroDivisionError"),
        (own("Unseeded"), "gives other weights each time"),
        (own("frozen"), "has no trainable parameter"),
        (own("fewer"), r"must give logits, floating-point \(B, 10\).* but gave torch.float32 \(3, 9\)"),
        (own("Pair"), "must give logits.*but gave tuple"),
        (own("Fixed"), "have no gradient; remove `no_grad`"),
        (own("Broken"), r"failed, line \d+ \(`return self.heads\(x\)`\): AttributeError"),
        (own("Viewing"), r"`view` cannot flatten; write `flatten\(1\)` or `reshape` there"),
        (own("Infinite"), "infinite or NaN before any training"),
        (ModelSettings(name="my_model.py:Net", source="import nothing_of_this_name"), "line 1.*ModuleNotFoundError"),
        (ModelSettings(name="my_model.py:Net"), r"comes without the text of my_model\.py"),
    ],
    ids=lambda value: value.name if isinstance(value, ModelSettings) else "",
)
def test_a_wrong_model_is_refused_with_the_reason(settings, message):
    with pytest.raises(KDPolicySearchError, match=message):
        try_out(settings)


def test_an_own_student_is_trained_apart_and_repeatably(data, settings):
    student = own("Net", width=2)
    assert not trains_stacked(student, settings.device, settings.training)
    trained = []
    for _ in range(2):
        distillation = Distillation(TrialSettings.parse({**settings.model_dump(), "student": student}), data)
        for _ in distillation.records():
            pass
        trained.append(distillation)
    states = [distillation.replicates[0].student.state_dict() for distillation in trained]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_constructor_is_python_that_builds_the_model():
    settings = own("Net", width=3, deep=True)
    assert own_constructor(settings, SHAPE, 10) == "Net((1, 8, 8), 10, width=3, deep=True)"
