"""Checkpoints of RepDistiller, mdistiller, torchdistill and torchvision's references give the networks in them."""

import argparse
import functools

import pytest
import torch
from torch import nn
from torchvision import models

from tests.trainables.checkpoints import published_networks as published
from trainables.checkpoints import read_initial_weights
from trainables.config import ModelSettings, TeacherSettings
from trainables.errors import CheckpointError
from trainables.models import create_model
from trainables.teacher.checkpoint import restore_weights

PROJECTION = {"shortcut": "projection"}
NARROW, WIDE = {"stem": 16, "widths": (16, 32, 64)}, {"stem": 32, "widths": (64, 128, 256)}
SHAPE = (3, 32, 32)
ALL = {
    # RepDistiller, and the same files in mdistiller; the numbers of weights with 100 classes
    "resnet8x4": ({}, functools.partial(published.resnet, depth=8, **WIDE), 1_233_540),
    "resnet32x4": ({}, functools.partial(published.resnet, depth=32, **WIDE), 7_433_860),
    "resnet8": (PROJECTION, functools.partial(published.resnet, depth=8, **NARROW), 83_892),
    "resnet14": (PROJECTION, functools.partial(published.resnet, depth=14, **NARROW), 181_108),
    "resnet20": (PROJECTION, functools.partial(published.resnet, depth=20, **NARROW), 278_324),
    "resnet56": (PROJECTION, functools.partial(published.resnet, depth=56, **NARROW), 861_620),
    "resnet110": (PROJECTION, functools.partial(published.resnet, depth=110, **NARROW), 1_736_564),
    "resnet50-cifar": ({}, functools.partial(published.bottleneck_resnet, counts=(3, 4, 6, 3)), 23_705_252),
    "wrn-40-2": ({}, functools.partial(published.wide_resnet, depth=40, factor=2), 2_255_156),
    "wrn-40-1": ({}, functools.partial(published.wide_resnet, depth=40, factor=1), 569_780),
    "wrn-16-2": ({}, functools.partial(published.wide_resnet, depth=16, factor=2), 703_284),
    "vgg8": ({}, functools.partial(published.vgg, counts=(1, 1, 1, 1, 1)), 3_965_028),
    "vgg13": ({}, functools.partial(published.vgg, counts=(2, 2, 2, 2, 2)), 9_462_180),
    "mobilenetv2-cifar": ({}, published.half_mobilenet, 812_836),
    "shufflenetv1-cifar": ({}, published.shuffle_v1, 949_258),
    "shufflenetv2-cifar": ({}, published.shuffle_v2, 1_355_528),
    # torchdistill
    "wrn-40-4": (
        {"shortcut_reads": "input"},
        functools.partial(published.wide_resnet, depth=40, factor=4, torchdistill=True),
        8_972_340,
    ),
}


def images(size=32):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def teacher(name, options, path, shape=SHAPE, classes=100, **settings):
    """Return a network with the weights of a teacher's checkpoint, in evaluation mode, and the remarks."""
    chosen = TeacherSettings(model=ModelSettings(name=name, options=options), checkpoint=str(path), **settings)
    network = create_model(chosen.model, image_shape=shape, classes=classes)
    remarks = restore_weights(network, chosen, path, classes)
    return network.eval(), remarks


@pytest.mark.parametrize("counters", [True, False], ids=["with counters", "of PyTorch 0.4.0"])
@pytest.mark.parametrize("name", ALL)
def test_a_published_network_is_loaded_and_computes_the_same(name, counters, tmp_path):
    options, forward, count = ALL[name]
    weights = published.Weights(counters)
    with torch.no_grad():
        expected = forward(weights, images())
    assert weights.trained == count
    state = {"epoch": 240, "model": weights.state, "best_acc": 79.42, "optimizer": {"state": {}, "param_groups": []}}
    torch.save(state, tmp_path / "ckpt_epoch_240.pth")
    network, remarks = teacher(name, options, tmp_path / "ckpt_epoch_240.pth")
    assert remarks == ()
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    with torch.no_grad():
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


def test_vgg_halves_larger_pictures_once_more(tmp_path):
    weights = published.Weights()
    with torch.no_grad():
        expected = published.vgg(weights, images(64), (1, 1, 1, 1, 1))
    torch.save({"model": weights.state}, tmp_path / "vgg8")
    network, _ = teacher("vgg8", {}, tmp_path / "vgg8", (3, 64, 64))
    with torch.no_grad():
        torch.testing.assert_close(network(images(64)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("torchdistill", [True, False])
def test_a_wide_resnet_with_the_other_shortcuts_is_refused_with_the_option_that_fits(torchdistill, tmp_path):
    weights = published.Weights()
    published.wide_resnet(weights, images(), 10, 1, torchdistill=torchdistill)
    torch.save(weights.state, tmp_path / "wrn.pt")
    right, wrong = ("input", "activation") if torchdistill else ("activation", "input")
    with pytest.raises(CheckpointError, match=rf'names fit options = {{ shortcut_reads = "{right}" }}'):
        teacher("wrn-10-1", {"shortcut_reads": wrong}, tmp_path / "wrn.pt")
    teacher("wrn-10-1", {"shortcut_reads": right}, tmp_path / "wrn.pt")


@pytest.fixture(scope="module")
def small():
    """Weights of resnet8x4, and its outputs."""
    weights = published.Weights()
    with torch.no_grad():
        return weights.state, published.resnet(weights, images(), 8, **WIDE)


ARGUMENTS = argparse.Namespace(model="resnet8x4", lr=0.05, iterations=[150, 180, 210])


def optimizer_state():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, [2])


def layouts(state):
    """The files that the repositories write, by the names of their functions."""
    optimizer, schedule = optimizer_state()
    parts = {"optimizer": optimizer.state_dict()}
    other = {name: tensor + 1 for name, tensor in state.items()}
    both = {
        **{f"module.student.{name}": tensor for name, tensor in state.items()},
        **{f"module.teacher.{name}": tensor for name, tensor in other.items() if not name.startswith("layer3")},
    }
    return {
        "RepDistiller, the last epoch": {"opt": ARGUMENTS, "model": state, **parts},
        "RepDistiller, every 40th epoch": {"epoch": 240, "model": state, "accuracy": torch.tensor(79.0), **parts},
        "mdistiller, student_best": {"model": state},
        "mdistiller, best": {"epoch": 3, "model": both, **parts, "best_acc": 75.0},
        "torchdistill": {
            "model": state,
            "best_value": 79.4,
            "lr_scheduler": schedule.state_dict(),
            "args": ARGUMENTS,
            **parts,
        },
        "torchdistill, released": state,
        "torchvision's references": {
            "model": state,
            "lr_scheduler": schedule.state_dict(),
            "epoch": 3,
            "args": ARGUMENTS,
            "scaler": {},
            "model_ema": {"n_averaged": torch.tensor(5), **{f"module.{name}": value for name, value in other.items()}},
            **parts,
        },
    }


@pytest.mark.parametrize("layout", layouts({}))
def test_the_weights_of_each_repositorys_files_are_found_without_running_code(layout, small, tmp_path):
    state, expected = small
    torch.save(layouts(state)[layout], tmp_path / "file.pth")
    network, remarks = teacher("resnet8x4", {}, tmp_path / "file.pth")
    with torch.no_grad():
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)
    if layout == "mdistiller, best":
        assert remarks[0].startswith("file.pth: of the weights, those under 'module.student.' are taken; ")
    elif layout == "torchvision's references":
        assert remarks == (
            "file.pth holds plain and averaged (EMA) weights; the plain ones are taken,"
            ' `weights = "ema"` takes the others',
        )
    else:
        assert remarks == ()


def test_averaged_weights_of_torchvisions_references_can_be_chosen(tmp_path):
    torch.manual_seed(0)
    network = models.resnet18(num_classes=5).eval()
    averaged = torch.optim.swa_utils.AveragedModel(models.resnet18(num_classes=5), use_buffers=True)
    state = {"model": network.state_dict(), "model_ema": averaged.state_dict(), "epoch": 1, "args": ARGUMENTS}
    torch.save(state, tmp_path / "checkpoint.pth")
    for weights, expected in ((None, network), ("ema", averaged.module.eval())):
        found, _ = teacher("torchvision/resnet18", {}, tmp_path / "checkpoint.pth", (3, 64, 64), 5, weights=weights)
        with torch.no_grad():
            torch.testing.assert_close(found(images(64)), expected(images(64)), rtol=1e-5, atol=1e-5)


def test_a_published_network_may_be_where_a_students_training_begins(small, tmp_path):
    state, _ = small
    torch.save({"model": state}, tmp_path / "student_best")
    settings = ModelSettings(name="resnet8x4", checkpoint=str(tmp_path / "student_best"))
    network = create_model(settings, image_shape=SHAPE, classes=10)
    fitted = read_initial_weights(settings, network.state_dict(), "student")
    assert fitted.other_outputs == 100
    network.load_state_dict(fitted.tensors, strict=False)
    assert torch.equal(next(network.parameters()), state["conv1.weight"])
