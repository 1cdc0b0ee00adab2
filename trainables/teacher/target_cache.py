"""Keeps a teacher's outputs in a file, so that a search resumed, confirmed or begun again need not run the teacher.

V: views of a picture; N: pictures; C: classes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.config import AugmentationSettings
from trainables.datasets import add_images
from trainables.files import whole_file

if TYPE_CHECKING:
    from trainables.pictures import Dataset, Images

Targets = npt.NDArray[np.float32] | npt.NDArray[np.float16]
View = Callable[[int], npt.NDArray[np.float32]]
"""A function that returns the logits of one view, [N, C]."""

_FORMAT = 2  # version of the keys and of the files; raised when the same key would stand for other numbers
_HALF_ABOVE = 2**28
"""The most bytes of outputs that are stored as float32; more are stored as float16."""
_LOWEST = -60_000.0  # float16 ends at 65,504; exp(-60,000) is zero as a probability

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetCache:
    """A folder of outputs, one file for each teacher, set of pictures and augmentation.

    Args:
        folder: the folder of the files, made if it does not exist.
        teacher: the teacher's key.
        weights: the digest of its weights.
        device: the kind of device that the teacher computes on, since the last bits depend on it.
        precision: the precision that it computes in there.
    """

    folder: Path
    teacher: str
    weights: str
    device: str
    precision: str

    def path(self, dataset: Dataset, images: Images, augmentation: AugmentationSettings | None) -> Path:
        """Return the file of a set's outputs; `augmentation` is None if the teacher sees the pictures as they are."""
        seen = None if augmentation is None or not augmentation.active else augmentation.identity
        content = {
            "format": _FORMAT,
            "teacher": self.teacher,
            "weights": self.weights,
            "device": self.device,
            "precision": self.precision,
            "augmentation": seen,
            "normalisation": [dataset.mean.tolist(), dataset.std.tolist()],
            "pictures": list(images.shape),
        }
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
        add_images(digest, images)
        return self.folder / f"{digest.hexdigest()}.npy"


def targets(path: Path | None, shape: tuple[int, int, int], view: View) -> Targets:
    """Return outputs [V, N, C] from a file, or compute them view by view and write them there; read-only from a file.

    Up to 256 MiB they are as the teacher gives them, float32. Above, they are float16 after each picture's highest
    logit was subtracted, which changes none of its probabilities: see `halved`. A file that cannot be read is written
    anew. If it cannot be written, a warning is logged and the outputs are returned without it.

    Args:
        path: the file; None to keep nothing.
        shape: (V, N, C).
        view: computes the outputs of one view.
    """
    half = 4 * math.prod(shape) > _HALF_ABOVE
    kept = None if path is None else _read(path, shape, half=half)
    if kept is not None:
        return kept
    if path is not None:
        try:
            with _written(path, shape, half=half) as found:
                for number in range(shape[0]):
                    found[number] = halved(view(number)) if half else view(number)
        except OSError as error:
            _log.warning("the teacher's outputs cannot be stored in %r (%s)", str(path), error)
        else:
            written = _read(path, shape, half=half)
            if written is not None:
                return written
    if half:
        return np.stack([halved(view(number)) for number in range(shape[0])])
    return np.stack([view(number) for number in range(shape[0])])


def halved(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Subtract each row's highest logit from logits [N, C], in float16: the same probabilities, at any temperature.

    A logit that lies d below the highest is off by at most d·2⁻¹¹. A probability p at temperature T is then off by
    about p·(d/T + m)·2⁻¹¹, where m is the mean of d/T under p. Half of the sum of these differences over the classes is
    below 2⁻¹¹·ln C: 0.0011 for 10 classes, 0.0034 for 1,000, and usually a tenth of it.

    Args:
        logits: finite.
    """
    halves: npt.NDArray[np.float16] = np.maximum(logits - logits.max(axis=1, keepdims=True), _LOWEST).astype(np.float16)
    return halves


def _read(path: Path, shape: tuple[int, int, int], *, half: bool) -> Targets | None:
    """Read outputs from a file; return None if there is no sound file."""
    try:
        array = np.load(path, mmap_mode="r" if half else None, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if array.shape != shape or array.dtype != (np.float16 if half else np.float32):
        return None
    array.flags.writeable = False
    kept: Targets = np.asarray(array)  # as a plain array, which Ray passes on without a copy of its own
    return kept


@contextlib.contextmanager
def _written(path: Path, shape: tuple[int, int, int], *, half: bool) -> Iterator[Targets]:
    """Yield an array in a new file, which gets the name `path` once it is whole.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.float16 if half else np.float32)
    with whole_file(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        # Reserve the space first: a write to a mapping on a full disk would end the process.
        with temporary.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        yield array
        array.flush()
