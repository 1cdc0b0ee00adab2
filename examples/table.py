"""A task of one's own: how often a person sees a doctor in a year, from nine columns of a health survey.

    kd-search run examples/table.toml --confirm

The survey is the RAND health insurance experiment, which statsmodels brings: 20,190 rows. The label is the number of
visits, 0 to 3, or 4 for more. The same person answered in several years, often with the same nine numbers, so rows are
dealt out by their numbers and no person is in two sets. The teacher is no network but gradient-boosted trees, so only
its answers are given.
"""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from statsmodels.datasets import randhie
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

PARTS = {"train": (0.0, 0.1), "validation": (0.1, 0.3), "taught": (0.3, 0.7), "test": (0.7, 1.0)}
"""Part -> the range of the random number of each of its people."""


def rows(part):
    """Return the columns, standardised, and the labels of the people of one part."""
    data = randhie.load_pandas().data
    columns = data.drop(columns="mdvis").to_numpy(np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = data["mdvis"].clip(upper=4).to_numpy(np.int64)
    people, person = np.unique(columns, axis=0, return_inverse=True)
    low, high = PARTS[part]
    drawn = np.random.default_rng(0).random(len(people))[person.ravel()]
    chosen = (low <= drawn) & (drawn < high)
    return columns[chosen], labels[chosen]


class Visits(Task):
    """Classifies people by their visits to a doctor."""

    unit = "people"
    hidden: int = 16
    """Hidden units of the student."""

    def sets(self):
        """A tenth of the people to learn from, a fifth to choose a rule by, three tenths for the confirmation."""
        return Sets(train=rows("train"), validation=rows("validation"), test=lambda: rows("test"))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(9, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 5))

    def teacher(self):
        """Trees that learnt from four tenths of the people; their log-probabilities are logits."""
        trees = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(*rows("taught"))

        def answers(part):
            return np.log(trees.predict_proba(rows(part)[0]))

        return StoredOutputs(train=answers("train"), validation=answers("validation"), test=lambda: answers("test"))

    def class_names(self):
        """Visits a year."""
        return "none", "one", "two", "three", "more"
