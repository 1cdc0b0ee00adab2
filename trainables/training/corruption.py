"""Breaks training data on purpose: some labels and some of the teacher's outputs are those of another picture.

N: training pictures; S: batches of an epoch; B: pictures of a batch.

The data themselves do not change. For each picture of an epoch, a corruption chooses the pictures that its label and
its teacher's output are taken from. The outputs are therefore those on the same view. Validation pictures are never
changed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.config import CorruptionSettings
from trainables.errors import ConfigError

Indices = npt.NDArray[np.int64]


class Sources(NamedTuple):
    """The training pictures, int64 [S·B], that the labels and the targets of an epoch's pictures come from."""

    labels: Indices
    targets: Indices


class Corruption:
    """Decides which batches or which samples are broken, and how, independently of the policy.

    In the unit `batch` the shares hold in every epoch, to within one batch. The broken batches are drawn from the
    corruption's seed, the training's seed and the epoch. In the unit `sample` the broken samples are drawn once, from
    the corruption's seed alone. Every training on the data set then has the same ones.

    Broken labels and outputs are exchanged along one cycle through a random order, so that no broken one
    stays with its own picture.

    Args:
        settings: unit, shares and seed.
        pictures: N.
        batch_size: B.
        seed: the training's seed.

    Raises:
        ConfigError: there is only one picture to exchange.
    """

    def __init__(self, settings: CorruptionSettings, *, pictures: int, batch_size: int, seed: int) -> None:
        self._settings = settings
        self._batch_size = batch_size
        self._seed = seed
        if settings.unit == "sample":
            self._fixed = _exchange_samples(settings, pictures)
        elif batch_size < 2:
            raise ConfigError(
                "`training.batch_size` must be at least 2 where `corruption.unit` is 'batch', since pictures are"
                f" exchanged within a batch, but got {batch_size}; raise it, or set the unit to 'sample'."
            )

    def sources(self, order: Indices, epoch: int) -> Sources:
        """Return the training pictures that the labels and the teacher's outputs of an epoch's pictures come from.

        Args:
            order: int64 [S·B], the training pictures in the epoch's random order, batch after batch.
            epoch: from 0.
        """
        if self._settings.unit == "sample":
            return Sources(self._fixed.labels[order], self._fixed.targets[order])
        batches = order.reshape(-1, self._batch_size)
        draws = np.random.default_rng([self._settings.seed, self._seed, epoch])
        # Evenly spread over [0, 1) in random order: each batch breaks with the probability of its share, and the number
        # of broken batches differs from the share's by less than one.
        places = (draws.permutation(len(batches)) + draws.random()) / len(batches)
        end_of_targets = self._settings.teacher_share
        end_of_labels = end_of_targets + self._settings.label_share
        exchanged = np.roll(batches, 1, axis=1)  # the order is random, so its neighbour is any other picture
        broken_target = (places < end_of_targets)[:, None]
        broken_label = ((places >= end_of_targets) & (places < end_of_labels))[:, None]
        return Sources(
            np.where(broken_label, exchanged, batches).ravel(), np.where(broken_target, exchanged, batches).ravel()
        )


def _exchange_samples(settings: CorruptionSettings, pictures: int) -> Sources:
    order = np.random.default_rng(settings.seed).permutation(pictures)
    end_of_targets = round(settings.teacher_share * pictures)
    end_of_labels = round((settings.teacher_share + settings.label_share) * pictures)
    broken_targets, broken_labels = order[:end_of_targets], order[end_of_targets:end_of_labels]
    for name, broken in (("teacher_share", broken_targets), ("label_share", broken_labels)):
        if len(broken) == 1:
            raise ConfigError(
                f"`corruption.{name}` must select no picture or at least two, which are exchanged, but"
                f" {getattr(settings, name)} of {pictures} training pictures is one; raise it or `data.train_size`."
            )
    labels, targets = np.arange(pictures), np.arange(pictures)
    targets[broken_targets] = np.roll(broken_targets, 1)
    labels[broken_labels] = np.roll(broken_labels, 1)
    return Sources(labels, targets)
