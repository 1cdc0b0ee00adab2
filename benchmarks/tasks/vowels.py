"""Audio features: which of nine men speaks? Twelve cepstral coefficients over 25 frames, taught by a kernel machine.

    pip install --no-deps aeon==1.6.0

The wheel brings Japanese Vowels: 640 utterances. The student has ten utterances of each speaker; the teacher saw 30 of
each, these among them. The first of the data's own test utterances choose a rule, the others confirm it.
"""

import importlib.metadata

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

TRAIN, VALIDATION, TAUGHT, TEST = ("TRAIN", 90), ("TEST", 100), ("TRAIN", 270), ("TEST", -270)
"""File, and the number of its first utterances, or of its last ones, in a random order."""


def utterances(part):
    """Return coefficients, float32 [N, 12, 25], and speakers."""
    name, number = part
    place = f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq_{name}.ts"
    text = importlib.metadata.distribution("aeon").locate_file(place).read_text(encoding="utf-8")
    lines = [line.split(":") for line in text.split("@data\n")[1].splitlines()]
    values = np.array([[row.split(",") for row in rows] for *rows, _ in lines], np.float32)
    speakers = np.array([int(float(speaker)) - 1 for *_, speaker in lines])
    order = np.random.default_rng(0).permutation(len(lines))
    if name == "TRAIN":  # ten of each speaker come first
        turn = np.array([np.sum(speakers[order[:place]] == speakers[order[place]]) for place in range(len(order))])
        order = order[np.argsort(turn, kind="stable")]
    chosen = order[:number] if number > 0 else order[number:]
    return values[chosen], speakers[chosen]


class Vowels(Task):
    """Recognises speakers."""

    unit = "utterances"
    width: int = 6
    """Channels of the student."""

    def sets(self):
        """90 utterances to learn from, 100 to choose a rule by, 270 for the confirmation."""
        return Sets(train=utterances(TRAIN), validation=utterances(VALIDATION), test=lambda: utterances(TEST))

    def student(self):
        """One convolution, averaged over time."""
        return nn.Sequential(
            nn.Conv1d(12, self.width, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(self.width, 9)
        )

    def teacher(self):
        """A support vector machine with calibrated probabilities."""
        values, speakers = utterances(TAUGHT)
        scaled = make_pipeline(StandardScaler(), SVC(C=10))
        machine = CalibratedClassifierCV(scaled, ensemble=False).fit(values.reshape(len(values), -1), speakers)

        def answers(part):
            values = utterances(part)[0]
            return np.log(machine.predict_proba(values.reshape(len(values), -1)) + 1e-6)

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))
