"""Pictures that stay in a file: the same training as from memory, without the memory."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.config import (
    AugmentationSettings,
    DataSettings,
    DeviceSettings,
    ModelSettings,
    TeacherSettings,
    TrainingSettings,
)
from trainables.datasets import dataset_fingerprint, load_dataset, loading
from trainables.device import select_compute
from trainables.errors import DataError
from trainables.pictures.mapped_images import IMAGES_FILE, RECORDS_FILE, MappedImages, record_type
from trainables.pictures.sets import Dataset
from trainables.pictures.streamed_images import StreamedImages, gather, on_device
from trainables.teacher.prepare import prepare_teacher
from trainables.teacher.targets import compute_assets
from trainables.training.data import DeviceAssets
from trainables.training.loop import Distillation

CPU = select_compute(DeviceSettings(device="cpu"))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Write pictures of two classes that can be told apart."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("pictures")
    for name, level in (("dark", 90), ("light", 150)):
        (folder / name).mkdir()
        for index in range(60):
            pixels = random.normal(level, 50, size=(12, 12, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def load(root: Path, cache: Path, monkeypatch, in_memory: int, **settings) -> Dataset:
    monkeypatch.setattr(loading, "IN_MEMORY", in_memory)
    chosen = {"name": "image-folder", "root": str(root), "image_size": 8, "validation_size": 20, **settings}
    return load_dataset(DataSettings.parse(chosen), default_root=cache)


@pytest.fixture
def both(root, tmp_path, monkeypatch) -> tuple[Dataset, Dataset]:
    """Return the same data set in memory and in its file."""
    in_memory = load(root, tmp_path, monkeypatch, 2**30, train_size=50)
    return in_memory, load(root, tmp_path, monkeypatch, 0, train_size=50)


SETS = ("pool", "train", "validation", "test")


def test_splits_are_the_same_as_in_memory(both):
    in_memory, mapped = both
    for name in SETS:
        one, other = getattr(in_memory, name), getattr(mapped, name)
        assert isinstance(one.images, np.ndarray)
        assert isinstance(other.images, MappedImages)
        assert other.images.shape == one.images.shape
        assert other.images.nbytes == one.images.nbytes
        np.testing.assert_array_equal(other.images[:], one.images)
        np.testing.assert_array_equal(other.labels, one.labels)
        np.testing.assert_array_equal(other.subset(np.array([3, 1])).images[:], one.images[[3, 1]])
        np.testing.assert_array_equal(other.in_memory().images, one.images)


def test_statistics_are_the_same_to_the_last_bit(both):
    in_memory, mapped = both
    np.testing.assert_array_equal(mapped.mean, in_memory.mean)
    np.testing.assert_array_equal(mapped.std, in_memory.std)
    pixels = in_memory.pool.images.astype(np.float64)
    np.testing.assert_allclose(mapped.mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(mapped.std, pixels.std(axis=(0, 2, 3)), rtol=1e-6)


def test_the_limit_counts_all_pictures(root, tmp_path, monkeypatch):
    bytes_of_all = 120 * 3 * 8 * 8
    assert isinstance(load(root, tmp_path, monkeypatch, bytes_of_all).pool.images, np.ndarray)
    assert isinstance(load(root, tmp_path, monkeypatch, bytes_of_all - 1).pool.images, MappedImages)


def test_a_fingerprint_follows_the_pixels_and_reads_none(root, tmp_path, both, monkeypatch):
    _, mapped = both
    again = load(root, tmp_path, monkeypatch, 0, train_size=30)
    monkeypatch.setattr(MappedImages, "__getitem__", None)
    assert dataset_fingerprint(again) == dataset_fingerprint(mapped)
    other = load(root, tmp_path, monkeypatch, 0, split_seed=1)
    assert dataset_fingerprint(other) != dataset_fingerprint(mapped)


def test_pixels_decide_a_fingerprint_not_the_file_s_time(root, tmp_path, both, monkeypatch):
    _, mapped = both
    before = dataset_fingerprint(mapped)
    path = root / "dark" / "7.png"
    whole, time = path.read_bytes(), path.stat().st_mtime_ns
    os.utime(path, (5, 5))
    assert dataset_fingerprint(load(root, tmp_path, monkeypatch, 0)) == before
    Image.fromarray(np.zeros((12, 12, 3), dtype=np.uint8)).save(path)
    # The picture is in the pool under this split; otherwise the fingerprint would rightly stay the same.
    assert dataset_fingerprint(load(root, tmp_path, monkeypatch, 0)) != before
    path.write_bytes(whole)
    os.utime(path, ns=(time, time))


def test_what_travels_is_a_path_and_places(both):
    _, mapped = both
    assert len(pickle.dumps(mapped.pool.images)) < 8 * len(mapped.pool) + 500
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mapped.pool.images))[:], mapped.pool.images[:])


def test_a_node_that_does_not_see_the_file_says_so(both, tmp_path):
    _, mapped = both
    travelled = pickle.dumps(mapped.pool.images)
    (tmp_path / "decoded").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"cannot be read here .*name a shared folder with --data-root"):
        pickle.loads(travelled)[:]


def test_a_training_is_the_same_to_the_last_bit(both, settings, tmp_path):
    """This covers the teacher, its outputs on every view, students, scores and KPIs."""
    teacher_settings = TeacherSettings(
        model=ModelSettings(name="mlp", options={"hidden": [8]}),
        training=TrainingSettings(epochs=2, batch_size=16),
        augmentation=AugmentationSettings(flip=True, views=2),
    )
    augmentation = AugmentationSettings(flip=True, crop_padding=1, views=3)
    settings = settings.model_copy(
        update={"augmentation": augmentation, "training": settings.training.model_copy(update={"batch_size": 20})}
    )
    results = []
    for number, dataset in enumerate(both):
        teacher = prepare_teacher(teacher_settings, dataset, cache=tmp_path / f"teachers-{number}", compute=CPU)
        assets = compute_assets(dataset, teacher, augmentation, CPU.device)
        distillation = Distillation(settings, DeviceAssets(assets, CPU))
        for _ in distillation.records():
            pass
        results.append((teacher, assets, distillation))
    (teacher, assets, one), (other_teacher, other_assets, other) = results
    for name, weights in teacher.module.state_dict().items():
        assert torch.equal(weights, other_teacher.module.state_dict()[name])
    np.testing.assert_array_equal(assets.train_targets, other_assets.train_targets)
    np.testing.assert_array_equal(assets.validation_targets, other_assets.validation_targets)
    assert other.results == one.results
    for mine, theirs in zip(one.replicates, other.replicates, strict=True):
        for name, weights in mine.student.state_dict().items():
            assert torch.equal(weights, theirs.student.state_dict()[name])


class TestOnADevice:
    def test_a_file_is_indexed_like_a_tensor(self, both):
        in_memory, mapped = both
        tensor, streamed = (on_device(d.pool.images, CPU.device) for d in (in_memory, mapped))
        assert isinstance(streamed, StreamedImages)
        assert (len(streamed), streamed.shape) == (len(tensor), tensor.shape)
        for places in (slice(3, 9), slice(0, 0), torch.tensor([5, 2, 2]), torch.tensor([[1, 2], [4, 3]])):
            assert torch.equal(streamed[places], tensor[places])
        places = torch.tensor([7, 0, 3])
        assert torch.equal(gather(streamed, places, places), gather(tensor, places, places))

    def test_what_is_in_memory_is_not_copied(self, assets):
        """This also holds for read-only memory, as from Ray's object store."""
        for array in (assets.train.images, assets.train.labels, assets.train_targets):
            array.flags.writeable = False
        data = DeviceAssets(assets, CPU)
        pairs = (
            (data.images, assets.train.images),
            (data.labels, assets.train.labels),
            (data.targets, assets.train_targets),
            (data.validation.images, assets.validation.images),
            (data.validation.labels, assets.validation.labels),
            (data.validation.teacher_logits, assets.validation_targets),
        )
        for tensor, array in pairs:
            assert tensor.data_ptr() == array.__array_interface__["data"][0]

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    def test_batches_for_a_gpu_come_through_pinned_memory(self, both):
        in_memory, mapped = both
        streamed = on_device(mapped.pool.images, torch.device("cuda"))
        places = torch.tensor([5, 2, 9])
        assert torch.equal(streamed[places].cpu(), torch.from_numpy(in_memory.pool.images[[5, 2, 9]]))


_LIMITED = """
import pathlib, resource, sys
import numpy as np
import sklearn.model_selection, PIL.Image, PIL.PngImagePlugin
from trainables.pictures.sets import Dataset, Split
from trainables.config import *
from trainables.datasets import loading, dataset_fingerprint, load_dataset
from trainables.datasets.decoded import making
from trainables.pictures.mapped_images import MappedImages

making._MOST_THREADS = 2  # the stacks of threads count
folder = pathlib.Path(sys.argv[2])

def decoding(mapped):
    if mapped:
        loading.IN_MEMORY = 0
    root = str(folder / "pictures")
    data = DataSettings(name="image-folder", root=root, image_size=512, channels=1, validation_size=50)
    dataset_fingerprint(load_dataset(data, default_root=folder))

def training(mapped, count=40_000):
    from trainables.device import select_compute
    from trainables.training.loop import Distillation
    from trainables.training.data import DeviceAssets
    from trainables.teacher.targets import compute_assets
    from trainables.teacher.prepare import prepare_teacher

    images = MappedImages(str(folder), np.arange(count))
    every = Split(images=images if mapped else images[:], labels=np.arange(count) % 2)
    pool, validation = every.subset(np.arange(200, count)), every.subset(np.arange(200))
    mean, std = loading.channel_statistics(pool)
    dataset = Dataset(name="x", classes=("a", "b"), pool=pool, train=pool, validation=validation, test=validation,
                      mean=mean, std=std)
    model, compute = ModelSettings(name="mlp", options={"hidden": [4]}), select_compute(DeviceSettings(device="cpu"))
    plan = TrainingSettings(epochs=1, batch_size=64)
    teacher_settings = TeacherSettings(model=model, training=plan)
    teacher = prepare_teacher(teacher_settings, dataset, cache=folder / "teachers", compute=compute)
    assets = compute_assets(dataset, teacher, AugmentationSettings(), compute.device)
    policy = PolicySettings(family="norm_balance", parameters={})
    settings = TrialSettings(student=model, training=plan, evaluations=1, seeds=(0,), policy=policy)
    distillation = Distillation(settings, DeviceAssets(assets, compute))
    for _ in distillation.records():
        pass
    assert len(distillation.results) == 1

if sys.argv[1] == "training":
    training(True, count=1000)  # what PyTorch loads and keeps at its first steps
private = int(next(l for l in open("/proc/self/status") if l.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (private + int(sys.argv[4]),) * 2)
try:
    globals()[sys.argv[1]](sys.argv[3] == "mapped")
except (MemoryError, RuntimeError) as error:
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        sys.exit(3)
    raise
"""


class TestDataLargerThanTheMemoryAllowed:
    """The limit, half of the pictures' size, is on private memory; mapped files do not count.

    The system can drop their pages. Loading into memory fails under the limit, so the limit works. The tests take
    seconds, since the pictures must outweigh what the work on a batch needs.
    """

    def exit_code(self, what: str, folder: Path, where: str, most: int) -> int:
        command = [sys.executable, "-c", _LIMITED, what, str(folder), where, str(most)]
        return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=600).returncode

    def test_decoding_statistics_and_fingerprint(self, tmp_path):
        for name in ("dark", "light"):
            (tmp_path / "pictures" / name).mkdir(parents=True)
            first = tmp_path / "pictures" / name / "first.png"
            Image.fromarray(np.full((8, 8), 90, dtype=np.uint8)).save(first)
            for index in range(299):
                os.link(first, first.with_name(f"{index}.png"))
        size = 600 * 512 * 512
        assert self.exit_code("decoding", tmp_path, "mapped", size // 2) == 0
        assert next((tmp_path / "decoded").glob(f"*/{IMAGES_FILE}")).stat().st_size > size
        assert self.exit_code("decoding", tmp_path, "in memory", size // 2) == 3

    @pytest.mark.slow
    def test_teacher_its_outputs_and_a_student(self, tmp_path):
        images = np.random.default_rng(0).integers(256, size=(40_000, 1, 64, 64), dtype=np.uint8)
        records = np.zeros(len(images), dtype=record_type(1))
        records["sums"][:, 0] = [[int(images[0].sum()), int((images[0].astype(int) ** 2).sum())]]
        for name, array in ((IMAGES_FILE, images), (RECORDS_FILE, records)):
            with (tmp_path / name).open("wb") as file:
                np.lib.format.write_array(file, array, version=(2, 0))
        assert self.exit_code("training", tmp_path, "mapped", images.nbytes // 2) == 0
        assert self.exit_code("training", tmp_path, "in memory", images.nbytes // 2) == 3
