"""Pictures: ten kinds of clothes, 600 labelled pictures, taught by a forest.

    apt-get install dataset-fashion-mnist

Debian's package brings Fashion-MNIST. The student, a small convolutional network, has 600 pictures; the teacher, the
average of 100 trees, saw 6,000 others.
"""

import gzip
import pathlib

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

ROOT = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
TRAIN, VALIDATION, TAUGHT = ("train", slice(0, 600)), ("train", slice(600, 2600)), ("train", slice(2600, 8600))
TEST = ("t10k", slice(0, 10000))


def pictures(part):
    """Return pictures, float32 [N, 1, 28, 28], and their classes."""
    name, chosen = part
    pixels = np.frombuffer(gzip.decompress((ROOT / f"{name}-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((ROOT / f"{name}-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    found = pixels.reshape(-1, 1, 28, 28)[chosen].astype(np.float32)
    return (found - 73) / 90, labels[chosen].astype(np.int64)


class Fashion(Task):
    """Names the kind of clothes."""

    width: int = 8
    """Channels of the student's first layer."""

    def sets(self):
        """600 pictures to learn from, 2,000 to choose a rule by, 10,000 for the confirmation."""
        return Sets(train=pictures(TRAIN), validation=pictures(VALIDATION), test=lambda: pictures(TEST))

    def student(self):
        """Two convolutions."""
        return nn.Sequential(
            nn.Conv2d(1, self.width, 5, stride=3),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(18 * self.width, 10),
        )

    def teacher(self):
        """A random forest; its log-probabilities are logits."""

        def flat(part):
            return pictures(part)[0].reshape(-1, 784)

        forest = RandomForestClassifier(100, random_state=0).fit(flat(TAUGHT), pictures(TAUGHT)[1])

        def answers(part):
            return np.log(forest.predict_proba(flat(part)) + 1e-3)

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The kinds of clothes."""
        return CLASSES
