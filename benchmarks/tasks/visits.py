"""A table with counts for labels: how often does a person see a doctor in a year? Taught by a forest.

    pip install statsmodels

The RAND health insurance experiment: 20,190 rows, nine columns that say little about the count. The same person
answered in several years, so no person is in two sets. The teacher is the average of 200 trees that saw a fifth of the
people.
"""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from statsmodels.datasets import randhie
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

PARTS = {"train": (0.0, 0.1), "validation": (0.1, 0.3), "taught": (0.3, 0.5), "test": (0.5, 1.0)}
"""Part -> the range of the random number of each of its people."""


def people(part):
    """Return the columns, standardised, and the counts of the people of one part; 4 stands for more than 3 visits."""
    data = randhie.load_pandas().data
    columns = data.drop(columns="mdvis").to_numpy(np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = data["mdvis"].clip(upper=4).to_numpy(np.int64)
    distinct, person = np.unique(columns, axis=0, return_inverse=True)
    low, high = PARTS[part]
    drawn = np.random.default_rng(0).random(len(distinct))[person.ravel()]
    chosen = (low <= drawn) & (drawn < high)
    return columns[chosen], labels[chosen]


class Visits(Task):
    """Classifies people by their visits to a doctor."""

    unit = "people"
    hidden: int = 16
    """Hidden units of the student."""

    def sets(self):
        """A tenth of the people to learn from, a fifth to choose a rule by, half for the confirmation."""
        return Sets(train=people("train"), validation=people("validation"), test=lambda: people("test"))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(9, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 5))

    def teacher(self):
        """A random forest; its log-probabilities are logits."""
        forest = RandomForestClassifier(200, min_samples_leaf=20, random_state=0).fit(*people("taught"))

        def answers(part):
            return np.log(forest.predict_proba(people(part)[0]) + 1e-6)

        return StoredOutputs(train=answers("train"), validation=answers("validation"), test=lambda: answers("test"))

    def class_names(self):
        """Visits a year."""
        return "none", "one", "two", "three", "more"
