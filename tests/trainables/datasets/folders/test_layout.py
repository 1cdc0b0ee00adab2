"""Folders of pictures as people have them: usual names of sets, annotations, links, spellings, tools' folders."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.config import DataSettings
from trainables.datasets import check_dataset, load_dataset
from trainables.datasets.folders import Layout, find_layout
from trainables.errors import DataError


def picture(path: Path | bytes, seed: int | None = None) -> None:
    """Write a picture of noise; the same path gives the same one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    random = np.random.default_rng(list(os.fsencode(path)) if seed is None else seed)
    with open(path, "wb") as file:
        Image.fromarray(random.integers(256, size=(9, 12, 3), dtype=np.uint8)).save(file, "PNG")


def pictures(folder: Path, *classes: str, count: int = 4) -> None:
    for name in classes or ("cat", "dog"):
        for number in range(count):
            picture(folder / name / f"{number}.png")


def counts(layout: Layout) -> dict[str, dict[str, int]]:
    return {name: {key: len(names) for key, names in files.items()} for name, files in layout.sets.items()}


def skipped(layout: Layout) -> dict[str, int]:
    return {one.reason: one.count for one in layout.inventory.skipped}


def loaded(root: Path, **values: object):
    settings = {"name": "image-folder", "root": str(root), "image_size": 8, **values}
    return load_dataset(DataSettings.parse(settings), default_root=root.with_name(f"{root.name}-data"))


class TestSets:
    @pytest.mark.parametrize(
        ("train", "validation", "test"),
        [
            ("train", "valid", "test"),
            ("Train", "Val", "Test"),
            ("TRAINING", "validation", "TESTING"),
            ("training_set", "dev", "test_set"),
            ("train2017", "val2017", "test2017"),
            ("trainset", "eval", "testset"),
            ("TrainImages", "ValImages", "TestImages"),
            ("seg_train/seg_train", "seg_val/seg_val", "seg_test/seg_test"),
            ("flowers-train", "flowers-val", "flowers-test"),
            ("train/images", "val/images", "test/images"),
        ],
    )
    def test_sets_are_found_under_any_usual_name(self, tmp_path, train, validation, test):
        for folder, count in ((train, 4), (validation, 2), (test, 3)):
            pictures(tmp_path / folder, count=count)
        layout = find_layout(tmp_path)
        assert counts(layout) == {
            "training": {"cat": 4, "dog": 4},
            "validation": {"cat": 2, "dog": 2},
            "test": {"cat": 3, "dog": 3},
        }
        assert layout.inventory.folders == {"training": train, "validation": validation, "test": test}
        assert layout.inventory.skipped == ()

    def test_a_class_may_be_called_train_but_no_class_looks_like_another_set(self, tmp_path):
        pictures(tmp_path / "vehicles", "car", "train")
        assert list(find_layout(tmp_path / "vehicles").sets["training"]) == ["car", "train"]
        pictures(tmp_path / "pets", "cat", "dog", "Test")
        with pytest.raises(DataError, match=r"Test' looks like the test set, but .* no folder of the training set"):
            find_layout(tmp_path / "pets")

    def test_flat_sets_are_not_two_classes(self, tmp_path):
        pictures(tmp_path, "train", "test")
        with pytest.raises(DataError, match=r"train' must hold at least 2 folders .* holds 0 and 4 pictures outside"):
            find_layout(tmp_path)

    def test_a_set_without_labels_is_skipped_and_told(self, tmp_path):
        pictures(tmp_path / "train")
        pictures(tmp_path, "test1", "unlabelled")
        layout = find_layout(tmp_path)
        assert list(layout.sets) == ["training"]
        assert skipped(layout) == {
            "folders of a set without folders of classes in them, hence without labels": 1,
            "folders beside those of the sets": 1,
        }

    def test_two_folders_of_one_set_are_an_error(self, tmp_path):
        for name in ("train", "val", "valid"):
            pictures(tmp_path / name)
        with pytest.raises(DataError, match=r"'val' and 'valid' .* both look like the validation set; keep one"):
            find_layout(tmp_path)

    def test_sets_inside_the_classes_are_an_error(self, tmp_path):
        for name in ("cat", "dog"):
            pictures(tmp_path / name, "train", "test")
        with pytest.raises(DataError, match=r"cat' holds the sets test and training; put the sets outside"):
            find_layout(tmp_path)

    def test_a_class_that_one_set_lacks_is_named(self, tmp_path):
        pictures(tmp_path / "train", "cat", "dog", "owl")
        pictures(tmp_path / "valid", "cat", "dog")
        with pytest.raises(DataError, match=r"valid' must have folders for the same classes.* has 'owl'; rename"):
            find_layout(tmp_path)


class TestNoClasses:
    def test_images_beside_annotations_are_no_classes(self, tmp_path):
        pictures(tmp_path, "images")
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "0.xml").write_text("<a/>")
        remedy = r"images' beside 'annotations' looks like the folder of all pictures.*; sort the pictures into one"
        with pytest.raises(DataError, match=remedy):
            find_layout(tmp_path)

    def test_classes_one_folder_deeper_are_named_as_the_remedy(self, tmp_path):
        pictures(tmp_path / "images")
        pictures(tmp_path, "masks")
        with pytest.raises(DataError, match=r"images' beside 'masks' .*; set `data.root` to '.*/images'"):
            find_layout(tmp_path)
        pictures(tmp_path / "zipped" / "pets")
        with pytest.raises(DataError, match=r"holds 1; .* set `data.root` to '.*/zipped/pets'"):
            find_layout(tmp_path / "zipped")

    def test_masks_beside_the_pictures_of_a_class_are_skipped(self, tmp_path):
        for name in ("cat", "dog"):
            pictures(tmp_path / name, "images", "masks")
        layout = find_layout(tmp_path)
        assert counts(layout) == {"training": {"cat": 4, "dog": 4}}
        assert skipped(layout) == {"folders that belong to pictures, such as annotations": 2}

    def test_folders_of_tools_are_skipped_wherever_they_lie(self, tmp_path):
        pictures(tmp_path)
        for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX", "#recycle"):
            pictures(tmp_path, name)
            pictures(tmp_path / "cat", name)
        (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")
        (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
        (tmp_path / "cat" / "notes.txt").write_text("x")
        picture(tmp_path / "loose.png")
        layout = find_layout(tmp_path)
        assert counts(layout) == {"training": {"cat": 4, "dog": 4}}
        assert skipped(layout) == {
            "hidden files and folders, and those of tools": 10,
            "files that are no pictures by their suffix": 1,
            "pictures outside the folders of classes": 1,
        }


class TestSuffixes:
    @pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".avif", ".jp2", ".pbm", ".webp", ".tiff"])
    def test_all_that_pillow_can_read_is_used(self, tmp_path, suffix):
        pictures(tmp_path)
        Image.new("RGB", (9, 9), "red").convert("1" if suffix == ".pbm" else "RGB").save(tmp_path / f"cat/x{suffix}")
        assert counts(find_layout(tmp_path)) == {"training": {"cat": 5, "dog": 4}}
        dataset = loaded(tmp_path)
        assert sum(map(len, (dataset.pool, dataset.validation, dataset.test))) == 9

    def test_what_this_pillow_cannot_read_is_told_with_the_remedy(self, tmp_path):
        try:
            import pillow_heif  # noqa: F401

            pytest.skip("pillow-heif reads it")
        except ImportError:
            pass
        pictures(tmp_path)
        heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
        (tmp_path / "cat" / "IMG_1.HEIC").write_bytes(heic)
        assert skipped(find_layout(tmp_path)) == {
            "pictures in the format HEIC, which need `pip install pillow-heif`": 1
        }
        (tmp_path / "dog" / "IMG_2.jpg").write_bytes(heic)
        with pytest.raises(DataError, match=r"(?s)1 of 9 .*IMG_2\.jpg': it is in the format HEIC; pip install"):
            loaded(tmp_path)


class TestLinks:
    def test_links_to_pictures_and_folders_are_followed(self, tmp_path):
        pictures(tmp_path / "elsewhere", "dog", "more")
        pictures(tmp_path / "pets", "cat")
        (tmp_path / "pets" / "dog").symlink_to(tmp_path / "elsewhere" / "dog")
        (tmp_path / "pets" / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "more")
        (tmp_path / "pets" / "cat" / "link.png").symlink_to("0.png")
        layout = find_layout(tmp_path / "pets")
        assert counts(layout) == {"training": {"cat": 9, "dog": 4}}
        assert layout.inventory.skipped == ()

    def test_links_in_a_circle_and_to_nowhere_are_skipped_and_told(self, tmp_path):
        pictures(tmp_path)
        (tmp_path / "cat" / "again").symlink_to(tmp_path)
        (tmp_path / "dog" / "gone.png").symlink_to("nowhere.png")
        (tmp_path / "fish").symlink_to("nowhere")
        layout = find_layout(tmp_path)
        assert counts(layout) == {"training": {"cat": 4, "dog": 4}}
        assert skipped(layout) == {"links to a folder that they lie in": 1, "links that lead nowhere": 2}


class TestSpellings:
    def test_one_class_in_two_normal_forms_is_one_class(self, tmp_path):
        composed, decomposed = (unicodedata.normalize(form, "éclair") for form in ("NFC", "NFD"))
        pictures(tmp_path / "train", "cake", composed)
        pictures(tmp_path / "test", "cake", decomposed, count=2)
        assert composed != decomposed
        assert counts(find_layout(tmp_path)) == {
            "training": {"cake": 4, composed: 4},
            "test": {"cake": 2, composed: 2},
        }
        pictures(tmp_path / "train", decomposed, count=3)
        layout = find_layout(tmp_path)
        assert sorted(counts(layout)["training"].values()) == [4, 7]
        assert "are one class, spelled in two ways" in layout.inventory.remarks[0]

    def test_latin_1_names_are_read_and_printed(self, tmp_path):
        pictures(tmp_path / "train", "cake", "éclair")
        folder = os.fsencode(tmp_path / "test")
        for name in (b"cake", "éclair".encode("latin-1")):
            for number in range(2):
                picture(os.path.join(folder, name, b"f\xfcr %d.png" % number))
        (tmp_path / "test" / os.fsdecode(b"n\xf6.txt")).write_text("x")
        dataset = loaded(tmp_path, validation_size=2)
        assert dataset.classes == ("cake", "éclair")
        assert np.bincount(dataset.test.labels).tolist() == [2, 2]
        assert "\n".join(dataset.inventory.lines).encode()  # no lone surrogate
        assert dataset.inventory.parse(dataset.inventory.model_dump(mode="json")) == dataset.inventory


class TestInventory:
    def test_the_inventory_says_what_is_used_and_what_is_skipped(self, tmp_path):
        pictures(tmp_path / "train", count=6)
        pictures(tmp_path / "Val", count=3)
        (tmp_path / "train" / "cat" / "bad.png").write_bytes(b"")
        (tmp_path / "train" / "cat" / "a.txt").write_text("x")
        dataset = loaded(tmp_path, skip_bad=True, test_size=2)
        assert dataset.inventory.lines == (
            "sets: training from 'train', validation from 'Val'; test split off the training pictures",
            "training: 10 pictures (cat 5, dog 5)",
            "validation: 6 pictures (cat 3, dog 3)",
            "test: 2 pictures (cat 1, dog 1)",
            "skipped: 1 files that are no pictures by their suffix (train/cat/a.txt)",
            "skipped: 1 pictures that cannot be read (train/cat/bad.png: the file is empty)",
        )

    def test_many_classes_are_summed_up(self, tmp_path):
        for number in range(20):
            pictures(tmp_path, f"class {number:02}", count=3 + number % 2)
        lines = loaded(tmp_path, validation_size=20, test_size=20).inventory.lines
        assert lines[1] == "training: 30 pictures, 1 to 2 in each of 20 classes"

    def test_a_class_absent_from_a_set_is_told_in_one_line(self, tmp_path):
        pictures(tmp_path, "cat", "dog", count=40)
        pictures(tmp_path, "owl", count=2)
        remarks = loaded(tmp_path, validation_size=4, test_size=4).inventory.remarks
        assert remarks == tuple(
            f"the {name} set has no picture of the class 'owl', so it does not judge it; add pictures, or raise"
            f" `data.{name}_size`"
            for name in ("validation", "test")
        )

    def test_a_class_of_which_nothing_can_be_read_is_an_error(self, tmp_path):
        pictures(tmp_path)
        for path in (tmp_path / "dog").iterdir():
            path.write_bytes(b"<html>")
        with pytest.raises(DataError, match=r"(?s)4 of 8 .*0\.png': it is a text.*3\.png': it is a text"):
            loaded(tmp_path)
        with pytest.raises(DataError, match=r"no picture of class 'dog' in the training set can be read"):
            loaded(tmp_path, skip_bad=True)

    def test_doubles_in_two_sets_and_pictures_of_one_colour_are_told(self, tmp_path):
        pictures(tmp_path / "train")
        pictures(tmp_path / "test")
        picture(tmp_path / "train/cat/double.png", seed=1)
        picture(tmp_path / "test/dog/double.png", seed=1)
        Image.new("RGB", (9, 9), "blue").save(tmp_path / "train/dog/blue.png")
        assert loaded(tmp_path, validation_size=2).inventory.remarks[-2:] == (
            "1 pictures are of one colour only; look at some of them",
            "1 of the 9 test pictures are also among the training or validation pictures, so scores on the test set are"
            " too good; remove doubles",
        )


def test_a_class_folder_that_cannot_be_used_is_an_error_before_any_work(tmp_path):
    pictures(tmp_path, "cat", "dog")
    (tmp_path / "fish").mkdir()
    (tmp_path / "fish" / "0.svg").write_text("<svg/>")
    settings = DataSettings(name="image-folder", root=str(tmp_path))
    with pytest.raises(DataError, match=r"fish' holds no picture \(.*\.avif.*\); add some"):
        check_dataset(settings, tmp_path.with_name("data"))
