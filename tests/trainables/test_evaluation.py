import math

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from trainables.config.own_kpi import OwnKPI
from trainables.errors import ConfigError
from trainables.evaluation import BINS, evaluate, score_logits, try_out
from trainables.pictures.sets import Dataset, Split
from trainables.records.figures import SetScore
from trainables.records.objective import Objective
from trainables.training.loop import Distillation
from trainables.training.replicate import Replicate

KPIS = """
import torch

def share_of_class_0(model, data):
    return (data.logits.argmax(dim=1) == 0).double().mean()

def right(model, data):
    return data.logits.argmax(dim=1) == data.labels

def noise(model, data):
    return torch.rand(())

def spoil(model, data):
    model.train()
    for parameter in model.parameters():
        parameter.zero_()
    return 0

def own_accuracy(model, data):
    with torch.enable_grad():
        logits = torch.cat([model(images) for images in data.images])
    assert logits.requires_grad
    return float((logits.argmax(dim=1) == data.labels).double().mean())

def undefined(model, data):
    return float("nan")

def undefined_once_trained(model, data):
    return float("nan") if (data.logits.argmax(1) == data.labels).float().mean() > 0.2 else 1.0

def names_of_classes(model, data):
    return len(data.classes) + 0 * data.teacher_logits.sum()
"""


def kpi(name):
    return OwnKPI(origin=f"own.py:{name}", source=KPIS)


@pytest.fixture
def student(settings, data):
    return Replicate(settings, 3, data, data.augmentation(settings.augmentation)).student


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 3.0])
def test_figures_are_those_of_torchmetrics(sharpness):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(7, (500,), generator=generator)
    logits = sharpness * (torch.randn(500, 7, generator=generator) + 2 * nn.functional.one_hot(labels, 7))
    scores = score_logits(logits, labels, logits.roll(1, 0))
    assert scores.accuracy == pytest.approx(float(multiclass_accuracy(logits, labels, 7, average="micro")))
    expected = multiclass_calibration_error(logits.double(), labels, 7, n_bins=BINS, norm="l1")
    assert scores.calibration_error == pytest.approx(float(expected), abs=1e-6)
    assert scores.loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    balanced = multiclass_accuracy(logits, labels, 7, average="macro")
    assert scores.more["balanced_accuracy"] == pytest.approx(float(balanced))
    assert scores.agreement == pytest.approx(float((logits.argmax(1) == logits.roll(1, 0).argmax(1)).double().mean()))


def test_a_teacher_has_no_agreement_with_itself():
    assert score_logits(torch.eye(3), torch.arange(3)).agreement is None


def test_calibration_is_an_error_between_confidence_and_accuracy():
    sure_and_right = score_logits(100 * torch.eye(4), torch.arange(4))
    sure_and_wrong = score_logits(100 * torch.eye(4), torch.arange(4).roll(1))
    assert (sure_and_right.accuracy, sure_and_right.calibration_error) == (1.0, pytest.approx(0.0, abs=1e-12))
    assert (sure_and_wrong.accuracy, sure_and_wrong.calibration_error) == (0.0, pytest.approx(1.0))
    # These answers are right in two of four cases, with a confidence of one half.
    honest = torch.tensor([[0.0, 0.0, -100.0]] * 4)
    assert score_logits(honest, torch.tensor([0, 0, 1, 2])).calibration_error == pytest.approx(0.0, abs=1e-12)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # 0.6 is the upper edge of the ninth bin, which also holds the value just below it: both gaps cancel out.
    logits = torch.tensor([[0.6, 0.4], [0.599, 0.401]], dtype=torch.float64).log()
    error = score_logits(logits, torch.tensor([0, 1])).calibration_error
    assert error == pytest.approx(abs((1 - 0.6) + (0 - 0.599)) / 2, abs=1e-9)


def test_a_student_without_finite_outputs_has_figures_that_say_so():
    scores = score_logits(torch.full((4, 3), math.nan), torch.tensor([0, 1, 2, 0]))
    assert math.isnan(scores.loss)
    assert math.isnan(scores.calibration_error)


def test_a_set_is_judged_whole_whatever_the_batches(student, data, monkeypatch):
    whole = evaluate(student, data.validation)
    monkeypatch.setattr("trainables.evaluation._BATCH", 33)
    assert sum(len(images) for images in data.validation) == len(data.validation) == 200
    parts = evaluate(student, data.validation)
    assert isinstance(whole.scores, SetScore)
    assert parts.scores.accuracy == whole.scores.accuracy
    assert parts.scores.loss == pytest.approx(whole.scores.loss, rel=1e-6)


def test_own_kpis_are_measured_beside_the_others(student, data):
    evaluation = evaluate(student, data.validation, [kpi("share_of_class_0"), kpi("own_accuracy")])
    assert set(evaluation.own_kpis) == {"share_of_class_0", "own_accuracy"}
    assert evaluation.own_kpis["own_accuracy"] == pytest.approx(evaluation.scores.accuracy)
    assert evaluate(student, data.validation, [kpi("names_of_classes")]).own_kpis == {"names_of_classes": 10.0}


def test_results_on_each_picture_are_kept_when_asked_for(student, data):
    kpis = [kpi("right"), kpi("own_accuracy")]
    assert evaluate(student, data.validation, kpis).samples == {}
    kept = evaluate(student, data.validation, kpis, by_sample=True)
    assert set(kept.samples) == {"accuracy", "right"}  # a KPI that returns one number has none
    right = kept.samples["accuracy"].values()
    assert right.mean() == pytest.approx(kept.scores.accuracy)
    assert np.array_equal(kept.samples["right"].values(), right)
    assert kept.own_kpis["right"] == kept.scores.accuracy


def test_a_kpi_changes_neither_the_student_nor_the_random_numbers(student, data):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = evaluate(student, data.validation, [kpi("noise"), kpi("spoil"), kpi("own_accuracy")])
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    assert not student.training
    assert first.own_kpis["own_accuracy"] == pytest.approx(first.scores.accuracy)
    assert evaluate(student, data.validation, [kpi("noise")]).own_kpis["noise"] == first.own_kpis["noise"]


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_a_trial_searches_for_a_kpi_in_its_direction(settings, data, direction, sign):
    objective = Objective(name="share_of_class_0", direction=direction)
    own = settings.model_copy(update={"own_kpis": (kpi("share_of_class_0"),), "objective": objective})
    trial = Distillation(own, data)
    records = [record for record in trial.records() if record is not None]
    history = trial.history()
    values = [result.own_kpis["share_of_class_0"] for result in history.replicates]
    assert history.score == pytest.approx(sign * np.mean(values))
    assert records[-1].own_kpis["share_of_class_0"] == pytest.approx(np.mean(values))
    assert objective.score_of(records[-1]) == pytest.approx(history.score)
    assert objective.value(history.score) == pytest.approx(np.mean(values))
    plain = Distillation(settings, data)
    list(plain.records())
    assert plain.history().replicates[0].validation_accuracy == history.replicates[0].validation_accuracy


def test_a_trial_without_a_finite_score_fails(settings, data):
    objective = Objective(name="undefined_once_trained")
    own = settings.model_copy(update={"own_kpis": (kpi("undefined_once_trained"),), "objective": objective})
    trial = Distillation(own, data)
    list(trial.records())
    assert trial.history().score is None
    with pytest.raises(ValueError, match="objective `undefined_once_trained` must be finite.*seed 3, 5"):
        trial.check_scores()
    tracked = settings.model_copy(update={"own_kpis": (kpi("undefined_once_trained"),)})
    trial = Distillation(tracked, data)
    list(trial.records())
    assert all(math.isnan(result.own_kpis["undefined_once_trained"]) for result in trial.results)


@pytest.fixture
def dataset(assets):
    return Dataset(
        name="digits",
        classes=assets.classes,
        pool=assets.train,
        train=assets.train,
        validation=assets.validation,
        test=Split(images=assets.train.images[:0], labels=assets.train.labels[:0]),
        mean=assets.mean,
        std=assets.std,
    )


def test_kpis_are_tried_out_on_a_few_pictures_of_every_class(student, dataset):
    counted = OwnKPI(
        origin="own.py:counted",
        source="def counted(model, data):\n    assert data.labels.bincount().tolist() == [4] * 10\n    return 1",
    )
    try_out([counted, kpi("own_accuracy")], student, dataset)
    with pytest.raises(ConfigError, match=r"KPI own\.py:undefined must be finite.*is nan.*40 validation pictures"):
        try_out([kpi("undefined")], student, dataset)


def test_a_student_that_names_the_largest_class_only_is_seen_in_balanced_accuracy():
    labels = torch.tensor([0] * 90 + [1] * 10)
    scores = score_logits(torch.tensor([[1.0, 0.0, 0.0]]).repeat(100, 1), labels)
    assert (scores.accuracy, scores.more["balanced_accuracy"]) == (pytest.approx(0.9), pytest.approx(0.5))
