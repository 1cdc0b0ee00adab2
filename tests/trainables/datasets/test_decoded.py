"""An image folder is decoded once, whatever interrupts it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import numpy as np
import pytest
from PIL import Image

from trainables.datasets.decoded import cache as decoded_cache
from trainables.datasets.decoded import decoded_images, making
from trainables.datasets.decoded.decoding import decode
from trainables.errors import DataError
from trainables.pictures.mapped_images import IMAGES_FILE, RECORDS_FILE

SIZE = 8


@pytest.fixture
def root(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "pets"
    folder.mkdir()
    for index in range(30):
        Image.fromarray(random.integers(256, size=(12, 10, 3), dtype=np.uint8)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "decoded"


@pytest.fixture
def decoded_names(monkeypatch) -> list[str]:
    """Record the pictures that are decoded, in the order of their beginning; a few at a time, so that order matters."""
    names: list[str] = []

    def counted(path: str, size: int, channels: int, depth: int) -> np.ndarray:
        names.append(Path(path).name)
        return decode(path, size, channels, depth)

    monkeypatch.setattr(making, "decode", counted)
    monkeypatch.setattr(making, "_PART_BYTES", 3 * SIZE * SIZE * 3)
    monkeypatch.setattr(making, "_MOST_THREADS", 1)
    return names


def every(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))


def images_of(root: Path, cache: Path, told: list[str] | None = None, channels: int = 3, size: int = SIZE):
    progress = (lambda _: None) if told is None else told.append
    return decoded_images(every(root), root=root, size=size, channels=channels, cache=cache, progress=progress).images


def skipping(root: Path, cache: Path):
    return decoded_images(
        every(root), root=root, size=SIZE, channels=3, cache=cache, progress=lambda _: None, skip_unreadable=True
    )


def expected(root: Path, channels: int = 3) -> np.ndarray:
    return np.stack([decode(str(root / name), SIZE, channels) for name in every(root)])


def blacken_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.is_dir())


def test_pictures_are_decoded_once(root, cache, decoded_names):
    told = []
    first = images_of(root, cache, told)
    assert len(decoded_names) == 30
    np.testing.assert_array_equal(first[:], expected(root))
    del decoded_names[:]
    np.testing.assert_array_equal(images_of(root, cache, told)[:], expected(root))
    assert decoded_names == []
    assert told[-2].startswith("decoded 30 pictures in")
    assert told[-1].startswith("30 decoded pictures found")
    assert len(entries(cache)) == 1


def test_each_size_and_number_of_channels_is_kept_by_itself(root, cache):
    np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
    np.testing.assert_array_equal(images_of(root, cache, channels=1)[:], expected(root, channels=1))
    assert images_of(root, cache, size=5).shape == (30, 3, 5, 5)
    assert len(entries(cache)) == 3


def test_nothing_is_written_to_the_folder_of_pictures(root, cache):
    before = {path: path.stat().st_mtime_ns for path in (root, *root.iterdir())}
    images_of(root, cache)
    assert {path: path.stat().st_mtime_ns for path in (root, *root.iterdir())} == before


def test_records_tell_sums_and_digests_of_the_pixels(root, cache):
    images = images_of(root, cache)
    pixels = expected(root).astype(np.int64)
    np.testing.assert_array_equal(images.records()["sums"][:, :, 0], pixels.sum(axis=(2, 3)))
    np.testing.assert_array_equal(images.records()["sums"][:, :, 1], (pixels**2).sum(axis=(2, 3)))
    (root / "01.png").write_bytes((root / "00.png").read_bytes())
    digests = images_of(root, cache).records()["digest"]
    assert digests[0] == digests[1]
    assert len(np.unique(digests)) == 29


class TestChanges:
    def test_only_what_is_new_or_changed_is_decoded(self, root, cache, decoded_names):
        images_of(root, cache)
        del decoded_names[:]
        Image.fromarray(np.full((9, 9, 3), 7, dtype=np.uint8)).save(root / "03a.png")
        Image.fromarray(np.full((9, 9, 3), 8, dtype=np.uint8)).save(root / "20.png")
        (root / "11.png").unlink()
        told = []
        images = images_of(root, cache, told)
        np.testing.assert_array_equal(images[:], expected(root))
        assert [int(image.mean()) for image in images[np.array([4, 20])]] == [7, 8]
        assert set(decoded_names[:2]) == {"03a.png", "20.png"}
        assert "28 of 30 pictures were decoded before" in told
        assert len(entries(cache)) == 2  # a search may still be reading the older one

    def test_a_new_time_alone_is_a_change(self, root, cache, decoded_names):
        images_of(root, cache)
        del decoded_names[:]
        os.utime(root / "05.png", (1, 1))
        images_of(root, cache)
        assert decoded_names == ["05.png"]

    def test_pictures_of_another_size_are_not_copied(self, root, cache, decoded_names):
        images_of(root, cache)
        del decoded_names[:]
        images_of(root, cache, size=9)
        assert len(decoded_names) == 30

    def test_an_older_picture_that_is_damaged_is_decoded_anew(self, root, cache, decoded_names):
        images_of(root, cache)
        blacken_end(next(cache.glob(f"*/{IMAGES_FILE}")))
        (root / "00.png").unlink()
        del decoded_names[:]
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert decoded_names == ["29.png"]


class TestInterruptions:
    def test_a_killed_decoding_goes_on(self, root, cache, decoded_names):
        code = (
            "import sys, os; from pathlib import Path; from trainables.datasets.decoded import appending, cache\n"
            "from trainables.datasets.decoded import making as pc\n"
            "pc._PART_BYTES = appending._KEPT_EVERY = 3 * 8 * 8 * 3; pc._MOST_THREADS = 1; whole = pc.decode\n"
            "def slow(path, *rest):\n"
            "    if path.endswith('15.png'): print('here', flush=True); sys.stdin.read()\n"
            "    return whole(path, *rest)\n"
            "pc.decode = slow; root = Path(sys.argv[1]); names = sorted(path.name for path in root.iterdir())\n"
            "cache.decoded_images(names, root=root, size=8, channels=3, cache=Path(sys.argv[2]), progress=print)\n"
        )
        command = [sys.executable, "-c", code, str(root), str(cache)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"here\n"
            child.send_signal(signal.SIGKILL)
        assert [name.endswith(".part") for name in entries(cache)] == [True]
        told = []
        np.testing.assert_array_equal(images_of(root, cache, told)[:], expected(root))
        assert 10 < len(decoded_names) < 25  # some were kept, but not the one at which it was killed
        assert decoded_names[-1] == "29.png"
        assert f"{30 - len(decoded_names)} of 30 pictures were decoded before" in told
        assert [name.endswith(".part") for name in entries(cache)] == [False]

    def test_what_is_done_is_safe_when_the_listener_ends_it(self, root, cache, decoded_names, monkeypatch):
        monkeypatch.setattr(making, "_REPORT_SECONDS", 0.0)

        def impatient(text: str) -> None:
            if "decoded 50%" in text:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            decoded_images(every(root), root=root, size=SIZE, channels=3, cache=cache, progress=impatient)
        del decoded_names[:]
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert decoded_names == [f"{number}.png" for number in range(15, 30)]

    @pytest.mark.parametrize("file", [IMAGES_FILE, RECORDS_FILE])
    def test_a_torn_end_is_cut_off(self, root, cache, decoded_names, file):
        """A power cut may leave half a picture, or half a record."""
        images_of(root, cache)
        entry = cache / entries(cache)[0]
        part = entry.rename(entry.with_name(f"{entry.name}.part"))
        with (part / file).open("r+b") as opened:
            opened.truncate((part / file).stat().st_size - 5)
        del decoded_names[:]
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert decoded_names == ["29.png"]

    def test_who_comes_second_waits_and_decodes_nothing(self, root, cache, decoded_names, monkeypatch):
        monkeypatch.setattr(decoded_cache, "_WAIT_SECONDS", 0.05)
        images_of(root, cache)
        entry = cache / entries(cache)[0]
        part = entry.rename(entry.with_name(f"{entry.name}.part"))
        del decoded_names[:]
        told: list[str] = []
        found: list[np.ndarray] = []
        with filelock.FileLock(cache / f".{entry.name}.lock"):  # another process is decoding
            second = threading.Thread(target=lambda: found.append(images_of(root, cache, told)[:]))
            second.start()
            deadline = time.monotonic() + 20
            while not told and time.monotonic() < deadline:
                time.sleep(0.01)
            assert told == ["another process is decoding these pictures; waiting for it"]
            part.rename(entry)
        second.join(20)
        np.testing.assert_array_equal(found[0], expected(root))
        assert decoded_names == []


class TestDamage:
    @pytest.mark.parametrize(
        ("harm", "message"),
        [
            (lambda entry: os.truncate(entry / IMAGES_FILE, 2000), r"it holds \d+ of 30 pictures"),
            (lambda entry: (entry / RECORDS_FILE).unlink(), "No such file"),
            (lambda entry: (entry / RECORDS_FILE).write_bytes(b"nonsense"), "magic"),
            (lambda entry: (entry / "about.json").write_text("{}"), "format"),
            (lambda entry: blacken_end(entry / IMAGES_FILE), "pixels"),
        ],
    )
    def test_a_damaged_entry_is_told_and_made_anew(self, root, cache, harm, message):
        images_of(root, cache)
        harm(cache / entries(cache)[0])
        told = []
        np.testing.assert_array_equal(images_of(root, cache, told)[:], expected(root))
        assert any(re.search(f"are damaged .*{message}", text) for text in told)
        np.testing.assert_array_equal(images_of(root, cache, told := [])[:], expected(root))
        assert not any("are damaged" in text for text in told)

    def test_all_unreadable_pictures_are_named_and_the_rest_need_not_be_decoded_again(self, root, cache, decoded_names):
        for name in ("04.png", "17.png"):
            (root / name).write_bytes(b"no picture")
        told = r"(?s)2 of 30 pictures cannot be read:\n  '.*04\.png': it is no.*\n  '.*17\.png': it is no.*--skip"
        with pytest.raises(DataError, match=told):
            images_of(root, cache)
        del decoded_names[:]
        with pytest.raises(DataError, match=r"04\.png"):  # the files are still broken
            images_of(root, cache)
        for name in ("04.png", "17.png"):
            (root / name).unlink()
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert decoded_names == []

    def test_unreadable_pictures_are_skipped_where_that_is_asked_for(self, root, cache, decoded_names):
        whole = expected(root)
        (root / "04.png").write_bytes(b"")
        for calls in (30, 0):  # the second time nothing is decoded
            del decoded_names[:]
            found = skipping(root, cache)
            assert dict(found.unreadable) == {4: "the file is empty"}
            np.testing.assert_array_equal(found.images[:], np.delete(whole, 4, axis=0))
            assert len(decoded_names) == calls
        assert len(entries(cache)) == 1

    def test_a_file_that_can_be_decoded_after_all_is_used(self, root, cache, decoded_names, monkeypatch):
        whole = making.decode

        def old_pillow(path, *rest):
            if path.endswith("04.png"):
                raise DataError("a format of tomorrow")
            return whole(path, *rest)

        monkeypatch.setattr(making, "decode", old_pillow)
        assert len(skipping(root, cache).images) == 29
        monkeypatch.setattr(making, "decode", whole)
        del decoded_names[:]
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert decoded_names == ["04.png"]
        assert len(entries(cache)) == 1

    def test_a_folder_of_rubbish_is_told_in_a_hundred_lines(self, root, cache, decoded_names, monkeypatch):
        monkeypatch.setattr(decoded_cache, "_MOST_NAMED", 10)
        for name in every(root):
            (root / name).write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"30 of 30 pictures") as raised:
            images_of(root, cache)
        assert len(str(raised.value).splitlines()) == 13
        assert "\n  and 20 more\n" in str(raised.value)

    def test_an_entry_of_an_earlier_release_is_not_used(self, root, cache, decoded_names):
        """Its name holds another version, and pictures are not copied from it."""
        images_of(root, cache)
        entry = cache / entries(cache)[0]
        about = json.loads((entry / "about.json").read_text())
        (entry / "about.json").write_text(json.dumps({**about, "format": 1}))
        entry.rename(cache / "pets-8x8x3-0123456789abcdef0123456789abcdef")
        del decoded_names[:]
        np.testing.assert_array_equal(images_of(root, cache)[:], expected(root))
        assert len(decoded_names) == 30


class TestDepth:
    @pytest.mark.parametrize(("bits", "depth"), [(8, 8), (10, 10), (12, 12), (16, 16)])
    def test_pictures_of_16_bits_are_scaled_by_the_depth_that_the_folder_uses(self, root, cache, bits, depth):
        bright = np.full((12, 10), 2**bits - 1, dtype=np.uint16)
        Image.fromarray(bright).save(root / "03.png")
        Image.fromarray(bright // 2).save(root / "04.png")
        found = decoded_images(every(root), root=root, size=SIZE, channels=1, cache=cache, progress=lambda _: None)
        assert (found.depth, found.deep) == (depth, 2)
        assert [int(image.max()) for image in found.images[3:5]] == [255, 127]

    def test_another_depth_is_decoded_anew_and_other_pictures_are_copied(self, root, cache, decoded_names):
        Image.fromarray(np.full((12, 10), 255, dtype=np.uint16)).save(root / "03.png")
        assert images_of(root, cache)[:][3].max() == 255
        Image.fromarray(np.full((12, 10), 4095, dtype=np.uint16)).save(root / "04.png")
        del decoded_names[:]
        images = images_of(root, cache)[:]
        assert decoded_names == ["03.png", "04.png"]
        assert [int(images[place].max()) for place in (3, 4)] == [15, 255]


def test_too_little_room_is_told_before_anything_is_decoded(root, cache, decoded_names, monkeypatch):
    usage = type("Usage", (), {"free": 3000})
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"30 pictures of 8×8 pixels take .* GB .* has 0\.0 GB free; make room, lower"):
        images_of(root, cache)
    assert decoded_names == []


def test_a_place_that_cannot_be_written_is_told(root, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be kept in '.*file/decoded' .*name another place with --data-root"):
        images_of(root, tmp_path / "file" / "decoded")


def test_progress_tells_share_rate_and_time_left(root, cache, decoded_names, monkeypatch):
    monkeypatch.setattr(making, "_REPORT_SECONDS", 0.0)
    told = []
    images_of(root, cache, told)
    assert len(told) == 11  # ten parts of three pictures
    assert told[0].startswith("decoded 10% of 30 pictures, ")
    assert told[0].endswith(" s left")
