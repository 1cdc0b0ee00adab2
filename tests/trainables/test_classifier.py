"""A trained network with its normalisation, and its file."""

import io
import pickle

import pytest
import torch

from trainables.classifier import Classifier, classifier_bytes, load_classifier, restore_classifier
from trainables.config import DataSettings, DeviceSettings, ModelSettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.errors import CheckpointError
from trainables.evaluation import EvaluationSet
from trainables.models import create_model
from trainables.pictures.format import PictureFormat
from trainables.pictures.normalization import as_tensor

CNN = ModelSettings(name="cnn", options={"widths": [4, 8]})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(DataSettings(validation_size=300), default_root=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def student(dataset):
    return create_model(CNN, image_shape=dataset.image_shape, classes=10)


def weights_of(module):
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    return stream.getvalue()


def test_it_says_of_stored_pictures_what_the_student_said_in_training(dataset, student):
    compute = select_compute(DeviceSettings(device="cpu"))
    pictures = EvaluationSet(
        images=as_tensor(dataset.validation.images),
        labels=as_tensor(dataset.validation.labels),
        teacher_logits=torch.zeros(len(dataset.validation), 10),
        classes=dataset.classes,
        mean=as_tensor(dataset.mean),
        std=as_tensor(dataset.std),
        compute=compute,
    )
    classifier = restore_classifier(CNN, PictureFormat.of(dataset), weights_of(student))
    with torch.no_grad():
        ours = classifier(as_tensor(dataset.validation.images))
    torch.testing.assert_close(ours, pictures.logits(student.eval()))
    assert not torch.allclose(ours, student(as_tensor(dataset.validation.images).float()))


def test_a_file_gives_back_the_same_classifier(dataset, student, tmp_path):
    classifier = restore_classifier(CNN, PictureFormat.of(dataset), weights_of(student))
    path = tmp_path / "student.pt"
    path.write_bytes(classifier_bytes(classifier))
    state = torch.random.get_rng_state()
    loaded = load_classifier(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not loaded.training
    assert (loaded.classes, loaded.pictures) == (dataset.classes, PictureFormat.of(dataset))
    images = as_tensor(dataset.validation.images[:5])
    with torch.no_grad():
        assert torch.equal(loaded(images), classifier(images))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"not a file of PyTorch's", "cannot be read"),
        ({"weights": {}}, "is not a classifier"),
        ({"format": "kd-classifier", "version": 7}, "version 7.*reads version 1"),
        ({"format": "kd-classifier", "version": 1}, "is damaged"),
        ({"format": "kd-classifier", "version": 1, "model": {"name": "cnm"}, "pictures": {}}, "is damaged.*`shape` is"),
    ],
)
def test_another_file_is_refused(tmp_path, content, told):
    path = tmp_path / "student.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=told):
        load_classifier(path)
    with pytest.raises(CheckpointError, match="No such file"):
        load_classifier(tmp_path / "none.pt")


def test_a_file_runs_no_code(tmp_path):
    class Mischief:
        def __reduce__(self):
            return (tmp_path.joinpath("touched").touch, ())

    path = tmp_path / "student.pt"
    torch.save(Mischief(), path, pickle_module=pickle)
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_classifier(path)
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_network_are_refused(dataset):
    other = Classifier(ModelSettings(name="mlp"), PictureFormat.of(dataset)).network
    with pytest.raises(CheckpointError, match="do not fit the model 'cnn'"):
        restore_classifier(CNN, PictureFormat.of(dataset), weights_of(other))
