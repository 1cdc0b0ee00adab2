"""A table with graders' labels: how well is a diamond cut? A small network, taught by a weaker, linear model.

    pip install --no-deps plotnine==0.15.9

The wheel brings 53,940 diamonds. The cut is a person's grade, from fair to ideal, and graders differ. The teacher is
logistic regression on as many diamonds as the student has, other ones.
"""

import csv
import importlib.metadata
import math

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")
COLUMNS = ("carat", "depth", "table", "price", "x", "y", "z")
TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 1500), slice(1500, 4500), slice(4500, 6000), slice(6000, 16000)


def diamonds(part):
    """Return seven measurements, standardised, and the cuts of some diamonds."""
    file = importlib.metadata.distribution("plotnine").locate_file("plotnine/data/diamonds.csv")
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    columns = np.array([[float(row[name]) for name in COLUMNS] for row in rows], np.float32)
    columns[:, 3] = [math.log(price) for price in columns[:, 3]]
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = np.array([CUTS.index(row["cut"]) for row in rows])
    # The same stone may be listed more than once; only one of its rows is kept.
    distinct = np.unique(columns, axis=0, return_index=True)[1]
    chosen = np.random.default_rng(0).permutation(np.sort(distinct))[part]
    return columns[chosen], labels[chosen]


class Diamonds(Task):
    """Grades the cut of diamonds."""

    unit = "diamonds"
    hidden: int = 16
    """Hidden units of the student."""

    def sets(self):
        """1,500 diamonds to learn from, 3,000 to choose a rule by, 10,000 for the confirmation."""
        return Sets(train=diamonds(TRAIN), validation=diamonds(VALIDATION), test=lambda: diamonds(TEST))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(7, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 5))

    def teacher(self):
        """Logistic regression."""
        line = LogisticRegression(max_iter=1000).fit(*diamonds(TAUGHT))

        def answers(part):
            return line.decision_function(diamonds(part)[0])

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The cuts."""
        return CUTS
