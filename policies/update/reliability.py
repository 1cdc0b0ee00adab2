"""Counts along a training how often the teacher's class and the label agree, by class and by confidence.

N: samples; C: classes; K = 2C + `BINS` cells: C for the label's class, C for the teacher's, the rest for the teacher's
confidence; R: students that train as one.

Counts need neither a pass over the data beforehand nor a validation set, so a rule on them runs in any loop. Labels are
counted as the training has them, wrong ones too, and the teacher's outputs as it gives them on augmented samples.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.update.ranks import Ranks

BINS = 10
"""The number of equal-width bins of the teacher's confidence."""
_PRIOR = 2.0
"""The prior of a rate, in samples that agree as often as all samples do; all rates begin at one half."""


class Answers:
    """The answers of teacher and label on each sample of a batch.

    Args:
        labels: int64 [N], or [N, C] probabilities, which may be multiplied by a weight of the sample.
        teacher_class: int64 [N], the teacher's most probable class.
        confidence: [N], its probability in [0, 1]; NaN where the teacher's output is broken.
        classes: C.
    """

    def __init__(self, labels: Tensor, teacher_class: Tensor, confidence: Tensor, classes: int) -> None:
        self.labels, self.teacher_class, self.confidence, self.classes = labels, teacher_class, confidence, classes

    @property
    def cells(self) -> int:
        """The number of cells, K."""
        return 2 * self.classes + BINS

    @functools.cached_property
    def places(self) -> Tensor:
        """The cells of each sample's label, teacher's class and confidence: int64 [3, N]."""
        bins = self.confidence.nan_to_num(0.0).mul(BINS).long().clamp_(0, BINS - 1)
        return torch.stack([self.label, self.teacher_class + self.classes, bins + 2 * self.classes])

    @functools.cached_property
    def label(self) -> Tensor:
        """The label's class, or its most probable one: int64 [N]."""
        return self.labels.argmax(1) if self.labels.ndim == 2 else self.labels

    def first(self, count: int) -> Answers:
        """Return the answers on the first samples."""
        return Answers(self.labels[:count], self.teacher_class[:count], self.confidence[:count], self.classes)

    def counts(self, members: int = 1) -> Tensor:
        """Count the samples that agree in each cell, and all samples in it: double [R, 2, K] (float32 on MPS).

        A sample whose teacher's output is broken is not counted. One whose label has a weight counts with that weight.

        Args:
            members: R. The members' samples follow one another, equally many of each.
        """
        size = self.cells
        known = self.confidence >= 0.0  # False for NaN
        if self.labels.ndim == 2:
            labels = self.labels.nan_to_num(0.0, posinf=0.0, neginf=0.0) * known[:, None]
            seen, agreed = labels.sum(1), labels.gather(1, self.teacher_class[:, None]).squeeze(1)
        else:
            seen, agreed = known, known & (self.labels == self.teacher_class)
        wide = torch.float32 if known.device.type == "mps" else torch.float64
        # Label and teacher agree on one class, so the teacher's class is also the label's cell where they agree.
        places = torch.cat([self.teacher_class, self.places[1:].flatten(), (self.places + size).flatten()])
        values = torch.stack([agreed, seen]).to(wide).repeat_interleave(3, 0).flatten()
        if members > 1:
            places = places + _member_of(len(seen), len(seen) // members, places.device).repeat(6) * (2 * size)
        counts = values.new_zeros(members * 2 * size).scatter_add_(0, places, values).view(members, 2, size)
        if self.labels.ndim == 2:  # the mass of such a label lies on several classes
            counts[:, 1, : self.classes] = labels.view(members, -1, self.classes).sum(1)
        return counts


class ReliabilityTable:
    """The counts of one training, over all processes that train the student together.

    Args:
        ranks: these processes.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._counts: Tensor | None = None
        self._pending: Tensor | None = None
        self._rates: Tensor | None = None
        """The rates that follow from the counts; None if they must be computed anew."""

    def begin(self) -> None:
        """Begin an update; drop the counts of one that failed."""
        self._pending = None

    def note(self, answers: Answers) -> None:
        """Count a micro-batch; the rates change once its update is closed."""
        self.add(answers.counts()[0])

    def add(self, counts: Tensor) -> None:
        """Add a micro-batch's counts, [2, K], from `Answers.counts`; see `note`."""
        self._pending = counts if self._pending is None else self._pending + counts

    def close(self) -> None:
        """End an update: from now on the rates include its samples, those of all processes."""
        if self._pending is None:
            return
        counts = self._ranks.total(self._pending)
        self._counts = counts if self._counts is None else self._counts.to(counts) + counts
        self._pending = self._rates = None

    def rates(self, like: Tensor, cells: int) -> Tensor:
        """Return the rate of agreement of teacher and label in each cell: [K], in (0, 1).

        It has the dtype and the device of `like`.

        Raises:
            PolicyError: the counts are those of another number of classes.
        """
        if self._counts is None:
            return like.new_full((cells,), 0.5)
        agreed, seen = self._counts
        if len(seen) != cells:
            known, found = (len(seen) - BINS) // 2, (cells - BINS) // 2
            raise PolicyError(
                f"the reliability of the teacher was counted for {known} classes, but the logits have {found}; create a"
                " new balancer for another set of classes."
            )
        if self._rates is None:
            all_agreed, all_seen = self._counts[:, : (cells - BINS) // 2].sum(1)
            overall = (all_agreed + 0.5 * _PRIOR) / (all_seen + _PRIOR)
            self._rates = (agreed + _PRIOR * overall).div_(seen + _PRIOR).to(like)
        return self._rates.to(like)

    def look_up(self, answers: Answers) -> Tensor:
        """Return the rates at each sample's cells, [3, N], ordered as in `policies.policy.MEASURED`."""
        rates = self.rates(answers.confidence, answers.cells)
        found = rates.take(answers.places)
        if answers.labels.ndim == 2:
            labels = answers.labels.to(rates.dtype)
            found[0] = (labels @ rates[: answers.classes] / labels.sum(1)).nan_to_num(0.0).clamp(0.0, 1.0)
        return found

    def state_dict(self) -> dict[str, Any] | None:
        """Return the counts as JSON numbers; None if there are none yet."""
        if self._counts is None:
            return None
        agreed, seen = self._counts.tolist()
        return {"agreed": agreed, "seen": seen}

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Continue from a `state_dict`."""
        self._pending = self._counts = self._rates = None
        if state is not None:
            self._counts = torch.tensor([state["agreed"], state["seen"]], dtype=torch.float64)


class StackedTables:
    """The tables of R students that train as one, each with counts of its own.

    Args:
        tables: the R tables.
        batch: the number of samples in a student's batch.
    """

    def __init__(self, tables: Sequence[ReliabilityTable], batch: int) -> None:
        self._tables, self._batch = tuple(tables), batch

    def look_up(self, answers: Answers) -> Tensor:
        """Return `ReliabilityTable.look_up` for one student's samples after another's, and for any padding: [3, N]."""
        rates = torch.stack([table.rates(answers.confidence, answers.cells) for table in self._tables])
        members = _member_of(len(answers.confidence), self._batch, rates.device).clamp_(max=len(rates) - 1)
        return rates.take(answers.places + members * answers.cells)

    def note(self, answers: Answers) -> None:
        """Count the samples of all students, and end their updates."""
        members = len(self._tables)
        for table, counts in zip(self._tables, answers.first(members * self._batch).counts(members), strict=True):
            table.begin()
            table.add(counts)
            table.close()


def _member_of(count: int, batch: int, device: torch.device) -> Tensor:
    """Return the number of each sample's student, int64 [N]."""
    return torch.arange(count, device=device) // batch
