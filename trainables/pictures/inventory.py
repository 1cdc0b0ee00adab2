"""Tells which files of a folder a search uses, and which it skips and why. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import Field

from trainables.settings import Settings

SETS = ("training", "validation", "test")
_MOST_CLASSES = 12  # with more, their numbers are summed up


class Skipped(Settings):
    """Files or folders that are skipped for one reason."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()
    """Names of a few, relative to the folder of pictures."""

    @property
    def in_words(self) -> str:
        """`2 links that lead nowhere (cat/3.png, cat/4.png)`."""
        more = ", …" if self.count > len(self.examples) else ""
        return f"{self.count:,} {self.reason} ({', '.join(self.examples)}{more})"


class Inventory(Settings):
    """A folder of pictures, as a search uses it."""

    folders: dict[str, str] = Field(default_factory=dict)
    """The folder of each set, relative to the folder of pictures; a set without one is split off the training set."""
    classes: dict[str, dict[str, int]] = Field(default_factory=dict)
    """The number of pictures of each class, by set. The training set is the teacher's."""
    remarks: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def with_classes(self, classes: Sequence[str], labels: Mapping[str, Sequence[int]]) -> Inventory:
        """Return the inventory with the numbers of pictures.

        Args:
            classes: the classes' names.
            labels: the labels of each set's pictures.
        """
        counts: dict[str, dict[str, int]] = {}
        for name, numbers in labels.items():
            counts[name] = dict.fromkeys(classes, 0)
            for number in numbers:
                counts[name][classes[number]] += 1
        return self.model_copy(update={"classes": counts})

    @property
    def lines(self) -> tuple[str, ...]:
        """The inventory in words, a line a fact."""
        return (*self._on_sets(), *self._on_classes(), *self.remarks, *self._on_skipped())

    def _on_sets(self) -> Iterator[str]:
        own = [f"{name} from {folder!r}" for name, folder in self.folders.items()]
        off = [name for name in SETS[1:] if name not in self.folders]
        if own:
            split = f"; {' and '.join(off)} split off the training pictures" if off else ""
            yield f"sets: {', '.join(own)}{split}"
        else:
            yield "sets: training, validation and test are split by the search, since the folder has none"

    def _on_classes(self) -> Iterator[str]:
        for name, counts in self.classes.items():
            total = f"{name}: {sum(counts.values()):,} pictures"
            if len(counts) > _MOST_CLASSES:
                least, most = min(counts.values()), max(counts.values())
                yield f"{total}, {least:,} to {most:,} in each of {len(counts):,} classes"
            else:
                yield f"{total} ({', '.join(f'{name} {count:,}' for name, count in counts.items())})"

    def _on_skipped(self) -> Iterator[str]:
        for skipped in self.skipped:
            yield f"skipped: {skipped.in_words}"
