import gzip
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.config import DataSettings
from trainables.datasets import check_dataset, dataset_fingerprint, fashion_mnist, load_dataset
from trainables.datasets.loading import channel_statistics
from trainables.errors import DataError
from trainables.pictures.sets import Dataset, Split

needs_fashion_mnist = pytest.mark.skipif(
    not fashion_mnist.DEBIAN_FOLDER.is_dir(), reason="Debian's dataset-fashion-mnist is not installed"
)


def contents(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_fashion_mnist(folder: Path, *, suffix: str, train: int = 200, test: int = 50) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", random.integers(256, size=(count, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)


def write_cifar(root: Path, *, classes: int, protocol: int = 2) -> None:
    random = np.random.default_rng(0)
    if classes == 10:
        folder, key, meta, names = root / "cifar-10-batches-py", "labels", "batches.meta", "label_names"
        files = {**{f"data_batch_{number}": 40 for number in range(1, 6)}, "test_batch": 50}
    else:
        folder, key, meta, names = root / "cifar-100-python", "fine_labels", "meta", "fine_label_names"
        files = {"train": 400, "test": 200}
    folder.mkdir(parents=True)
    for name, count in files.items():
        images = random.integers(256, size=(count, 3072), dtype=np.uint8)
        content = {"data": images, key: [index % classes for index in range(count)]}
        (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
    (folder / meta).write_bytes(pickle.dumps({names: [f"class {c}" for c in range(classes)]}, protocol=protocol))


def write_pictures(folder: Path, *, classes: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> None:
    random = np.random.default_rng(len(folder.name))
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(256, size=(20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset(DataSettings(train_size=100), default_root=Path("unused"))


@pytest.fixture
def no_debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "no such folder")


def pictures_settings(root: Path, **values: object) -> DataSettings:
    return DataSettings.parse({"name": "image-folder", "root": str(root), "validation_size": 4, **values})


class TestSplits:
    def test_sizes_shapes_and_types(self, digits: Dataset) -> None:
        assert [len(s) for s in (digits.pool, digits.train, digits.validation, digits.test)] == [800, 100, 500, 497]
        assert digits.image_shape == (1, 8, 8)
        assert (digits.pool.images.dtype, digits.pool.labels.dtype) == (np.uint8, np.int64)
        assert digits.pool.images.max() == 240
        assert digits.classes == tuple("0123456789")

    def test_pool_validation_and_test_share_no_picture(self, digits: Dataset) -> None:
        pool, validation, test = (set(contents(s)) for s in (digits.pool, digits.validation, digits.test))
        assert len(pool | validation | test) == 1797
        assert set(contents(digits.train)) <= pool

    def test_every_set_holds_the_classes_in_equal_shares(self, digits: Dataset) -> None:
        for split in (digits.pool, digits.train, digits.validation, digits.test):
            shares = np.bincount(split.labels, minlength=10) / len(split)
            np.testing.assert_allclose(shares, 0.1, atol=0.012)

    def test_pictures_keep_their_labels(self, digits: Dataset) -> None:
        from sklearn.datasets import load_digits

        source = load_digits()
        known = {
            (image * 15).astype(np.uint8).tobytes(): label
            for image, label in zip(source.images, source.target, strict=True)
        }
        for split in (digits.pool, digits.train, digits.validation, digits.test):
            assert [known[image] for image in contents(split)] == split.labels.tolist()

    def test_the_same_settings_give_the_same_arrays(self, digits: Dataset) -> None:
        again = load_dataset(DataSettings(train_size=100), default_root=Path("elsewhere"))
        for name in ("pool", "train", "validation", "test"):
            np.testing.assert_array_equal(getattr(digits, name).images, getattr(again, name).images)

    def test_another_seed_gives_another_split(self, digits: Dataset) -> None:
        other = load_dataset(DataSettings(split_seed=1), default_root=Path("unused"))
        assert contents(other.validation) != contents(digits.validation)

    def test_the_training_size_leaves_the_other_sets_as_they_are(self, digits: Dataset) -> None:
        other = load_dataset(DataSettings(train_size=300), default_root=Path("unused"))
        assert contents(other.validation) == contents(digits.validation)
        assert contents(other.pool) == contents(digits.pool)

    def test_without_a_training_size_students_see_the_whole_pool(self) -> None:
        dataset = load_dataset(DataSettings(), default_root=Path("unused"))
        assert dataset.train is dataset.pool

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"train_size": 801}, r"`data.train_size` must be at most 800 .* but got 801; lower it"),
            ({"train_size": 5}, r"`data.train_size` must be at least 10, one picture per class, but got 5"),
            ({"validation_size": 9}, r"`data.validation_size` must be at least 10"),
            (
                {"validation_size": 1301},
                r"`data.validation_size` must be at most 1300 \(all pictures but the 497 test pictures\)",
            ),
            ({"validation_size": 1295}, r"leaves 5 of 1797 pictures to train on, but 10 classes need at least 10"),
            ({"test_size": 1798}, r"`data.test_size` must be at most 1797"),
        ],
    )
    def test_sizes_that_do_not_fit_are_told_before_and_while_loading(
        self, values: dict[str, int], message: str
    ) -> None:
        with pytest.raises(DataError, match=message):
            check_dataset(DataSettings.parse(values), Path("unused"))
        with pytest.raises(DataError, match=message):
            load_dataset(DataSettings.parse(values), default_root=Path("unused"))


class TestStatistics:
    def test_agree_with_numpy(self, digits: Dataset) -> None:
        pixels = digits.pool.images.astype(np.float64)
        assert digits.mean == pytest.approx(pixels.mean(axis=(0, 2, 3)))
        assert digits.std == pytest.approx(pixels.std(axis=(0, 2, 3)))
        assert digits.mean.dtype == digits.std.dtype == np.float32

    def test_a_constant_channel_has_deviation_one(self) -> None:
        images = np.stack([np.full((5000, 2, 2), 7), np.arange(20_000).reshape(5000, 2, 2) % 256], axis=1)
        mean, std = channel_statistics(Split(images=images.astype(np.uint8), labels=np.zeros(5000, np.int64)))
        assert (mean[0], std[0]) == (7.0, 1.0)
        assert std[1] == pytest.approx(images[:, 1].std())


class TestFingerprint:
    def test_depends_on_the_pool_but_not_on_the_training_size(self, digits: Dataset) -> None:
        assert dataset_fingerprint(load_dataset(DataSettings(), default_root=Path("x"))) == dataset_fingerprint(digits)
        other = load_dataset(DataSettings(split_seed=3), default_root=Path("x"))
        assert dataset_fingerprint(other) != dataset_fingerprint(digits)

    def test_depends_on_the_class_names(self, digits: Dataset) -> None:
        import dataclasses

        renamed = dataclasses.replace(digits, classes=(*digits.classes[:-1], "nine"))
        assert dataset_fingerprint(renamed) != dataset_fingerprint(digits)


class TestFashionMNIST:
    @needs_fashion_mnist
    def test_is_read_from_debians_package(self, tmp_path: Path) -> None:
        settings = DataSettings(name="fashion-mnist", validation_size=5000, train_size=2000, test_size=1000)
        dataset = load_dataset(settings, default_root=tmp_path)
        sets = (dataset.pool, dataset.train, dataset.validation, dataset.test)
        assert [len(split) for split in sets] == [55_000, 2000, 5000, 1000]
        assert [np.bincount(split.labels).tolist() for split in sets[1:]] == [[200] * 10, [500] * 10, [100] * 10]
        assert dataset.mean == pytest.approx(0.286 * 255, rel=0.01)
        assert dataset.std == pytest.approx(0.353 * 255, rel=0.01)
        assert len(set(contents(dataset.pool)) | set(contents(dataset.validation))) == 60_000
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("suffix", ["", ".gz"])
    @pytest.mark.parametrize("folder", ["FashionMNIST/raw", "."])
    def test_the_given_root_comes_first(self, tmp_path: Path, folder: str, suffix: str) -> None:
        write_fashion_mnist(tmp_path / folder, suffix=suffix)
        settings = DataSettings(name="fashion-mnist", root=str(tmp_path), validation_size=50, download=False)
        dataset = load_dataset(settings, default_root=tmp_path / "unused")
        assert (len(dataset.pool), len(dataset.test)) == (150, 50)

    @pytest.mark.usefixtures("no_debian")
    def test_absence_is_told_with_every_remedy(self, tmp_path: Path) -> None:
        settings = DataSettings(name="fashion-mnist", download=False)
        remedies = r"apt-get install dataset-fashion-mnist.*FashionMNIST/raw.*`download` = true"
        with pytest.raises(DataError, match=remedies):
            check_dataset(settings, tmp_path)
        with pytest.raises(DataError, match=remedies):
            load_dataset(settings, default_root=tmp_path)

    @pytest.mark.usefixtures("no_debian")
    def test_a_failed_download_is_told_with_every_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from torchvision import datasets

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("Error downloading train-images:\nTried somewhere, got:\nno route to host")

        monkeypatch.setattr(datasets.FashionMNIST, "download", fail)
        told: list[str] = []
        with pytest.raises(DataError, match=r"could not be downloaded .*no route to host.*apt-get install"):
            load_dataset(DataSettings(name="fashion-mnist"), default_root=tmp_path, progress=told.append)
        assert told == [f"Downloading Fashion-MNIST (31 MB) to {tmp_path}"]

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda data: data[:-100], r"train-images.* cannot be read"),
            (lambda data: b"not a gzip file", r"train-images.* cannot be read"),
            (lambda data: gzip.compress(gzip.decompress(data)[:-1]), r"must hold 156800 values, but holds 156799"),
            (lambda data: gzip.compress(b"\0\0\x0d\3" + gzip.decompress(data)[4:]), r"is not an IDX file of bytes"),
            (lambda data: gzip.compress(b""), r"is not an IDX file of bytes"),
        ],
        ids=["cut short", "not gzip", "a value missing", "floats", "empty"],
    )
    def test_a_damaged_file_is_named(self, tmp_path: Path, damage: object, message: str) -> None:
        write_fashion_mnist(tmp_path, suffix=".gz")
        file = tmp_path / "train-images-idx3-ubyte.gz"
        file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
        settings = DataSettings(name="fashion-mnist", root=str(tmp_path), validation_size=50)
        with pytest.raises(DataError, match=message):
            load_dataset(settings, default_root=tmp_path)

    def test_a_picture_without_a_label_is_an_error(self, tmp_path: Path) -> None:
        write_fashion_mnist(tmp_path, suffix="")
        write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(199) % 10)
        settings = DataSettings(name="fashion-mnist", root=str(tmp_path), validation_size=50)
        with pytest.raises(DataError, match=r"has 200 pictures and .* has 199 labels"):
            load_dataset(settings, default_root=tmp_path)

    def test_a_label_beyond_the_classes_is_an_error(self, tmp_path: Path) -> None:
        write_fashion_mnist(tmp_path, suffix="")
        write_idx(tmp_path / "train-labels-idx1-ubyte", np.arange(200) % 11)
        settings = DataSettings(name="fashion-mnist", root=str(tmp_path), validation_size=50)
        with pytest.raises(DataError, match=r"labels from 0 to 10, but 10 classes have the labels 0 to 9"):
            load_dataset(settings, default_root=tmp_path)


class TestCIFAR:
    @pytest.mark.parametrize("protocol", [2, 4])
    def test_cifar10_is_read_channels_first(self, tmp_path: Path, protocol: int) -> None:
        write_cifar(tmp_path, classes=10, protocol=protocol)
        settings = DataSettings(name="cifar10", root=str(tmp_path), validation_size=50, download=False)
        dataset = load_dataset(settings, default_root=tmp_path / "unused")
        assert dataset.image_shape == (3, 32, 32)
        assert [len(s) for s in (dataset.pool, dataset.validation, dataset.test)] == [150, 50, 50]
        assert dataset.classes[3] == "class 3"
        first = np.random.default_rng(0).integers(256, size=(40, 3072), dtype=np.uint8)[0]
        assert first.tobytes() in contents(dataset.pool) + contents(dataset.validation)

    def test_a_pickle_as_python_2_wrote_it_is_read(self, tmp_path: Path) -> None:
        write_cifar(tmp_path, classes=10)
        # Protocol 2 of Python 2: the array's bytes are a str, and dtype gets 0 and 1 instead of booleans.
        values = bytes(range(256)) * 12 * 40
        labels = b"".join(b"K" + bytes((index % 10,)) for index in range(40))
        content = (
            b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
            b"(K\x01K\x28M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
            b"K\0tb\x89T" + struct.pack("<i", len(values)) + values + b"tbU\x06labels](" + labels + b"eu."
        )
        (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
        settings = DataSettings(name="cifar10", root=str(tmp_path), validation_size=10)
        dataset = load_dataset(settings, default_root=tmp_path)
        assert (bytes(range(256)) * 12) in contents(dataset.pool)

    def test_cifar100_has_its_fine_classes(self, tmp_path: Path) -> None:
        write_cifar(tmp_path, classes=100)
        settings = DataSettings(name="cifar100", root=str(tmp_path), validation_size=100, train_size=200)
        dataset = load_dataset(settings, default_root=tmp_path)
        assert len(dataset.classes) == 100
        assert np.bincount(dataset.train.labels).tolist() == [2] * 100

    @pytest.mark.parametrize("name", ["cifar10", "cifar100"])
    def test_absence_is_told_with_a_remedy(self, tmp_path: Path, name: str) -> None:
        settings = DataSettings.parse({"name": name, "download": False})
        with pytest.raises(DataError, match=r"was not found, and `download` is false\. Either unpack"):
            check_dataset(settings, tmp_path)
        with pytest.raises(DataError, match=r"Either unpack the python version"):
            load_dataset(settings, default_root=tmp_path)

    def test_a_failed_download_is_told_with_a_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from torchvision import datasets

        def fail(*_: object, **__: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(datasets.utils, "download_and_extract_archive", fail)
        with pytest.raises(DataError, match=r"CIFAR-10 could not be downloaded .*no route to host.*Either unpack"):
            load_dataset(DataSettings(name="cifar10"), default_root=tmp_path)

    def test_a_file_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        write_cifar(tmp_path, classes=10)
        victim = tmp_path / "victim"
        (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(
            f"cos\nsystem\n(S'touch {victim}'\ntR.".encode()
        )
        with pytest.raises(DataError, match=r"data_batch_1' cannot be read .*os\.system"):
            load_dataset(DataSettings(name="cifar10", root=str(tmp_path), validation_size=50), default_root=tmp_path)
        assert not victim.exists()

    @pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1]), pickle.dumps({"data": 3, "labels": [1]})])
    def test_a_damaged_file_is_named(self, tmp_path: Path, content: bytes) -> None:
        write_cifar(tmp_path, classes=10)
        (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(content)
        with pytest.raises(DataError, match="data_batch_2"):
            load_dataset(DataSettings(name="cifar10", root=str(tmp_path), validation_size=50), default_root=tmp_path)


def apart(folder: Path) -> Path:
    """Return a place for decoded pictures, which must not lie among the pictures."""
    return folder.with_name(f"{folder.name}-data")


class TestImageFolder:
    def test_a_test_set_is_split_off_where_there_is_none(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        dataset = load_dataset(pictures_settings(tmp_path), default_root=apart(tmp_path))
        assert [len(s) for s in (dataset.pool, dataset.validation, dataset.test)] == [12, 4, 4]
        assert dataset.classes == ("cat", "dog")
        assert dataset.image_shape == (3, 64, 64)

    def test_own_sets_are_used_where_there_are_any(self, tmp_path: Path) -> None:
        for name, count in (("train", 10), ("val", 3), ("test", 5)):
            write_pictures(tmp_path / name, count=count)
        settings = pictures_settings(tmp_path, image_size=8, channels=1, validation_size=None)
        check_dataset(settings, apart(tmp_path))
        dataset = load_dataset(settings, default_root=apart(tmp_path))
        assert [len(s) for s in (dataset.pool, dataset.validation, dataset.test)] == [20, 6, 10]
        assert dataset.image_shape == (1, 8, 8)

    def test_fewer_pictures_of_an_own_validation_set_may_be_asked_for_but_not_more(self, tmp_path: Path) -> None:
        for name, count in (("train", 10), ("val", 3)):
            write_pictures(tmp_path / name, count=count)
        dataset = load_dataset(pictures_settings(tmp_path, validation_size=4), default_root=apart(tmp_path))
        assert [len(s) for s in (dataset.pool, dataset.validation, dataset.test)] == [16, 4, 4]
        assert np.bincount(dataset.validation.labels).tolist() == [2, 2]
        more = pictures_settings(tmp_path, validation_size=7)
        message = r"`data.validation_size` must be at most 6 \(.* own validation set.*\), but got 7; lower it"
        with pytest.raises(DataError, match=message):
            check_dataset(more, apart(tmp_path))
        with pytest.raises(DataError, match=message):
            load_dataset(more, default_root=apart(tmp_path))

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, classes=("car", "train"))
        assert load_dataset(pictures_settings(tmp_path), default_root=apart(tmp_path)).classes == ("car", "train")

    def test_the_middle_of_the_scaled_picture_is_kept(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        pixels = np.zeros((10, 30, 3), dtype=np.uint8)
        pixels[:, 10:20] = (10, 20, 30)  # the middle third, which a square keeps
        for path in tmp_path.rglob("*.png"):
            Image.fromarray(pixels).save(path)
        dataset = load_dataset(pictures_settings(tmp_path, image_size=10), default_root=apart(tmp_path))
        np.testing.assert_array_equal(dataset.pool.images[0].transpose(1, 2, 0), pixels[:, 10:20])

    def test_pictures_of_every_kind_become_one_kind(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        grey = np.full((16, 16), 200, dtype=np.uint8)
        folder = tmp_path / "cat"
        Image.fromarray(grey).save(folder / "grey.jpg")
        Image.fromarray(grey.astype(np.uint16) * 256).save(folder / "sixteen-bit.png")
        Image.fromarray(np.dstack([grey] * 4)).save(folder / "transparent.png")
        palette = Image.fromarray(grey).convert("P")
        palette.save(folder / "palette.png", transparency=bytes(256))
        palette.save(folder / "animated.gif")
        settings = pictures_settings(tmp_path, image_size=8, validation_size=2, test_size=2)
        dataset = load_dataset(settings, default_root=apart(tmp_path))
        every = np.concatenate([dataset.pool.images, dataset.validation.images, dataset.test.images])
        assert (np.abs(every.astype(int) - 200) <= 2).all(axis=(1, 2, 3)).sum() == 3
        on_white = round(200 * 200 / 255 + 255 * 55 / 255)
        assert (np.abs(every.astype(int) - on_white) <= 2).all(axis=(1, 2, 3)).sum() == 1
        assert (every == 255).all(axis=(1, 2, 3)).sum() == 1  # a palette of nothing but transparent colours

    def test_a_photograph_is_turned_upright(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        pixels = np.zeros((8, 8), dtype=np.uint8)
        pixels[:4] = 255
        exif = Image.Exif()
        exif[0x0112] = 3  # upside down
        for path in tmp_path.rglob("*.png"):
            Image.fromarray(pixels).save(path, exif=exif)
        dataset = load_dataset(pictures_settings(tmp_path, image_size=8, channels=1), default_root=apart(tmp_path))
        np.testing.assert_array_equal(dataset.pool.images[0, 0], pixels[::-1])

    def test_hidden_and_other_files_are_passed_over(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        (tmp_path / "cat" / "notes.txt").write_text("no picture")
        (tmp_path / "cat" / "._0.png").write_bytes(b"no picture")
        (tmp_path / ".cache").mkdir()
        assert len(load_dataset(pictures_settings(tmp_path), default_root=apart(tmp_path)).pool) == 12

    def test_an_unreadable_picture_is_named(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        whole = (tmp_path / "dog" / "3.png").read_bytes()
        (tmp_path / "dog" / "3.png").write_bytes(whole[: len(whole) // 2])
        check_dataset(pictures_settings(tmp_path), apart(tmp_path))
        with pytest.raises(
            DataError, match=r"(?s)1 of 20 pictures cannot be read:\n  '.*dog/3\.png': .*Replace or remove"
        ):
            load_dataset(pictures_settings(tmp_path), default_root=apart(tmp_path))

    @pytest.mark.parametrize(
        ("classes", "message"),
        [((), r"must hold at least 2 folders .* but holds 0"), (("cat",), r"at least 2 folders .* but holds 1")],
    )
    def test_too_few_classes_are_an_error(self, tmp_path: Path, classes: tuple[str, ...], message: str) -> None:
        write_pictures(tmp_path, classes=classes)
        with pytest.raises(DataError, match=message):
            check_dataset(pictures_settings(tmp_path), apart(tmp_path))

    def test_an_empty_class_is_named(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        (tmp_path / "fish").mkdir()
        with pytest.raises(DataError, match=r"class folder '.*fish' holds no picture"):
            check_dataset(pictures_settings(tmp_path), apart(tmp_path))

    def test_a_missing_root_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"`root` must be a folder of pictures.*nowhere"):
            check_dataset(pictures_settings(tmp_path / "nowhere"), apart(tmp_path))

    def test_different_classes_in_train_and_test_are_named(self, tmp_path: Path) -> None:
        write_pictures(tmp_path / "train")
        write_pictures(tmp_path / "test", classes=("cat", "dogs"))
        with pytest.raises(DataError, match=r"only one of them has 'dog', 'dogs'"):
            check_dataset(pictures_settings(tmp_path), apart(tmp_path))

    @pytest.mark.parametrize(("count", "sizes"), [(10, [11, 5, 4]), (300, [320, 160, 120]), (800, [780, 500, 320])])
    def test_the_default_sizes_fit_few_pictures(self, tmp_path: Path, count: int, sizes: list[int]) -> None:
        write_pictures(tmp_path, count=count)
        settings = DataSettings(name="image-folder", root=str(tmp_path), image_size=4)
        dataset = load_dataset(settings, default_root=apart(tmp_path))
        assert [len(split) for split in (dataset.pool, dataset.validation, dataset.test)] == sizes

    def test_a_class_of_one_picture_is_named(self, tmp_path: Path) -> None:
        write_pictures(tmp_path)
        for index in range(1, 10):
            (tmp_path / "dog" / f"{index}.png").unlink()
        with pytest.raises(DataError, match=r"class 'dog' has 1 training pictures, but at least 2"):
            load_dataset(pictures_settings(tmp_path, validation_size=2), default_root=apart(tmp_path))

    def test_a_rare_class_absent_from_the_training_set_is_named(self, tmp_path: Path) -> None:
        write_pictures(tmp_path, count=40)
        for index in range(4, 40):
            (tmp_path / "dog" / f"{index}.png").unlink()
        settings = pictures_settings(tmp_path, validation_size=4, test_size=8, train_size=3)
        with pytest.raises(DataError, match=r"the 3 training pictures hold none of class 'dog'"):
            load_dataset(settings, default_root=apart(tmp_path))


def test_checking_a_data_set_loads_no_heavy_package() -> None:
    code = (
        "import sys, pathlib; from trainables.config import DataSettings;"
        "from trainables.datasets import check_dataset;"
        "check_dataset(DataSettings(), pathlib.Path('x'));"
        "print([m for m in ('torch', 'torchvision', 'sklearn', 'PIL') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
