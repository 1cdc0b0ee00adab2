"""Decodes the pictures of a folder once and keeps them in one file of pixels, which any number of processes map.

    <cache>/birds-64x64x3-1f2e3d4c5b6a7988/images.npy, records.npy, about.json

An entry's name holds a digest of all that it depends on: names, sizes and times of the files, and the size and channels
asked for. An unfinished entry is called `….part`. Pictures and records are appended to it as they are decoded, so that
an interrupted process can be resumed from there. A finished entry gets its name. If pictures of a folder were added or
changed, only these are decoded; the others are copied from older entries.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import filelock
import numpy as np
import numpy.typing as npt

from trainables.datasets.decoding import decode
from trainables.datasets.source import Progress
from trainables.errors import DataError
from trainables.pictures import IMAGES_FILE, RECORDS_FILE, MappedImages, map_array, record_type

_FORMAT = 1  # version of entries and of the decoding; part of the entries' names
_ABOUT_FILE = "about.json"
_PART_BYTES = 2**21  # bytes of decoded pictures that one thread decodes at a time
_KEPT_EVERY = 2**26  # bytes of decoded pictures between two syncs to the disk
_MOST_THREADS = 16
_MOST_UNREADABLE = 20
_LOOKED_AT = 64  # pictures of an entry that are compared with their digests before it is used
_REPORT_SECONDS = 5.0
_WAIT_SECONDS = 1.0


def decoded_images(
    names: Sequence[str], *, root: Path, size: int, channels: int, cache: Path, progress: Progress
) -> MappedImages:
    """Return the pictures of a folder as square arrays, [N, K, size, size], from the cache or decoded into it.

    Args:
        names: names of the picture files within `root`, N of them.
        root: the folder; it is only read.
        size: height and width.
        channels: K, 1 or 3.
        cache: folder of entries, made if it does not exist.
        progress: called with a line of text about slow work.

    Raises:
        DataError: pictures cannot be read, or there is no room for them.
    """
    task = _Task(names, _identities(names, root), root.absolute(), size, channels)
    entry = (cache / task.name).absolute()
    if _is_sound(entry, task, progress):
        progress(f"{len(names):,} decoded pictures found in {str(entry)!r}")
    else:
        with _writing(cache):
            cache.mkdir(parents=True, exist_ok=True)
            with _alone(entry, progress):
                if not _is_sound(entry, task, progress):  # the process that held the lock may have made it
                    _make(entry, task, progress)
    return MappedImages(str(entry), np.arange(len(names)))


class _Task(NamedTuple):
    """The pictures of an entry, and the form in which they are decoded."""

    names: Sequence[str]
    sources: npt.NDArray[np.void]
    """The files' identities, 16 bytes each, [N]."""
    root: Path
    size: int
    channels: int

    @property
    def picture_bytes(self) -> int:
        return self.channels * self.size**2

    @property
    def record_type(self) -> np.dtype[np.void]:
        return record_type(self.channels)

    @property
    def images_shape(self) -> tuple[int, int, int, int]:
        return len(self.names), self.channels, self.size, self.size

    @property
    def form(self) -> str:
        """The part of the name that is the same in all entries that pictures can be copied from."""
        return f"{self.size}x{self.size}x{self.channels}"

    @property
    def name(self) -> str:
        digest = hashlib.sha256(f"{_FORMAT} {self.size} {self.channels} ".encode() + self.sources.tobytes())
        return f"{self.root.name[:80]}-{self.form}-{digest.hexdigest()[:32]}"


def _identities(names: Sequence[str], root: Path) -> npt.NDArray[np.void]:
    folder = str(root)
    digests = bytearray()
    for name in names:
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError as error:
            raise DataError(f"the picture {f'{folder}/{name}'!r} cannot be read ({error.strerror}).") from error
        text = f"{name}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        digests += hashlib.blake2b(text, digest_size=16).digest()
    return np.frombuffer(bytes(digests), dtype="V16")


class _Kept(NamedTuple):
    """The mapped contents of a folder of the cache; of an unfinished entry, the pictures that have a record."""

    images: npt.NDArray[np.uint8]
    records: npt.NDArray[np.void]


def _kept(folder: Path, task: _Task) -> _Kept:
    """Map a folder of the cache. Raises OSError, ValueError or KeyError if it is not sound or of another form."""
    if json.loads((folder / _ABOUT_FILE).read_text(encoding="utf-8"))["format"] != _FORMAT:
        raise ValueError("it has another version")
    images = map_array(str(folder / IMAGES_FILE), np.dtype(np.uint8)).array
    records = map_array(str(folder / RECORDS_FILE), task.record_type).array
    if images.shape[1:] != task.images_shape[1:]:
        raise ValueError(f"its pictures are {images.shape[1:]}")
    count = min(len(images), len(records))
    return _Kept(images[:count], records[:count])


def _is_sound(entry: Path, task: _Task, progress: Progress) -> bool:
    """Tell whether an entry exists and is whole. A damaged one is reported and removed."""
    if not entry.is_dir():
        return False
    try:
        images, records = _kept(entry, task)
        if not np.array_equal(records["source"], task.sources):
            raise ValueError(f"it holds {len(records):,} of {len(task.names):,} pictures")
        some = np.linspace(0, len(records) - 1, min(_LOOKED_AT, len(records))).astype(np.int64)
        if any(_digest(images[row]) != records["digest"][row].tobytes() for row in some):
            raise ValueError("pixels have changed")
    except (OSError, ValueError, KeyError) as error:
        progress(f"the decoded pictures in {str(entry)!r} are damaged ({error}); they are decoded again")
        with _writing(entry.parent):
            shutil.rmtree(entry)
        return False
    return True


def _digest(image: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def _make(entry: Path, task: _Task, progress: Progress) -> None:
    """Decode the pictures that an interrupted process has not, and give the entry its name."""
    began = time.monotonic()
    part = entry.with_name(f"{entry.name}.part")
    with _Appender(part, task) as appender:
        _check_room(entry.parent, task, appender.count)
        earlier = _Earlier(task, [folder for folder in entry.parent.glob(f"*-{task.form}-*") if folder != part])
        if known := appender.count + earlier.count_from(appender.count):
            progress(f"{known:,} of {len(task.names):,} pictures were decoded before")
        clock = _Clock(len(task.names), appender.count, progress)
        unreadable: list[str] = []
        for done in _decode_in_order(task, earlier, appender.count):
            unreadable += done.unreadable
            if len(unreadable) >= _MOST_UNREADABLE:
                break
            appender.append(done)
            clock.report(len(done.records))
        if unreadable:
            raise DataError("\n".join(unreadable))
    part.rename(entry)
    progress(f"decoded {len(task.names):,} pictures in {_duration(time.monotonic() - began)}; kept in {str(entry)!r}")


class _Earlier:
    """Pictures of other entries, made of the same folder before pictures were added, changed or removed."""

    def __init__(self, task: _Task, folders: Sequence[Path]) -> None:
        self._kept: list[_Kept] = []
        self._places = np.full((len(task.names), 2), -1)  # which entry, which row
        for folder in sorted(folders):
            try:
                kept = _kept(folder, task)
            except (OSError, ValueError, KeyError):
                continue
            _, wanted, rows = np.intersect1d(task.sources, kept.records["source"], return_indices=True)
            self._places[wanted, 0], self._places[wanted, 1] = len(self._kept), rows
            self._kept.append(kept)

    def count_from(self, begin: int) -> int:
        """Count the known pictures from picture `begin` on."""
        return int((self._places[begin:, 0] >= 0).sum())

    def copy(self, picture: int, target: npt.NDArray[np.uint8]) -> bool:
        """Copy a picture to `target`, [K, size, size]; return True if it is known and matches its digest."""
        number, row = self._places[picture].tolist()
        if number < 0:
            return False
        images, records = self._kept[number]
        target[:] = images[row]
        return _digest(target) == bytes(records["digest"][row])


class _Decoded(NamedTuple):
    """Consecutive decoded pictures."""

    images: npt.NDArray[np.uint8]
    """[n, K, size, size]"""
    records: npt.NDArray[np.void]
    """[n]; all zero for a picture that cannot be read."""
    unreadable: list[str]
    """Messages about the pictures that cannot be read."""


def _decode_in_order(task: _Task, earlier: _Earlier, begin: int) -> Iterator[_Decoded]:
    """Yield the pictures from `begin` on; several threads decode them, a little ahead of the caller."""
    step = max(1, _PART_BYTES // task.picture_bytes)
    threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
    # Threads, because Pillow releases the interpreter's lock while it decodes and scales.
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decoding")
    waiting: deque[Future[_Decoded]] = deque()
    try:
        for start in range(begin, len(task.names), step):
            waiting.append(pool.submit(_decode_some, task, earlier, start, start + step))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_some(task: _Task, earlier: _Earlier, start: int, stop: int) -> _Decoded:
    names = task.names[start:stop]
    images = np.zeros((len(names), *task.images_shape[1:]), dtype=np.uint8)
    records = np.zeros(len(names), dtype=task.record_type)
    unreadable = []
    for place, name in enumerate(names):
        try:
            if not earlier.copy(start + place, images[place]):
                images[place] = decode(f"{task.root}/{name}", task.size, task.channels)
        except DataError as error:
            unreadable.append(str(error))
            continue
        records["source"][place] = task.sources[start + place]
        records["digest"][place] = np.void(_digest(images[place]))
    flat = images.reshape(len(names), task.channels, -1)
    records["sums"][:, :, 0] = flat.sum(axis=2, dtype=np.int64)
    records["sums"][:, :, 1] = np.square(flat, dtype=np.uint16).sum(axis=2, dtype=np.int64)
    return _Decoded(images, records, unreadable)


class _Appender:
    """Appends to the two files of an unfinished entry. Pictures with a record are on the disk, also after a power cut.

    Both files begin with the header of the finished file, so that they are sound when all is written.
    """

    def __init__(self, part: Path, task: _Task) -> None:
        part.mkdir(exist_ok=True)
        about = {"format": _FORMAT, "root": str(task.root), "pictures": len(task.names), "form": task.form}
        (part / _ABOUT_FILE).write_text(json.dumps(about, indent=2), encoding="utf-8")
        self._images = _open(part / IMAGES_FILE, np.dtype(np.uint8), task.images_shape)
        self._records = _open(part / RECORDS_FILE, task.record_type, task.images_shape[:1])
        self._type = task.record_type
        self._picture_bytes = task.picture_bytes
        self._pending: list[bytes] = []
        self._unsafe = 0
        self.count = self._rewind()

    def __enter__(self) -> _Appender:
        return self

    def __exit__(self, *problem: object) -> None:
        """Keep what was decoded, also after an error or an interruption."""
        try:
            self._make_safe()
        finally:
            self._images.file.close()
            self._records.file.close()

    def append(self, decoded: _Decoded) -> None:
        """Add pictures after the last; now and then, sync them to the disk."""
        self._images.file.write(decoded.images.data)
        self._pending.append(decoded.records.tobytes())
        self.count += len(decoded.records)
        self._unsafe += decoded.images.nbytes
        if self._unsafe >= _KEPT_EVERY:
            self._make_safe()

    def _make_safe(self) -> None:
        """Sync both files to the disk, records last: a record says that its picture is there."""
        _sync(self._images.file)
        self._records.file.write(b"".join(self._pending))
        _sync(self._records.file)
        self._pending, self._unsafe = [], 0

    def _rewind(self) -> int:
        """Cut both files after the last sound picture; return the number of sound pictures."""
        images, records = self._images, self._records
        records.file.seek(records.begin)
        known = records.file.read()
        known_records = np.frombuffer(known, self._type, count=len(known) // self._type.itemsize)
        read = known_records["source"] != np.zeros(1, "V16")
        count = min(int(read.argmin()) if not read.all() else len(read), images.length // self._picture_bytes)
        images.cut(count * self._picture_bytes)
        records.cut(count * self._type.itemsize)
        return count


class _Growing(NamedTuple):
    """An `.npy` file that is being written."""

    file: BinaryIO
    begin: int
    """The length of its header in bytes."""

    @property
    def length(self) -> int:
        return os.fstat(self.file.fileno()).st_size - self.begin

    def cut(self, length: int) -> None:
        self.file.truncate(self.begin + length)
        self.file.seek(self.begin + length)


def _open(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> _Growing:
    """Open a file for writing and write its header; contents that are there already stay."""
    path.touch()
    file = path.open("r+b")
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, content)
    file.flush()
    return _Growing(file, file.tell())


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


class _Clock:
    """Reports every few seconds how far the decoding is."""

    def __init__(self, pictures: int, before: int, progress: Progress) -> None:
        self._pictures, self._before, self._done = pictures, before, before
        self._progress = progress
        self._began = self._told = time.monotonic()

    def report(self, more: int) -> None:
        """Count `more` pictures as done, and report if a report is due."""
        self._done += more
        now = time.monotonic()
        if now - self._told < _REPORT_SECONDS:
            return
        self._told = now
        rate = (self._done - self._before) / (now - self._began)
        left = _duration((self._pictures - self._done) / rate)
        self._progress(
            f"decoded {self._done / self._pictures:.0%} of {self._pictures:,} pictures, {rate:.0f} per second, about"
            f" {left} left"
        )


def _check_room(cache: Path, task: _Task, done: int) -> None:
    needed = (len(task.names) - done) * (task.picture_bytes + task.record_type.itemsize)
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise DataError(
            f"{len(task.names) - done:,} pictures of {task.size}×{task.size} pixels take {_gigabytes(needed)} when"
            f" decoded, but the disk of {str(cache)!r} has {_gigabytes(free)} free; make room, lower `image_size`, or"
            " name another place with --data-root or KD_SEARCH_DATA."
        )


@contextlib.contextmanager
def _alone(entry: Path, progress: Progress) -> Iterator[None]:
    """Lock an entry within the block; wait while another process makes it."""
    lock = filelock.FileLock(entry.with_name(f".{entry.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        progress("another process is decoding these pictures; waiting for it")
        lock.acquire(poll_interval=_WAIT_SECONDS)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _writing(cache: Path) -> Iterator[None]:
    try:
        yield
    except InterruptedError:  # not an error of the disk: the listener has ended the preparation
        raise
    except OSError as error:
        raise DataError(
            f"decoded pictures cannot be kept in {str(cache)!r} ({error.strerror or error}); make room or make it"
            " writable, or name another place with --data-root or KD_SEARCH_DATA. The pictures decoded so far are kept."
        ) from error


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
