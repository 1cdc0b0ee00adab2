"""A number to predict: how many bicycles are hired in an hour? A small network, taught by boosted trees.

    pip install --no-deps ISLP==0.6.0

The wheel brings Bikeshare: 8,645 hours of Washington in 2011, with calendar and weather. No day is in two sets. The
student has the hours of 30 days; the teacher saw 150 further days.
"""

import csv
import importlib.metadata

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 30), slice(30, 90), slice(90, 240), slice(240, 365)
"""Ranges of days, in a random order."""
WEATHER = ("clear", "cloudy/misty", "light rain/snow", "heavy rain/snow")
NUMBERS = ("holiday", "workingday", "temp", "atemp", "hum", "windspeed")


def hours(part):
    """Return ten figures of the hours of some days, and the standardised logarithms of the bicycles hired."""
    file = importlib.metadata.distribution("ISLP").locate_file("ISLP/data/Bikeshare.csv")
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    clock = np.array([float(row["hr"]) for row in rows]) * (2 * np.pi / 24)
    year = np.array([float(row["day"]) for row in rows]) * (2 * np.pi / 365)
    weather = np.array([WEATHER.index(row["weathersit"]) for row in rows])
    numbers = np.array([[float(row[name]) for name in NUMBERS] for row in rows])
    cycles = [np.sin(clock), np.cos(clock), np.sin(2 * clock), np.cos(2 * clock), np.sin(year), np.cos(year)]
    columns = np.column_stack([*cycles, weather, numbers]).astype(np.float32)
    columns = (columns - columns.mean(0)) / columns.std(0)
    hired = np.log1p([float(row["bikers"]) for row in rows])
    days = np.random.default_rng(0).permutation(np.arange(1, 366))[part]
    chosen = np.isin([int(row["day"]) for row in rows], days)
    return columns[chosen], ((hired[chosen] - 4.2) / 1.4).astype(np.float32)


class Bikes(Task):
    """Predicts a number for each hour."""

    unit = "hours"
    classification = False

    def sets(self):
        """30 days to learn from, 60 to choose a rule by, 125 for the confirmation."""
        return Sets(train=hours(TRAIN), validation=hours(VALIDATION), test=lambda: hours(TEST))

    def student(self):
        """Twelve hidden units."""
        return nn.Sequential(nn.Linear(13, 12), nn.ReLU(), nn.Linear(12, 1), nn.Flatten(0))

    def teacher(self):
        """Boosted trees."""
        trees = HistGradientBoostingRegressor(random_state=0).fit(*hours(TAUGHT))
        train, validation, test = (trees.predict(hours(part)[0]) for part in (TRAIN, VALIDATION, TEST))
        return StoredOutputs(train=train, validation=validation, test=test)

    def task_loss(self, outputs, batch):
        """Half the squared error, one value an hour."""
        return 0.5 * (outputs - batch.labels) ** 2

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        """The same towards the teacher; a number has no temperature."""
        return 0.5 * (outputs - teacher_outputs) ** 2

    def metrics(self, outputs, labels):
        """The absolute error of the logarithm, times 100, one value an hour: small errors are percent."""
        return {"log_error": 140 * (outputs - labels).abs()}
