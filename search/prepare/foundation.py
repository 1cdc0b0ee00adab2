"""What all trials of a search stand on, as a text that two runs can compare: data, teacher, and its outputs' precision.

An earlier release wrote one digest that knew the teacher by its settings or checkpoint file, and not by its weights.
Searches that it began are recognised by that digest.
"""

from __future__ import annotations

import dataclasses
import hashlib

from search.settings import SearchConfig
from trainables.datasets import add_images, dataset_fingerprint
from trainables.pictures import Dataset
from trainables.teacher import Teacher, output_precision

_MARK = "2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foundation:
    """Trials can be compared if these are the same."""

    data: str
    """A digest of the pictures, their labels and their corruption."""
    teacher: str
    """A digest of the teacher's settings and weights."""
    precision: str
    """What the teacher's outputs were computed in."""
    earlier: str = dataclasses.field(compare=False)
    """The digest that an earlier release would have written."""

    @property
    def text(self) -> str:
        """As it is stored."""
        return ":".join((_MARK, self.data, self.teacher, self.precision))

    def mismatch(self, stored: str, *, with_precision: bool = True) -> str:
        """What is not as in a search with the `stored` text, in words; empty if all is.

        Args:
            stored: by this release or an earlier one.
            with_precision: whether outputs in another precision are others.
        """
        parts = stored.split(":")
        if len(parts) != 4 or parts[0] != _MARK:
            return "" if stored == self.earlier else "other data or another teacher"
        _, data, teacher, precision = parts
        found = ["other data"] if data != self.data else []
        if teacher != self.teacher:
            found.append("a teacher with other weights or settings")
        if with_precision and precision != self.precision:
            found.append(f"a teacher that answers in {self.precision} and not in {precision}")
        return " and ".join(found)


def foundation_of(config: SearchConfig, dataset: Dataset, teacher: Teacher, device: str) -> Foundation:
    """What the trials of a search stand on.

    Args:
        config: the search.
        dataset: its data.
        teacher: its teacher.
        device: the kind of device that the teacher answers on, `cpu` or `cuda`.
    """
    fingerprint, corruption = dataset_fingerprint(dataset), b""
    if config.corruption is not None:
        corruption = config.corruption.model_dump_json().encode()
    data = hashlib.sha256(f"{fingerprint} ".encode())
    earlier = hashlib.sha256(f"{teacher.key} {fingerprint} ".encode())
    for digest in (data, earlier):
        add_images(digest, dataset.train.images)
        digest.update(corruption)
    return Foundation(
        data=data.hexdigest(),
        teacher=hashlib.sha256(f"{teacher.key} {teacher.weights}".encode()).hexdigest(),
        precision=output_precision(device),
        earlier=earlier.hexdigest(),
    )
