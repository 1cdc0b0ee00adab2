"""A table: what does a patch of an outdoor picture show? A small network, taught by a kernel machine.

    pip install --no-deps river==0.26.1

The wheel brings Image Segmentation (UCI): 2,086 different patches, 18 measurements each, seven classes. Labels are few:
the student has 105. The teacher, a support vector machine, saw 600 further patches.
"""

import importlib.metadata
import io
import zipfile

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

CLASSES = ("brickface", "cement", "foliage", "grass", "path", "sky", "window")
TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 105), slice(105, 605), slice(605, 1205), slice(1205, 2086)


def patches(part):
    """Return the measurements, standardised, and the classes of some patches."""
    archive = importlib.metadata.distribution("river").locate_file("river/datasets/segment.csv.zip")
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as packed:
        lines = packed.read(packed.namelist()[0]).decode().split()[1:]
    rows = [line.rsplit(",", 1) for line in lines]
    columns = np.array([row.split(",") for row, _ in rows], np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = np.array([CLASSES.index(name) for _, name in rows])
    distinct = np.unique(columns, axis=0, return_index=True)[1]  # some patches are listed twice
    chosen = np.random.default_rng(0).permutation(np.sort(distinct))[part]
    return columns[chosen], labels[chosen]


class Segment(Task):
    """Classifies patches of pictures."""

    unit = "patches"
    hidden: int = 8
    """Hidden units of the student."""

    def sets(self):
        """105 patches to learn from, 500 to choose a rule by, 881 for the confirmation."""
        return Sets(train=patches(TRAIN), validation=patches(VALIDATION), test=lambda: patches(TEST))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(18, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 7))

    def teacher(self):
        """A support vector machine with calibrated probabilities."""
        machine = CalibratedClassifierCV(SVC(C=10), ensemble=False).fit(*patches(TAUGHT))

        def answers(part):
            return np.log(machine.predict_proba(patches(part)[0]) + 1e-6)

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The seven classes."""
        return CLASSES
