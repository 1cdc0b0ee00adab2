"""A task of one's own that predicts a number: how far diabetes has progressed after a year.

    kd-search run examples/regression.toml --confirm

scikit-learn brings the 442 patients and ten figures of each. The teacher is ridge regression on the student's own
patients and 150 more; a student of six hidden units has 100 patients with labels.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 100), slice(250, 340), slice(0, 250), slice(340, 442)
DEVIATION = 77.0
"""The standard deviation of the labels, in their own unit."""


def patients(part):
    """Return ten figures of some patients, and the progress of the disease in standard deviations."""
    data = load_diabetes()
    order = np.random.default_rng(0).permutation(len(data.target))[part]
    return (data.data[order] * 21).astype(np.float32), ((data.target[order] - 152) / DEVIATION).astype(np.float32)


class Diabetes(Task):
    """Predicts a number for each patient."""

    unit = "patients"
    classification = False

    def sets(self):
        """100 patients to learn from, 90 to choose a rule by, 102 for the confirmation."""
        return Sets(train=patients(TRAIN), validation=patients(VALIDATION), test=lambda: patients(TEST))

    def student(self):
        """Six hidden units."""
        return nn.Sequential(nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 1), nn.Flatten(0))

    def teacher(self):
        """A line through 250 patients."""
        line = RidgeCV().fit(*patients(TAUGHT))
        train, validation, test = (line.predict(patients(part)[0]) for part in (TRAIN, VALIDATION, TEST))
        return StoredOutputs(train=train, validation=validation, test=test)

    def task_loss(self, outputs, batch):
        """Half the squared error, one value a patient."""
        return 0.5 * (outputs - batch.labels) ** 2

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        """The same towards the teacher; a number has no temperature."""
        return 0.5 * (outputs - teacher_outputs) ** 2

    def metrics(self, outputs, labels):
        """The mean absolute error in the disease's own unit, one value a patient."""
        return {"absolute_error": DEVIATION * (outputs - labels).abs()}
