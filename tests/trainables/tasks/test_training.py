"""Trainings of users' tasks in the search's loop."""

import contextlib

import numpy as np
import pytest
import torch

from policies.families import FAMILIES
from policies.registry import create_policy
from tests.trainables.tasks.task_data import CPU, TRAINING, data_of, trained, weights
from tests.trainables.tasks.task_files import DIABETES, DIGITS, HEAD, MASKED, own
from trainables.config import ModelSettings
from trainables.evaluation import evaluate
from trainables.pictures import Split, TrialAssets, as_tensor
from trainables.records import Objective
from trainables.tasks import TaskAssets
from trainables.training import DeviceAssets, Distillation, TaskData


@pytest.fixture(scope="module")
def digits():
    return data_of(own(DIGITS, "Digits"))


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_rule_runs_on_a_task_with_the_usual_losses(family, digits):
    history = trained(own(DIGITS, "Digits"), family, digits).history()
    assert history.epochs[-1].validation_accuracy > 0.5
    assert len(history.trace) == 5


@pytest.mark.parametrize("family", [name for name in list(FAMILIES) if create_policy(name, {}).looks_at != "logits"])
def test_every_rule_that_needs_no_logits_runs_on_each_samples_losses(family):
    task = own(DIABETES, "Diabetes")
    done = trained(task, family, objective=Objective(name="rmse", direction="minimize"))
    last = done.history().epochs[-1]
    assert last.own_kpis["rmse"] < 1.0  # the standard deviation of the labels is 1
    assert last.validation_accuracy is None
    assert done.history().score == pytest.approx(-np.mean([r.own_kpis["rmse"] for r in done.results]))


def test_the_rules_that_need_more_are_those_that_the_balancer_refuses_two_losses():
    from policies import LossBalancer
    from policies.errors import PolicyError

    for family in list(FAMILIES):
        student = torch.nn.Linear(2, 1)
        balancer = LossBalancer(create_policy(family, {}), student, total_steps=4)
        outputs = student(torch.ones(3, 2))
        refused = pytest.raises(PolicyError, match="looks at (logits|each sample)")
        with contextlib.nullcontext() if create_policy(family, {}).looks_at == "losses" else refused:
            balancer.backward(outputs.square().mean(), (outputs - 1).square().mean())


def test_pictures_given_as_a_task_make_the_same_students_to_the_last_bit(assets):
    pictures = DeviceAssets(assets, CPU)
    source = HEAD + (
        "from trainables.config import ModelSettings\nfrom trainables.models import create_model\n"
        "class Pictures(Task):\n"
        "    def sets(self): pass\n"
        "    def student(self):\n"
        "        settings = ModelSettings(name='cnn', options={'widths': [4, 8]})\n"
        "        return create_model(settings, image_shape=(1, 8, 8), classes=10)\n"
        "    def teacher(self): return nn.Identity()\n"
    )
    task = own(source, "Pictures")

    def samples(split: Split, places: slice):
        from trainables.tasks import Samples

        stored = as_tensor(split.images[places])
        return Samples(inputs=pictures.prepare(stored).contiguous().numpy(), labels=split.labels[places])

    assert isinstance(assets, TrialAssets)
    as_task = TaskData(
        TaskAssets(
            task=task,
            train=samples(assets.train, slice(None)),
            validation=samples(assets.validation, slice(None)),
            train_targets=assets.train_targets[0],
            validation_targets=assets.validation_targets,
            classes=assets.classes,
            teacher_accuracy=assets.teacher_accuracy,
        ),
        CPU,
    )
    student = ModelSettings(name="cnn", options={"widths": [4, 8]})
    for family in ("norm_balance", "sample_class_reliability"):
        one = trained(task, family, as_task).history()
        other = trained(task, family, pictures, student=student).history()
        assert [e.validation_accuracy for e in one.epochs] == [e.validation_accuracy for e in other.epochs]
        assert one.epochs[-1].validation_loss == pytest.approx(other.epochs[-1].validation_loss, rel=1e-4)
        assert one.trace[0].task_loss == pytest.approx(other.trace[0].task_loss, rel=1e-6)


def test_a_training_is_repeatable_and_resumes_to_the_same_student(digits):
    task = own(DIGITS, "Digits")
    once, again = trained(task, "norm_balance", digits), trained(task, "norm_balance", digits)
    assert all(map(torch.equal, weights(once), weights(again)))
    half = Distillation(once.settings, digits)
    next(half.records())
    other = Distillation(once.settings, digits)
    other.load_state_dict(half.state_dict())
    for _ in other.records():
        pass
    assert all(map(torch.equal, weights(once), weights(other)))


def test_options_change_the_student(digits):
    wide = trained(own(DIGITS, "Digits", hidden=20), data=digits, training=TRAINING.model_copy(update={"epochs": 1}))
    assert wide.replicates[0].student[0].out_features == 20


def test_masked_positions_count_in_no_loss_and_no_score():
    task = own(MASKED, "Masked")
    data = data_of(task)
    done = trained(task, data=data)
    student, labels = done.replicates[0].student, data.validation.labels
    counted = labels != -100
    assert 0.2 < float((~counted).float().mean()) < 0.4
    found = evaluate(student, data.validation, by_sample=True)
    with torch.no_grad():
        logits = student(data.validation.inputs)
    right = (logits.argmax(-1) == labels)[counted].double().mean()
    assert found.scores.accuracy == pytest.approx(float(right))
    loss = torch.nn.functional.cross_entropy(logits[counted], labels[counted])
    assert found.scores.loss == pytest.approx(float(loss), rel=1e-5)
    assert found.samples["accuracy"].count == len(labels)  # a sequence is one sample, not each of its positions
    changed = own(MASKED.replace("y[generator", "x[y == IGNORED] = x[y == IGNORED]\n        y[generator"), "Masked")
    assert all(map(torch.equal, weights(done), weights(trained(changed))))


def test_metrics_by_sample_are_kept_by_sample():
    task = own(DIABETES, "Diabetes")
    data = data_of(task)
    done = trained(task, data=data, objective=Objective(name="rmse", direction="minimize"))
    found = evaluate(done.replicates[0].student, data.validation, by_sample=True)
    assert set(found.samples) == {"absolute_error"}
    values = found.samples["absolute_error"].values()
    assert len(values) == 120
    assert found.own_kpis["absolute_error"] == pytest.approx(float(values.mean()), rel=1e-6)


def test_hints_and_several_outputs():
    source = (
        HEAD
        + """
class Net(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.body, self.head = nn.Linear(64, hidden), nn.Linear(hidden, 10)

    def forward(self, inputs):
        features = torch.relu(self.body(inputs["pixels"])) + inputs["row"]
        return {"features": features, "logits": self.head(features)}


class Hints(Task):
    hint_weight: float = 0.5

    def sets(self):
        data = load_digits()
        x = {"pixels": data.data.astype(np.float32) / 16, "row": np.zeros((1797, 1), np.float32)}
        cut = lambda a, b: ({name: part[a:b] for name, part in x.items()}, data.target[a:b])
        return Sets(train=cut(0, 240), validation=cut(240, 540), test=cut(540, 1797))

    def student(self):
        return Net(12)

    def teacher(self):
        return Net(12)

    def logits(self, outputs):
        return outputs["logits"]

    def task_loss(self, outputs, batch):
        return nn.functional.cross_entropy(outputs["logits"], batch.labels)

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        hint = (outputs["features"] - teacher_outputs["features"]).square().mean()
        warm = nn.functional.softmax(teacher_outputs["logits"] / temperature, 1)
        return nn.functional.cross_entropy(outputs["logits"] / temperature, warm) + self.hint_weight * hint
"""
    )
    task = own(source, "Hints")
    history = trained(task, "norm_balance").history()
    assert history.epochs[-1].validation_accuracy > 0.3
    assert history.epochs[-1].agreement > 0.0


@pytest.fixture(scope="module")
def masked():
    return data_of(own(MASKED, "Masked"))


def test_values_of_samples_of_several_answers_have_the_accuracy_as_their_mean(masked):
    student = trained(own(MASKED, "Masked"), data=masked).replicates[0].student
    outputs = masked.validation.logits(student)
    values = masked.validation.right(outputs)
    assert values.shape == (80,)
    assert float(values.mean()) == pytest.approx(masked.validation.score(outputs).accuracy, abs=1e-12)
    found = evaluate(student, masked.validation, by_sample=True).samples["accuracy"]
    assert found.kind == "float32"
    assert float(found.values().mean()) == pytest.approx(masked.validation.score(outputs).accuracy, abs=1e-6)


def test_values_of_samples_tell_the_noise_that_other_samples_would_bring(masked):
    """The spread of a difference over redrawn samples is that of the values, although samples differ in length."""
    one, other = (
        masked.validation.logits(masked.create_student(ModelSettings(name="my_task.py:Masked"))) for _ in range(2)
    )
    labels = masked.validation.labels
    counted = labels != -100
    right = [((outputs.argmax(-1) == labels) & counted).sum(1).double() for outputs in (one, other)]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(labels), (4000, len(labels)), generator=generator)
    answers = counted.sum(1).double()[drawn].sum(1)
    spread = float(((right[0] - right[1])[drawn].sum(1) / answers).std())
    values = masked.validation.right(one) - masked.validation.right(other)
    assert float(values.std()) / len(labels) ** 0.5 == pytest.approx(spread, rel=0.05)


def test_answers_that_do_not_count_have_no_share_in_the_values():
    read = "x, y = self.rows()\n        "
    source = DIGITS.replace(f"{read}return Sets", f"{read}y[::4] = -100\n        return Sets")
    data = data_of(own(source, "Digits"))
    outputs = torch.nn.functional.one_hot(data.validation.labels.clamp(min=0), 10).float()
    assert data.validation.right(outputs).tolist() == [1.0] * len(data.validation)
    wrong = outputs.clone()
    place = int((data.validation.labels >= 0).nonzero()[0])
    wrong[place] = outputs[place].roll(1)
    values = data.validation.right(wrong)
    assert float(values.mean()) == pytest.approx(data.validation.score(wrong).accuracy, abs=1e-12)
    assert int(values.argmin()) == place
