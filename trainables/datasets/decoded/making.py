"""Makes an entry: decodes pictures in several threads, and copies those that an older entry has."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.datasets.decoded.appending import Appender, Part
from trainables.datasets.decoded.decoding import decode
from trainables.datasets.decoded.deep_pictures import FULL_DEPTH, deep_among, depth_of
from trainables.datasets.decoded.entry import Kept, Task, digest_of, map_entry, write_about
from trainables.datasets.source import Progress
from trainables.errors import DataError

_PART_BYTES = 2**21  # bytes of decoded pictures that one thread decodes at a time
_MOST_THREADS = 16
_REPORT_SECONDS = 5.0


def make(entry: Path, task: Task, progress: Progress) -> None:
    """Decode the pictures that an interrupted process has not, and give the entry its name.

    Raises:
        DataError: the disk has too little room.
        OSError: the entry cannot be written.
    """
    began = time.monotonic()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # it warns of damaged EXIF parts and of large scans
    part = entry.with_name(f"{entry.name}.part")
    task = _with_depth(task)
    unreadable: dict[int, str] = {}
    with Appender(part, task) as appender:
        _check_room(entry.parent, task, appender.count)
        earlier = _Earlier(task, [folder for folder in entry.parent.glob(f"*-{task.form}-*") if folder != part])
        if known := appender.count + earlier.count_from(appender.count):
            progress(f"{known:,} of {len(task.names):,} pictures were decoded before")
        clock = _Clock(len(task.names), appender.count, progress)
        for done in _decode_in_order(task, earlier, appender.count):
            unreadable |= done.unreadable
            appender.append(done)
            clock.report(len(done.records))
    write_about(part, task, unreadable)
    if entry.exists():  # files that could not be decoded now can
        shutil.rmtree(entry)
    part.rename(entry)
    progress(f"decoded {len(task.names):,} pictures in {_duration(time.monotonic() - began)}; kept in {str(entry)!r}")


def _with_depth(task: Task) -> Task:
    """Find the depth that the pictures of 16 bits use; it is a function of the files, so the entry's name covers it."""
    paths = [f"{task.root}/{name}" for name in task.names]
    deep = deep_among(paths)
    with ThreadPoolExecutor(max_workers=_threads(), thread_name_prefix="depth") as pool:
        depth = depth_of([paths[place] for place in deep], pool) if deep else FULL_DEPTH
    return task._replace(depth=depth, deep=frozenset(deep))


def _threads() -> int:
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)))


class _Earlier:
    """Pictures of other entries, made of the same folder before pictures were added, changed or removed."""

    def __init__(self, task: Task, folders: Sequence[Path]) -> None:
        self._kept: list[Kept] = []
        self._places = np.full((len(task.names), 2), -1)  # which entry, which row
        for folder in sorted(folders):
            try:
                kept = map_entry(folder, task)
            except (OSError, ValueError, KeyError):
                continue
            _, wanted, rows = np.intersect1d(task.sources, kept.records["source"], return_indices=True)
            if kept.about.depth != task.depth:
                alike = ~np.isin(wanted, list(task.deep))
                wanted, rows = wanted[alike], rows[alike]
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
        images, records, _ = self._kept[number]
        target[:] = images[row]
        return digest_of(target) == bytes(records["digest"][row])


def _decode_in_order(task: Task, earlier: _Earlier, begin: int) -> Iterator[Part]:
    """Yield the pictures from `begin` on; several threads decode them, a little ahead of the caller."""
    step = max(1, _PART_BYTES // task.picture_bytes)
    threads = _threads()
    # Threads, because Pillow releases the interpreter's lock while it decodes and scales.
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decoding")
    waiting: deque[Future[Part]] = deque()
    try:
        for start in range(begin, len(task.names), step):
            waiting.append(pool.submit(_decode_some, task, earlier, start, start + step))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_some(task: Task, earlier: _Earlier, start: int, stop: int) -> Part:
    names = task.names[start:stop]
    images = np.zeros((len(names), *task.images_shape[1:]), dtype=np.uint8)
    records = np.zeros(len(names), dtype=task.record_type)
    unreadable = {}
    for place, name in enumerate(names):
        try:
            if not earlier.copy(start + place, images[place]):
                images[place] = decode(f"{task.root}/{name}", task.size, task.channels, task.depth)
        except DataError as error:
            unreadable[start + place] = str(error)
            continue
        records["source"][place] = task.sources[start + place]
        records["digest"][place] = np.void(digest_of(images[place]))
    flat = images.reshape(len(names), task.channels, -1)
    records["sums"][:, :, 0] = flat.sum(axis=2, dtype=np.int64)
    records["sums"][:, :, 1] = np.square(flat, dtype=np.uint16).sum(axis=2, dtype=np.int64)
    return Part(images, records, unreadable)


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


def _check_room(cache: Path, task: Task, done: int) -> None:
    needed = (len(task.names) - done) * (task.picture_bytes + task.record_type.itemsize)
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise DataError(
            f"{len(task.names) - done:,} pictures of {task.size}×{task.size} pixels take {_gigabytes(needed)} when"
            f" decoded, but the disk of {str(cache)!r} has {_gigabytes(free)} free; make room, lower `image_size`, or"
            " name another place with --data-root or KD_SEARCH_DATA."
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
