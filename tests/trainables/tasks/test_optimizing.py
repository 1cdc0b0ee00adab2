import io

import pytest
import torch

from tests.trainables.tasks.task_data import data_of, trained, weights
from tests.trainables.tasks.task_files import DIGITS, own
from trainables.errors import ConfigError
from trainables.tasks import check_optimizer, create_task
from trainables.training import Distillation

PAIR = """
    def optimizer(self, student, learning_rate, total_steps):
        groups = [{"params": [p for p in student.parameters() if p.ndim > 1], "weight_decay": 0.1},
                  {"params": [p for p in student.parameters() if p.ndim == 1], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=learning_rate)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=total_steps)
"""


def with_optimizer(text, head=""):
    return own(DIGITS.replace("class Digits", f"{head}\n\nclass Digits") + text, "Digits")


def checked(text, rates=None, head=""):
    task = with_optimizer(text, head)
    check_optimizer(task, create_task(task), rates)


RETURNS = "\n    def optimizer(self, student, learning_rate, total_steps):\n        "


def test_the_own_optimizer_and_its_schedule_train_the_student():
    task = with_optimizer(PAIR)
    distillation = trained(task)
    first = distillation.replicates[0]
    assert type(first.optimizer) is torch.optim.AdamW
    assert [group["weight_decay"] for group in first.optimizer.param_groups] == [0.1, 0.0]
    assert first.optimizer.param_groups[0]["lr"] < 1e-3
    assert distillation.history().epochs[-1].validation_accuracy > 0.5
    training = distillation.history().policy["training"]
    assert training["optimizer"] == "my_task.py:Digits.optimizer"
    assert "weight_decay" not in training
    assert training["learning_rate"] == 3e-2


@pytest.mark.parametrize("text", [PAIR, f"{RETURNS}return torch.optim.SGD(student.parameters(), learning_rate, 0.9)\n"])
def test_a_resumed_training_equals_an_uninterrupted_one_to_the_last_bit(text):
    task = with_optimizer(text)
    data = data_of(task)
    whole = trained(task, "norm_balance", data)
    half = Distillation(whole.settings, data)
    records = half.records()
    for _ in range(2):
        next(records)
    stream = io.BytesIO()
    torch.save(half.state_dict(), stream)
    stream.seek(0)
    resumed = Distillation(whole.settings, data)
    resumed.load_state_dict(torch.load(stream, weights_only=True))
    for _ in resumed.records():
        pass
    assert all(torch.equal(*pair) for pair in zip(weights(whole), weights(resumed), strict=True))


def test_the_searched_learning_rate_reaches_the_optimizer():
    checked(PAIR, (1e-3, 1e-1))
    fixed = f"{RETURNS}return torch.optim.SGD(student.parameters(), 0.1)\n"
    checked(fixed)
    with pytest.raises(ConfigError, match=r"`space.learning_rate` is searched, but `optimizer`.*remove `space.learn"):
        checked(fixed, (1e-3, 1e-1))


FORGETFUL = """
class Forgetful(torch.optim.SGD):
    taken = 0

    def step(self, closure=None):
        self.taken += 1
        for group in self.param_groups:
            group["lr"] = 0.1 / self.taken
        return super().step(closure)

    def state_dict(self):
        groups = super().state_dict()["param_groups"]
        return {**super().state_dict(), "param_groups": [{**group, "lr": 0.1} for group in groups]}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{RETURNS}return None\n", "must return a torch.optim.Optimizer, or a pair .* but got NoneType"),
        (f"{RETURNS}return 1 / 0\n", r"`optimizer` of the task my_task.py:Digits failed, line \d+ \(`return 1 / 0`\)"),
        (f"{RETURNS}return torch.optim.Adam(list(student.parameters())[:2])\n", "leaves out '2.weight' and 1 more"),
        (
            f"{RETURNS}o = torch.optim.Adam(student.parameters())\n"
            "        return o, torch.optim.lr_scheduler.ReduceLROnPlateau(o)\n",
            "ReduceLROnPlateau, which waits for scores",
        ),
        (f"{RETURNS}return torch.optim.LBFGS(student.parameters())\n", "`optimizer` .* failed.*closure"),
        (f"{RETURNS}return Forgetful(student.parameters(), lr=0.1)\n", "does not resume"),
    ],
)
def test_an_optimizer_that_cannot_be_used_is_refused_with_the_reason(text, message):
    with pytest.raises(ConfigError, match=message):
        checked(text, head=FORGETFUL)
