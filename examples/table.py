"""A task of one's own: how often a person sees a doctor in a year, from nine columns of a health survey.

    kd-search run examples/table.toml --confirm

The survey is the RAND health insurance experiment, which statsmodels brings: 20,190 rows. The label is the number of
visits, 0 to 3, or 4 for more. The teacher is no network but gradient-boosted trees, so only its answers are given.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from statsmodels.datasets import randhie
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

TRAIN, VALIDATION, TAUGHT, TEST = slice(2000), slice(2000, 6000), slice(6000, 14000), slice(14000, None)


def rows():
    """Return the survey's columns, standardised, and the labels, in a fixed random order."""
    data = randhie.load_pandas().data
    columns = data.drop(columns="mdvis").to_numpy(np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = data["mdvis"].clip(upper=4).to_numpy(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    return columns[order], labels[order]


class Visits(Task):
    """Classifies people by their visits to a doctor."""

    unit = "people"
    hidden: int = 16
    """Hidden units of the student."""

    def sets(self):
        """2,000 people with labels to learn from, 4,000 to choose a rule by, 6,190 for the confirmation."""
        x, y = rows()
        return Sets(train=(x[TRAIN], y[TRAIN]), validation=(x[VALIDATION], y[VALIDATION]), test=(x[TEST], y[TEST]))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(9, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 5))

    def teacher(self):
        """Trees that learnt from 8,000 further people; their log-probabilities are logits."""
        x, y = rows()
        trees = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(x[TAUGHT], y[TAUGHT])
        answers = np.log(trees.predict_proba(x))
        return StoredOutputs(train=answers[TRAIN], validation=answers[VALIDATION], test=answers[TEST])

    def class_names(self):
        """Visits a year."""
        return "none", "one", "two", "three", "more"
