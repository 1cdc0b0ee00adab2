"""A search on pictures that stay in their file, and the data that reach the processes of trials."""

import pickle
import threading

import numpy as np
import pytest
import ray
from PIL import Image

from search.cluster import sharing
from search.cluster.connection import ray_session
from search.errors import SearchError
from search.prepare.preparation import prepare
from search.run.search import run_search
from search.settings.launch import Launch
from search.settings.search_file import load_config
from tests.search.tiny import TINY, QuietListener
from trainables.datasets import loading
from trainables.pictures.mapped_images import MappedImages
from trainables.pictures.sets import Split, TrialAssets


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Configure a search on a picture folder that counts as too large for memory."""
    random = np.random.default_rng(0)
    for name, level in (("dark", 90), ("light", 150)):
        (tmp_path / name).mkdir()
        for index in range(100):
            pixels = random.normal(level, 50, size=(12, 12)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    monkeypatch.setattr(loading, "IN_MEMORY", 0)
    data = ["data.name=image-folder", f"data.root={tmp_path}", "data.image_size=8", "data.channels=1"]
    return load_config("digits-quick", [*TINY, *data, "name=large", "data.validation_size=50"])


def test_a_search_on_pictures_in_a_file(config, launch):
    listener = QuietListener()
    search = run_search(config, launch, listener).search
    assert search.status == "finished"
    assert all(trial.score > 0.8 for trial in search.trials)
    assert any(text.startswith("decoded 200 pictures in") for text in listener.stages)


def test_what_is_sent_to_trials_holds_no_pictures(config, launch):
    prepared = prepare(config, launch, QuietListener(), threading.Event())
    assert isinstance(prepared.assets.train.images, MappedImages)
    assert isinstance(prepared.assets.validation.images, MappedImages)
    of_each_picture = 8 + 8 + 4 * 2  # a picture's place, its label, the teacher's two logits
    assert len(pickle.dumps(prepared.assets)) < 150 * of_each_picture + 5000 < 200 * 64


def test_nodes_that_do_not_see_the_file_are_named(config, launch, monkeypatch):
    asked = []
    monkeypatch.setattr(sharing, "_blind_nodes", lambda path: asked.append(path) or ["10.0.0.7"])
    there = Launch(**{**vars(launch), "address": "head:6379"})
    ray_is_up = threading.Event()
    ray_is_up.set()
    with pytest.raises(
        SearchError, match=r"are in '.*/decoded/.*', which is not visible on: 10\.0\.0\.7\. Give a folder"
    ):
        prepare(config, there, QuietListener(), ray_is_up)
    assert len(asked) == 1
    monkeypatch.setattr(loading, "IN_MEMORY", 2**30)
    prepare(config, there, QuietListener(), ray_is_up)  # pictures in memory are sent
    assert len(asked) == 1


def test_a_trial_s_tensors_are_the_object_store_s_memory():
    """A node has one copy on a CPU, for any number of trials."""
    random = np.random.default_rng(0)
    images = random.integers(256, size=(3000, 1, 8, 8), dtype=np.uint8)
    labels = random.integers(10, size=3000)
    split = Split(images=images, labels=labels)
    logits = random.normal(size=(3000, 10)).astype(np.float32)
    assets = TrialAssets(
        train=split,
        validation=split,
        train_targets=logits[None],
        validation_targets=logits,
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
        classes=tuple("abcdefghij"),
        teacher_accuracy=0.5,
    )

    def memory_of_tensors(assets: TrialAssets) -> dict[str, str]:  # nested, so that it travels by value
        from trainables.config.trial import DeviceSettings
        from trainables.device import select_compute
        from trainables.training.data import DeviceAssets

        data = DeviceAssets(assets, select_compute(DeviceSettings(device="cpu")))
        tensors = {
            "images": data.images,
            "labels": data.labels,
            "targets": data.targets,
            "validation images": data.validation.images,
            "validation labels": data.validation.labels,
            "validation targets": data.validation.teacher_logits,
            "a copy": data.images.clone(),
        }
        with open("/proc/self/maps") as file:
            maps = [line.split(maxsplit=5) for line in file]
        found = {}
        for name, tensor in tensors.items():
            for region, *_, path in maps:
                begin, end = (int(place, 16) for place in region.split("-"))
                if begin <= tensor.data_ptr() < end:
                    found[name] = path.strip()
        return found

    with ray_session(None):
        found = ray.get(ray.remote(num_cpus=0)(memory_of_tensors).remote(ray.put(assets)))
    assert "plasma" not in found.pop("a copy", "")
    assert len(found) == 6
    assert all("plasma" in path for path in found.values()), found
