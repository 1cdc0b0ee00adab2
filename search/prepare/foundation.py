"""Identifies data, teacher and its outputs' precision, which all trials of a search share, as a text to compare.

An earlier release wrote one digest, which covered the teacher's settings or checkpoint file, but not its weights.
Searches that it began are recognised by that digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from search.prepare.students import add_weights
from search.settings import SearchConfig
from trainables.datasets import add_images, dataset_fingerprint
from trainables.pictures import Dataset, InitialWeights
from trainables.teacher import Teacher, output_precision

_MARK = "2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foundation:
    """The identity of data, teacher and precision. Trials can be compared if these are the same."""

    data: str
    """A digest of the pictures, their labels and their corruption, and of pretrained students' weights."""
    teacher: str
    """A digest of the teacher's settings and weights."""
    precision: str
    """The precision that the teacher's outputs were computed in."""
    earlier: str = dataclasses.field(compare=False)
    """The digest that an earlier release would have written."""
    words: str = dataclasses.field(default="other data", compare=False)
    """The words for a difference in `data`."""

    @property
    def text(self) -> str:
        """The foundation as it is stored."""
        return ":".join((_MARK, self.data, self.teacher, self.precision))

    def mismatch(self, stored: str, *, with_precision: bool = True) -> str:
        """Name in words what differs from a search with the `stored` text; empty if nothing does.

        Args:
            stored: the text, by this release or an earlier one.
            with_precision: whether another precision of the outputs counts as a difference.
        """
        parts = stored.split(":")
        if len(parts) != 4 or parts[0] != _MARK:
            return "" if stored == self.earlier else "other data or another teacher"
        _, data, teacher, precision = parts
        found = [self.words] if data != self.data else []
        if teacher != self.teacher:
            found.append("a teacher with other weights or settings")
        if with_precision and precision != self.precision:
            found.append(f"a teacher that answers in {self.precision} and not in {precision}")
        return " and ".join(found)


def foundation_of(
    config: SearchConfig,
    dataset: Dataset,
    teacher: Teacher,
    device: str,
    initial: Mapping[str, InitialWeights] = MappingProxyType({}),
) -> Foundation:
    """Compute the foundation of a search.

    Args:
        config: the search.
        dataset: its data.
        teacher: its teacher.
        device: the kind of device that the teacher answers on, `cpu` or `cuda`.
        initial: the weights of pretrained students.
    """
    fingerprint, corruption = dataset_fingerprint(dataset), b""
    if config.corruption is not None:
        corruption = config.corruption.model_dump_json().encode()
    data = hashlib.sha256(f"{fingerprint} ".encode())
    earlier = hashlib.sha256(f"{teacher.key} {fingerprint} ".encode())
    for digest in (data, earlier):
        add_images(digest, dataset.train.images)
        digest.update(corruption)
    add_weights(data, initial)
    return Foundation(
        data=data.hexdigest(),
        teacher=hashlib.sha256(f"{teacher.key} {teacher.weights}".encode()).hexdigest(),
        precision=output_precision(device),
        earlier=earlier.hexdigest(),
        words="other data or other weights that students begin with" if initial else "other data",
    )
