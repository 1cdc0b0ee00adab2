"""Weights are fitted to a model by prefix and by the usual names, and never silently otherwise."""

import pytest
import torch
from torch import nn

from tests.trainables.checkpoints.usual_resnets import UsualResNet, trained_looking
from trainables.checkpoints import fit_weights, read_weights
from trainables.config import ModelSettings
from trainables.errors import CheckpointError
from trainables.models import create_model

WHAT = "the teacher's `checkpoint`"


@pytest.fixture
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))


def fit(state, expected, tmp_path, model="cnn", wanted=None, **options):
    torch.save(state, tmp_path / "teacher.pt")
    weights = read_weights(tmp_path / "teacher.pt", wanted, WHAT)
    return fit_weights(
        weights, expected, model=model, path=tmp_path / "teacher.pt", what=WHAT, wanted=wanted, **options
    )


def prefixed(state, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix", ["", "module.", "model.", "net.", "backbone.", "_orig_mod.", "module.model._orig_mod."]
)
def test_a_prefix_of_all_names_is_removed(tmp_path, network, prefix):
    fitted = fit(prefixed(network.state_dict(), prefix), network.state_dict(), tmp_path)
    assert fitted.remarks == ()
    assert all(torch.equal(fitted.tensors[name], tensor) for name, tensor in network.state_dict().items())


def test_weights_beside_the_prefix_are_named(tmp_path, network):
    state = {**prefixed(network.state_dict(), "model."), "loss.weight": torch.ones(4), "metric.count": torch.ones(())}
    fitted = fit({"state_dict": state}, network.state_dict(), tmp_path)
    assert fitted.remarks == (
        "teacher.pt: of the weights, those under 'model.' are taken; 2 others are not (loss.weight, metric.count)",
    )


def test_a_part_of_a_larger_network_is_refused(tmp_path, network):
    larger = {**prefixed(network.state_dict(), "model."), "model.4.weight": torch.ones(2, 4)}
    with pytest.raises(CheckpointError, match="does not fit the model"):
        fit(larger, network.state_dict(), tmp_path)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        fit({**network.state_dict(), "4.weight": torch.ones(2, 4)}, network.state_dict(), tmp_path)


def test_weights_under_two_prefixes_are_refused(tmp_path, network):
    both = {**prefixed(network.state_dict(), "student."), **prefixed(network.state_dict(), "teacher.")}
    with pytest.raises(CheckpointError, match=r"under 'student\.', 'teacher\.', so it is not clear which are meant"):
        fit(both, network.state_dict(), tmp_path)


@pytest.mark.parametrize(("wanted", "added", "taken"), [(None, 0, "plain"), ("plain", 0, "plain"), ("ema", 1, "avera")])
def test_averaged_weights_under_a_prefix_are_taken_if_wanted(tmp_path, network, wanted, added, taken):
    state = network.state_dict()
    averaged = {name: tensor + 1 for name, tensor in state.items()}
    both = {**prefixed(state, "model."), **prefixed(averaged, "model_ema.module.")}
    fitted = fit(both, state, tmp_path, wanted=wanted)
    assert torch.equal(fitted.tensors["3.bias"], state["3.bias"] + added)
    assert f"plain and averaged (EMA) weights; the {taken}" in fitted.remarks[0]
    assert ('`weights = "ema"` takes the others' in fitted.remarks[0]) == (wanted is None)


def test_an_averaged_models_counter_is_not_told(tmp_path, network):
    state = torch.optim.swa_utils.AveragedModel(network).state_dict()
    assert fit(state, network.state_dict(), tmp_path).remarks == ()


def test_a_misfit_is_shown_side_by_side(tmp_path, network):
    other = {"stem.weight": torch.ones(3, 1, 3, 3), "3.weight": torch.ones(5, 12)}
    with pytest.raises(CheckpointError) as caught:
        fit(other, network.state_dict(), tmp_path)
    first, head, *rows = str(caught.value).splitlines()
    assert "7 of the model's 8 weights are missing, 1 of the file's are unknown to the model, and 1 have" in first
    assert head.split() == ["the", "model", "the", "file"]
    assert " ".join(rows[0].split()) == "3.weight (4, 12) 3.weight (5, 12)"
    assert "0.weight (3, 1, 3, 3)  stem.weight (3, 1, 3, 3)" in rows[1]


def test_a_misfit_under_a_prefix_shows_what_differs(tmp_path, network):
    other = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4, bias=False))
    with pytest.raises(CheckpointError) as caught:
        fit({"state_dict": prefixed(other.state_dict(), "model.")}, network.state_dict(), tmp_path)
    first, _, *rows = str(caught.value).splitlines()
    assert "1 of the model's 8 weights are missing, 0 of the file's are unknown" in first
    assert "after the prefix 'model.'" in first
    assert [row.split() for row in rows] == [["3.bias", "(4,)", "–"]]


def test_a_fresh_head_is_told(tmp_path, network):
    other = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 7))
    with pytest.raises(CheckpointError):
        fit(other.state_dict(), network.state_dict(), tmp_path)
    fitted = fit(other.state_dict(), network.state_dict(), tmp_path, fresh_head=True)
    assert not {"3.weight", "3.bias"} & fitted.tensors.keys()
    assert "0.weight" in fitted.tensors
    assert fitted.other_outputs == 7
    assert "that layer begins with random weights" in fitted.remarks[0]


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize(
    ("depth", "kept", "head", "shortcut"),
    [
        (20, "A", "linear", "identity"),
        (20, "downsample", "fc", "projection"),
        (32, "shortcut", "linear", "projection"),
        (20, "downsample", "classifier", "projection"),
    ],
)
def test_the_usual_cifar_resnets_answer_as_they_did(tmp_path, depth, kept, head, shortcut, prefix):
    torch.manual_seed(2)
    usual = trained_looking(UsualResNet(depth, 10, shortcut=kept, head=head))
    settings = ModelSettings(name=f"resnet{depth}", options={"shortcut": shortcut})
    ours = create_model(settings, image_shape=(3, 32, 32), classes=10).eval()
    fitted = fit(prefixed(usual.state_dict(), prefix), ours.state_dict(), tmp_path, model=settings.name)
    ours.load_state_dict(fitted.tensors)
    pictures = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = usual(pictures), ours(pictures)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_projections_do_not_fit_identities(tmp_path):
    usual = UsualResNet(20, 10, shortcut="downsample")
    ours = create_model(ModelSettings(name="resnet20"), image_shape=(3, 32, 32), classes=10)
    with pytest.raises(CheckpointError, match='shortcut = "projection"'):
        fit(usual.state_dict(), ours.state_dict(), tmp_path, model="resnet20")
