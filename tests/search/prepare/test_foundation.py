import dataclasses
import hashlib

import pytest
import torch

from search.prepare.foundation import Foundation
from search.prepare.preparation import teach
from tests.search.tiny import tiny_config
from trainables.datasets import add_images, dataset_fingerprint, load_dataset
from trainables.device import select_compute
from trainables.teacher.prepare import prepare_teacher

FOUND = Foundation(data="d", teacher="t", precision="float32", earlier="e")


@pytest.fixture(scope="module")
def ground(launch):
    """Return the tiny search's settings and data."""
    config = tiny_config()
    return config, load_dataset(config.data, default_root=launch.data_root)


def taught(ground, launch, **teacher):
    config, dataset = ground
    config = config.model_copy(update={"teacher": config.teacher.model_copy(update=teacher)})
    return teach(config, dataset, launch, lambda progress: None)


def test_the_same_ground_has_the_same_foundation(ground, launch):
    first, again = taught(ground, launch).foundation, taught(ground, launch).foundation
    assert first == again
    assert first.mismatch(again.text) == ""


def test_the_digest_of_an_earlier_release_is_recognised(ground, launch):
    """Release 0.1 made the digest of the teacher's key, the data and the training pictures."""
    config, dataset = ground
    compute = select_compute(config.device)
    teacher = prepare_teacher(config.teacher, dataset, cache=launch.cache, compute=compute)
    digest = hashlib.sha256(f"{teacher.key} {dataset_fingerprint(dataset)} ".encode())
    add_images(digest, dataset.train.images)
    foundation = taught(ground, launch).foundation
    assert foundation.mismatch(digest.hexdigest()) == ""
    assert foundation.mismatch(digest.hexdigest()[::-1]) == "other data or another teacher"
    assert foundation.mismatch("") == "other data or another teacher"


def test_a_trained_teacher_replaced_in_the_cache_is_another_foundation_with_outputs_of_its_own(
    ground, launch, tmp_path
):
    elsewhere = dataclasses.replace(launch, cache=tmp_path)
    before = taught(ground, elsewhere)
    (path,) = tmp_path.glob("*.pt")
    content = torch.load(path, weights_only=True)
    content["state_dict"] = {name: 2 * tensor for name, tensor in content["state_dict"].items()}
    torch.save(content, path)
    after = taught(ground, elsewhere)
    assert after.foundation.mismatch(before.foundation.text) == "a teacher with other weights or settings"
    assert (after.assets.validation_targets != before.assets.validation_targets).any()


def test_a_checkpoint_replaced_by_another_of_its_name_and_shape_is_another_foundation(ground, launch, tmp_path):
    config, dataset = ground
    compute = select_compute(config.device)
    module = prepare_teacher(config.teacher, dataset, cache=launch.cache, compute=compute).module
    path = tmp_path / "teacher.pt"
    elsewhere = dataclasses.replace(launch, cache=tmp_path / "cache")
    torch.save(module.state_dict(), path)
    before = taught(ground, elsewhere, checkpoint=str(path), training=None)
    torch.save({name: 2 * tensor for name, tensor in module.state_dict().items()}, path)
    after = taught(ground, elsewhere, checkpoint=str(path), training=None)
    assert after.foundation.mismatch(before.foundation.text) == "a teacher with other weights or settings"
    assert (after.assets.train_targets != before.assets.train_targets).any()


def test_what_differs_is_named():
    assert FOUND.mismatch("2:d:t:float32") == ""
    assert FOUND.mismatch("2:x:t:float32") == "other data"
    assert FOUND.mismatch("2:x:y:float32") == "other data and a teacher with other weights or settings"
    assert FOUND.mismatch("2:d:t:tf32") == "a teacher that answers in float32 and not in tf32"
    assert FOUND.mismatch("2:d:t:tf32", with_precision=False) == ""
