"""A task of one's own: how often a person sees a doctor in a year, from nine columns of a health survey.

    kd-search run examples/table.toml --confirm

The survey is the RAND health insurance experiment, which statsmodels brings: 20,190 rows of nine numbers. The label is
the number of visits, 0 to 3, or 4 for more. A network of 16 hidden units learns from one of two layers of 256.
"""

import numpy as np
import torch
from statsmodels.datasets import randhie
from torch import nn

from trainables.tasks import Sets, Task


def rows():
    """Return the survey's columns, standardised, and the labels, in a fixed random order."""
    data = randhie.load_pandas().data
    columns = data.drop(columns="mdvis").to_numpy(np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    labels = data["mdvis"].clip(upper=4).to_numpy(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    return columns[order], labels[order]


class Visits(Task):
    """Classifies the number of visits to a doctor."""

    unit = "people"
    hidden: int = 16
    """Hidden units of the student."""

    def sets(self):
        """2,000 people with labels, 4,000 to choose policies by, 6,000 for the confirmation."""
        x, y = rows()
        return Sets(train=(x[:2000], y[:2000]), validation=(x[2000:6000], y[2000:6000]), test=(x[-6000:], y[-6000:]))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(9, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 5))

    def teacher(self):
        """Two layers, trained on 8,000 further people, none of whom is in a set."""
        x, y = (torch.from_numpy(part[6000:14000]) for part in rows())
        network = nn.Sequential(nn.Linear(9, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 5))
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05)
        for _ in range(12):
            for batch in torch.randperm(len(y)).split(128):
                optimizer.zero_grad()
                nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
                optimizer.step()
        return network

    def class_names(self):
        """Visits a year."""
        return "none", "one", "two", "three", "more"
