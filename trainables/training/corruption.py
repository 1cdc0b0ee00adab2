"""Training data that cannot be trusted: some labels and some of the teacher's outputs are another picture's.

N: training pictures; S: batches of an epoch; B: pictures of a batch.

Nothing is changed in the data themselves. A corruption says, for each picture of an epoch, whose label and whose
teacher's output it is trained on; so the outputs are those on the same view, and validation pictures are out of reach.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.config import CorruptionSettings
from trainables.errors import ConfigError

Indices = npt.NDArray[np.int64]


class Sources(NamedTuple):
    """For each picture of an epoch, int64 [S·B]: the training picture that its label and its target come from."""

    labels: Indices
    targets: Indices


class Corruption:
    """Which batches or which samples are broken, and how; nothing of it depends on the policy.

    In the unit `batch` the shares hold in every epoch, to the nearest batch, and are drawn from the corruption's seed,
    the training's seed and the epoch. In the unit `sample` they are drawn once from the corruption's seed alone, like a
    data set that came that way: every training on it has the same broken samples.

    What is broken is exchanged along one cycle through a random order, so that nothing broken keeps its own.

    Args:
        settings: unit, shares and seed.
        pictures: N.
        batch_size: B.
        seed: of the training.

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
                f" exchanged within a batch, but got {batch_size}; raise it, or take the unit 'sample'."
            )

    def sources(self, order: Indices, epoch: int) -> Sources:
        """Whose label and whose teacher's output the pictures of an epoch get.

        Args:
            order: int64 [S·B], the training pictures in the epoch's random order, batch after batch.
            epoch: from 0.
        """
        if self._settings.unit == "sample":
            return Sources(self._fixed.labels[order], self._fixed.targets[order])
        batches = order.reshape(-1, self._batch_size)
        draws = np.random.default_rng([self._settings.seed, self._seed, epoch])
        # Spread evenly over [0, 1) in random order: each batch breaks with the chance of its share, and the number that
        # break differs from the share's by less than one.
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
                f"`corruption.{name}` must be of no picture or of two at least, so that they can be exchanged, but"
                f" {getattr(settings, name)} of {pictures} training pictures is one; raise it or `data.train_size`."
            )
    labels, targets = np.arange(pictures), np.arange(pictures)
    targets[broken_targets] = np.roll(broken_targets, 1)
    labels[broken_labels] = np.roll(broken_labels, 1)
    return Sources(labels, targets)
