"""Decodes the pictures of a folder once and keeps them in one file of pixels, which any number of processes map.

    <cache>/birds-64x64x3-1f2e3d4c5b6a7988/images.npy, records.npy, about.json

An entry's name holds a digest of all that it depends on: names, sizes and times of the files, and the size and channels
asked for. An unfinished entry is called `….part`. Pictures and records are appended to it as they are decoded, so that
an interrupted process can be resumed from there. A finished entry gets its name. If pictures of a folder were added or
changed, only these are decoded; the others are copied from older entries. Files that cannot be decoded keep an empty
place, and `about.json` says why; each later use tries them again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np

from trainables.datasets.decoded.decoding import decode
from trainables.datasets.decoded.entry import Task, digest_of, identities, map_entry, read_about
from trainables.datasets.decoded.making import make
from trainables.datasets.source import Progress
from trainables.errors import DataError
from trainables.pictures import MappedImages

_MOST_NAMED = 100  # files that an error names
_LOOKED_AT = 64  # pictures of an entry that are compared with their digests before it is used
_WAIT_SECONDS = 1.0


class Decoded(NamedTuple):
    """The pictures of a folder, decoded."""

    images: MappedImages
    """uint8 [N, K, size, size]; a file that cannot be decoded has no picture among them."""
    unreadable: Mapping[int, str]
    """The places in the list of names of files that cannot be decoded, with the reason."""
    depth: int
    """The bits that are used of pictures of 16 bits a channel."""
    deep: int
    """The number of pictures of 16 bits a channel."""


def decoded_images(
    names: Sequence[str],
    *,
    root: Path,
    size: int,
    channels: int,
    cache: Path,
    progress: Progress,
    skip_unreadable: bool = False,
) -> Decoded:
    """Return the pictures of a folder as square arrays, from the cache or decoded into it.

    Args:
        names: names of the picture files within `root`.
        root: the folder; it is only read.
        size: height and width.
        channels: K, 1 or 3.
        cache: folder of entries, made if it does not exist.
        progress: called with a line of text about slow work.
        skip_unreadable: whether files that cannot be decoded are left out; by default they are an error.

    Raises:
        DataError: pictures cannot be read, or there is no room for them.
    """
    task = Task(names, identities(names, root), root.absolute(), size, channels)
    entry = (cache / task.name).absolute()
    if _is_sound(entry, task, progress):
        progress(f"{len(names):,} decoded pictures found in {str(entry)!r}")
    else:
        with _writing(cache):
            cache.mkdir(parents=True, exist_ok=True)
            with _alone(entry, progress):
                if not _is_sound(entry, task, progress):  # the process that held the lock may have made it
                    make(entry, task, progress)
    about = read_about(entry)
    if about.unreadable and not skip_unreadable:
        raise DataError(_named(about.unreadable, task))
    readable = np.delete(np.arange(len(names)), list(about.unreadable))
    return Decoded(MappedImages(str(entry), readable), about.unreadable, about.depth, about.deep)


def _named(unreadable: Mapping[int, str], task: Task) -> str:
    lines = [f"  {f'{task.root}/{task.names[place]}'!r}: {reason}" for place, reason in unreadable.items()]
    if len(lines) > _MOST_NAMED:
        lines[_MOST_NAMED:] = [f"  and {len(lines) - _MOST_NAMED:,} more"]
    total = f"{len(unreadable):,} of {len(task.names):,} pictures"
    return "\n".join(
        (
            f"{total} cannot be read:",
            *lines,
            "Replace or remove them, or skip them with --skip-bad (`data.skip_bad` = true).",
        )
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


def _is_sound(entry: Path, task: Task, progress: Progress) -> bool:
    """Tell whether an entry exists and is whole. A damaged one is reported and removed."""
    if not entry.is_dir():
        return False
    try:
        images, records, about = map_entry(entry, task)
        readable = np.ones(len(task.names), dtype=bool)
        readable[list(about.unreadable)] = False
        if len(records) != len(task.names) or not np.array_equal(records["source"][readable], task.sources[readable]):
            raise ValueError(f"it holds {len(records):,} of {len(task.names):,} pictures")
        rows = np.flatnonzero(readable)
        some = rows[np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(np.int64)]
        if any(digest_of(images[row]) != records["digest"][row].tobytes() for row in some):
            raise ValueError("pixels have changed")
    except (OSError, ValueError, KeyError) as error:
        progress(f"the decoded pictures in {str(entry)!r} are damaged ({error}); they are decoded again")
        with _writing(entry.parent):
            shutil.rmtree(entry)
        return False
    return not any(_can_be_read(task, place, about.depth) for place in about.unreadable)


def _can_be_read(task: Task, place: int, depth: int) -> bool:
    """Tell whether a file can be decoded that could not be before, as after a new release of Pillow."""
    try:
        decode(f"{task.root}/{task.names[place]}", task.size, task.channels, depth)
    except DataError:
        return False
    return True
