"""Trainings that are judged on the validation set alone, as a transfer's are."""

import pathlib

from search.confirm.training import train_function
from search.prepare import Pictures
from search.records import Finalist
from tests.trainables.functions.function_files import DIGITS, own
from trainables.config import DeviceSettings, ModelSettings, TrainingSettings, TrialSettings
from trainables.device import select_compute
from trainables.functions import FunctionAssets, FunctionPlace

BASE = TrialSettings(student=ModelSettings(name="train.py:distil"), training=TrainingSettings(epochs=2), trace_points=5)
RULE = Finalist(
    key="fixed-0.5",
    role="constant",
    family="fixed",
    parameters={"weight": 0.5},
    shared={"learning_rate": 0.01},
    rule="",
    complexity=1,
    trial=None,
    search_score=None,
)


def test_a_training_function_keeps_its_test_set_closed_and_its_last_report_takes_its_place():
    assert "run.confirming" in DIGITS
    assets = FunctionAssets(function=own(DIGITS), folder=str(pathlib.Path.cwd()))
    place = FunctionPlace(assets=assets, compute=select_compute(DeviceSettings(device="cpu")))
    (sealed,) = train_function(RULE, (3,), BASE, place, sealed=True)
    (confirmed,) = train_function(RULE, (3,), BASE, place)
    assert sealed.result.test == sealed.result.validation == confirmed.result.validation
    assert (sealed.result.samples, sealed.result.test_ids) == ({}, "")
    assert confirmed.result.samples


def test_pictures_without_a_test_set_are_judged_on_the_validation_set():
    pictures = Pictures.without_test_set(FunctionAssets(function=own(DIGITS), folder="."))
    assert (pictures.test, pictures.sealed) == (None, True)
